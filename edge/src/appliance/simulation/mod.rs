//! A line in simulated time: the life of a part, the judge's logic and the session with the PLC, without thread and clock, and
//! around them whatever can go wrong: messages that are lost, late, doubled or reordered, a journal that fails, workers and a
//! PLC that stand still, an engine that proves itself, and restarts.
//!
//! It checks that each accepted trigger gets exactly one terminal record, that BUSY follows a durable acceptance, and that a
//! PASS goes out only with its proof: a row of the journal that says PASS for this part and nonce, from the part's own image,
//! in time, with health.

mod journal;
mod judge;
mod plc;

use super::engine_state::EngineCell;
use super::judge::logic::Logic;
use super::messages::ToJudge;
use super::part::Part;
use super::part::effect::Effect;
use super::part::judged::Judged;
use super::part::lifecycle::{Input, Life, Moment, Stored};
use crate::acquire::{Arrival, Identity, ImageFile};
use crate::config::Matching;
use crate::journal::{Trigger, TriggerKind};
use cellgate_models::digest::Digest;
use cellgate_models::policy::Verdict;
use cellgate_protocol::code::VerdictCode;
use cellgate_protocol::health::{Health, Progress};
use cellgate_protocol::session::device::{Action, Condition, DeviceConfig, DeviceSession, Event, Mode};
use cellgate_protocol::session::refused::Refused;
use cellgate_protocol::state::State;
use cellgate_protocol::to_plc::{ToPlc, VerdictMessage};
use journal::{Fate, Refusal, SimulatedJournal};
use judge::{is_good, logic_of};
use plc::SimulatedPlc;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How far image and trigger may lie apart.
const LEAD: Duration = Duration::from_secs(1);
const DEADLINE_MS: u32 = 400;

/// Something that reaches the appliance or the PLC at a moment.
#[derive(Debug)]
enum What {
    Image(u64),
    ToJudge(ToJudge),
    Judged {
        number: u64,
        judged: Judged,
    },
    Accepted {
        number: u64,
        id: Option<std::num::NonZeroU64>,
    },
    Stored {
        number: u64,
        stored: Stored,
    },
    ToPlc(ToPlc),
    Plc(plc::Step),
    /// The session's clock.
    Tick,
}

struct Simulation {
    random: ChaCha8Rng,
    start: Instant,
    now_ms: u64,
    events: BTreeMap<(u64, u64), What>,
    order: u64,
    session: DeviceSession,
    life: Option<Life>,
    logic: Logic,
    matching: Matching,
    engine: EngineCell,
    inbox: VecDeque<ToJudge>,
    judging_until_ms: u64,
    unhealthy_until_ms: u64,
    journal: SimulatedJournal,
    plc: SimulatedPlc,
    lives: u64,
    epoch: u32,
    /// The refused triggers that the judge was told of.
    refused: Refused,
    passes: u64,
    /// Of 1,000 events of a kind, so many go wrong.
    trouble: u32,
}

impl Simulation {
    fn new(seed: u64, matching: Matching, trouble: u32) -> Self {
        let start = Instant::now();
        let mut simulation = Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            start,
            now_ms: 0,
            events: BTreeMap::new(),
            order: 0,
            session: session(1),
            life: None,
            logic: logic_of(matching, start),
            matching,
            engine: EngineCell::default(),
            inbox: VecDeque::new(),
            judging_until_ms: 0,
            unhealthy_until_ms: 0,
            journal: SimulatedJournal::default(),
            plc: SimulatedPlc::default(),
            lives: 0,
            epoch: 1,
            refused: Refused::default(),
            passes: 0,
            trouble,
        };
        simulation.after(0, What::Tick);
        simulation.after(0, What::Plc(plc::Step::Heartbeat));
        simulation.after(10, What::Plc(plc::Step::Next));
        simulation
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.now_ms)
    }

    fn after(&mut self, ms: u64, what: What) {
        self.order += 1;
        self.events.insert((self.now_ms + ms, self.order), what);
    }

    fn goes_wrong(&mut self, of_1000: u32) -> bool {
        self.random.random_range(0..1000) < of_1000 * self.trouble / 10
    }

    fn health(&self) -> Option<Health> {
        let last_ms = if self.now_ms < self.unhealthy_until_ms { 0 } else { self.now_ms };
        Health::attest(self.now_ms, &[Progress { last_ms, allowed_ms: 1 }])
    }

    /// Goes on until `parts` lives have begun, and then until nothing is open.
    fn run(&mut self, parts: u64) {
        let most_ms = 10_000 + 5_000 * parts;
        while self.lives < parts {
            self.step();
            assert!(self.now_ms < most_ms, "stuck: {:?}", self.life);
        }
        self.trouble = 0;
        self.plc.is_at_rest = true;
        let until_ms = self.now_ms + 10_000;
        while self.now_ms < until_ms {
            self.step();
        }
        assert!(self.life.is_none(), "{:?}", self.life);
        assert_eq!(self.journal.open_triggers(), 0, "an accepted trigger has no terminal record");
        assert_eq!(self.journal.records(), self.journal.acceptances());
    }

    fn step(&mut self) {
        let ((at_ms, _), what) = self.events.pop_first().expect("the tick goes on");
        self.now_ms = at_ms;
        match what {
            What::Image(part) => {
                let identity = Some(Identity::of_inode(part));
                let file = ImageFile { path: format!("{part}.tif").into(), identity };
                self.inbox.push_back(ToJudge::Arrival(Arrival { file, at: self.now() }));
            }
            What::ToJudge(message) => self.inbox.push_back(message),
            What::Judged { number, judged } => self.input(number, Input::Judged(judged)),
            What::Accepted { number, id } => self.input(number, Input::Accepted(id)),
            What::Stored { number, stored } => self.input(number, Input::Stored(stored)),
            What::ToPlc(message) => self.plc_receives(message),
            What::Plc(step) => self.plc_does(step),
            What::Tick => {
                self.after(10, What::Tick);
                self.misfortune();
            }
        }
        self.serve_judge();
        self.serve_line();
    }

    /// A worker stands still, or the appliance starts anew.
    fn misfortune(&mut self) {
        if self.goes_wrong(1) {
            self.unhealthy_until_ms = self.now_ms + self.random.random_range(10..600);
        }
        if self.random.random_range(0..50_000) < self.trouble {
            self.epoch += 1;
            self.session = session(self.epoch);
            self.refused = Refused::default();
            self.life = None;
            self.logic = logic_of(self.matching, self.now());
            self.engine = EngineCell::default();
            self.inbox.clear();
            self.journal.restart();
            // What was under way in the old process is gone.
            self.events.retain(|_, what| matches!(what, What::Image(_) | What::ToPlc(_) | What::Plc(_) | What::Tick));
        }
    }

    fn serve_line(&mut self) {
        let is_idle = self.life.is_none() && self.session.state(self.now_ms) != State::SingleExecution;
        if is_idle {
            self.engine.grant_proof();
        }
        let mode = if self.engine.get().is_proven() { Mode::Operating } else { Mode::Starting };
        let store_ok = self.journal.is_ready(self.now_ms);
        self.session.set_condition(Condition { mode, store_ok, degraded: false, backlog: 0 });
        if let Some(number) = self.life.as_ref().map(|life| life.part().number) {
            self.input(number, Input::Tick);
        }
        while let Some(action) = {
            let health = self.health();
            self.session.poll(self.now_ms, health.as_ref())
        } {
            match action {
                Action::Send(message) => self.send(message),
                Action::Event(event) => self.on_event(event),
            }
        }
        let refused = *self.session.refused();
        if std::mem::replace(&mut self.refused, refused) != refused {
            let delay_ms = self.random.random_range(0..3);
            self.after(delay_ms, What::ToJudge(ToJudge::Doubt));
        }
    }

    /// Checks what goes out, and passes it on.
    fn send(&mut self, message: ToPlc) {
        match &message {
            ToPlc::Busy(busy) => {
                assert!(self.journal.has_accepted(busy.part_id, busy.nonce), "BUSY before it is durable");
            }
            ToPlc::Verdict(verdict) if verdict.code() == VerdictCode::PASS => self.check_pass(verdict),
            _ => {}
        }
        let delay_ms = self.random.random_range(1..10);
        if !self.goes_wrong(20) {
            self.after(delay_ms, What::ToPlc(message));
        }
    }

    fn check_pass(&mut self, message: &VerdictMessage) {
        let (verdict, trigger, image) = self.journal.row(message.verdict_seq()).expect("a PASS that is not stored");
        assert_eq!((verdict, trigger.part, trigger.nonce), (Verdict::Pass, message.part_id(), message.nonce()));
        assert!(
            is_good(message.part_id()) && image == format!("{}.tif", message.part_id()),
            "another part's image: {image}"
        );
        assert!(message.age_ms() <= DEADLINE_MS && self.health().is_some(), "late, or without health");
        assert!(self.engine.get().is_proven(), "the engine is not proven");
        self.passes += 1;
    }

    fn on_event(&mut self, event: Event) {
        let number = self.life.as_ref().map_or(0, |life| life.part().number);
        match event {
            Event::Triggered(token) => {
                assert!(self.life.is_none(), "two parts in hand");
                self.lives += 1;
                let deadline = self.start + Duration::from_millis(token.deadline_at_ms());
                let (number, part_id) = (self.lives, token.part_id());
                let part = Part { number, part_id, triggered: self.now(), deadline };
                let trigger = Trigger {
                    kind: TriggerKind::Plc,
                    part: part_id,
                    nonce: token.nonce(),
                    deadline_ms: DEADLINE_MS,
                    received_unix_ms: 0,
                };
                let mut effects = Vec::new();
                self.life = Some(Life::triggered(part, trigger, Digest::of(b"model"), token, &mut effects));
                self.perform(part, effects);
                let delay_ms = self.random.random_range(0..3);
                self.after(delay_ms, What::ToJudge(ToJudge::Part(part)));
                self.journal.forget();
            }
            Event::Concluded(pending) => self.input(number, Input::Concluded(pending)),
            Event::Delivered { verdict_seq } => self.input(number, Input::Delivered(verdict_seq)),
            Event::Undelivered { verdict_seq } => self.input(number, Input::Undelivered(verdict_seq)),
            Event::RecordAcknowledged(_) | Event::PlcSilent | Event::PlcBack => {}
        }
    }

    fn input(&mut self, number: u64, input: Input) {
        let Some(life) = self.life.take_if(|life| life.part().number == number) else { return };
        let part = *life.part();
        let health = self.health();
        let is_journal_ready = self.journal.is_ready(self.now_ms);
        let moment = Moment { now: self.now(), now_ms: self.now_ms, health: health.as_ref(), is_journal_ready };
        let mut effects = Vec::new();
        self.life = life.next(input, &moment, &mut self.session, &mut effects);
        self.perform(part, effects);
    }

    fn perform(&mut self, part: Part, effects: Vec<Effect>) {
        for effect in effects {
            let fate = self.fate();
            let delay_ms =
                if self.goes_wrong(5) { self.random.random_range(250..500) } else { self.random.random_range(1..8) };
            match effect {
                Effect::Accept(trigger) => {
                    let id = self.journal.accept(self.now_ms, trigger, fate);
                    self.after(delay_ms, What::Accepted { number: part.number, id });
                }
                Effect::Commit(entry) => {
                    let stored = match self.journal.commit(self.now_ms, &entry, fate) {
                        Ok(seq) => Stored::Committed(seq),
                        Err(Refusal::AlreadyTerminal) => Stored::AlreadyTerminal,
                        Err(Refusal::Failed) => Stored::Failed,
                    };
                    self.after(delay_ms, What::Stored { number: part.number, stored });
                }
                _ => {}
            }
        }
    }

    fn fate(&mut self) -> Fate {
        if !self.goes_wrong(10) {
            return Fate::Good;
        }
        [Fate::NotWritten, Fate::UnknownWritten, Fate::UnknownLost][self.random.random_range(0..3)]
    }
}

fn session(boot_epoch: u32) -> DeviceSession {
    DeviceSession::new(DeviceConfig { device: 1, boot_epoch, first_wait_ms: 50 })
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

/// A line by number without trouble, with some and with much; lines by order with some.
fn simulate(parts: u64, seed: u64) {
    let lines = [
        (Matching::PartId, 0),
        (Matching::PartId, 10),
        (Matching::PartId, 60),
        (Matching::ImageFirst, 10),
        (Matching::TriggerFirst, 10),
    ];
    for (matching, trouble) in lines {
        let start = Instant::now();
        let mut simulation = Simulation::new(seed, matching, trouble);
        simulation.run(parts / lines.len() as u64);
        let (passes, journal) = (simulation.passes, &simulation.journal);
        println!(
            "{matching:?}, trouble {trouble}: {} parts, {} accepted, {} records, {passes} PASS messages, {} starts, {:?}",
            simulation.lives,
            journal.acceptances(),
            journal.records(),
            simulation.epoch,
            start.elapsed()
        );
        assert!(passes > simulation.lives / 3, "hardly anything passes");
    }
}

#[test]
fn each_part_gets_one_record_and_nothing_passes_without_its_proof() {
    (1..=4).for_each(|seed| simulate(3_000, seed));
}

/// Acceptance: `cargo test --release -p cellgate-edge --lib -- --ignored --nocapture ten_million`.
#[test]
#[ignore = "takes minutes"]
fn ten_million_parts_get_one_record_each_and_nothing_passes_without_its_proof() {
    simulate(10_000_000, 2022);
}
