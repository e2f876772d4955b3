//! A line in simulated time: the life of a part, the judge's logic and the session with the PLC, without thread and clock, and
//! around them whatever can go wrong: messages that are lost, late, doubled or reordered, a journal that fails, workers and a
//! PLC that stand still, an engine that proves itself, and restarts.
//!
//! It checks that each accepted trigger gets exactly one terminal record, that BUSY follows a durable acceptance, and that a
//! PASS goes out only with its proof: a row of the journal that says PASS for this part and nonce, from the part's own image,
//! in time, with health.

mod journal;
mod judge;
mod line;
mod plc;

use super::engine_state::EngineCell;
use super::judge::logic::Logic;
use super::messages::ToJudge;
use super::part::judged::Judged;
use super::part::lifecycle::{Input, Life, StoreOutcome};
use crate::acquire::{Arrival, Identity, ImageFile};
use crate::config::Matching;
use crate::journal::{AcceptedTrigger, VerdictEntry};
use cellgate_protocol::health::{Health, WorkerProgress};
use cellgate_protocol::part::Pending;
use cellgate_protocol::session::device::{DeviceSession, DeviceSessionConfig};
use cellgate_protocol::session::refused::Refused;
use cellgate_protocol::to_plc::ToPlc;
use journal::{Fate, Refusal, SimulatedJournal};
use judge::logic_of;
use line::trigger_of;
use plc::SimulatedPlc;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How far image and trigger may lie apart.
const LEAD: Duration = Duration::from_secs(1);
const DEADLINE_MS: u32 = 400;

/// Something that reaches the appliance or the PLC at a moment.
#[derive(Debug)]
enum What {
    Image(u64),
    ToJudge(ToJudge),
    /// The engine's proof ends.
    Proved(bool),
    Judged {
        number: u64,
        judged: Judged,
    },
    FreeRunning(Judged),
    /// The journal comes to an acceptance, or to a verdict.
    Accept {
        number: u64,
        trigger: AcceptedTrigger,
        fate: Fate,
        answer_ms: u64,
    },
    Commit {
        number: u64,
        entry: Box<VerdictEntry>,
        fate: Fate,
        answer_ms: u64,
    },
    Accepted {
        number: u64,
        id: Option<NonZeroU64>,
    },
    StoreOutcome {
        number: u64,
        stored: StoreOutcome,
    },
    /// The session's notice that it concluded a part, where it is handled late.
    Concluded {
        number: u64,
        pending: Pending,
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
    /// Of an image without a trigger.
    free_running: Option<Life>,
    logic: Logic,
    matching: Matching,
    engine: EngineCell,
    is_running: bool,
    /// Images that arrived and are neither archived nor set aside.
    images: BTreeSet<PathBuf>,
    arrived: BTreeSet<u64>,
    inbox: VecDeque<ToJudge>,
    judging_until_ms: u64,
    unhealthy_until_ms: u64,
    journal: SimulatedJournal,
    plc: SimulatedPlc,
    lives: u64,
    epoch: u32,
    /// Refused triggers, when they were last looked at.
    refused: Refused,
    /// Parts that passed, and the last of them.
    passes: u64,
    passed: u64,
    /// How much goes wrong: of 1,000 events of a kind, the kind's share times this, divided by 10.
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
            free_running: None,
            logic: logic_of(matching, start),
            matching,
            engine: EngineCell::default(),
            is_running: false,
            images: BTreeSet::new(),
            arrived: BTreeSet::new(),
            inbox: VecDeque::new(),
            judging_until_ms: 0,
            unhealthy_until_ms: 0,
            journal: SimulatedJournal::default(),
            plc: SimulatedPlc::default(),
            lives: 0,
            epoch: 1,
            refused: Refused::default(),
            passes: 0,
            passed: 0,
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
        Health::attest(self.now_ms, &[WorkerProgress { last_ms, allowed_ms: 1 }])
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
        assert!(self.life.is_none() && self.free_running.is_none(), "{:?}, {:?}", self.life, self.free_running);
        assert_eq!(self.journal.open_triggers(), 0, "an accepted trigger has no terminal record");
        assert_eq!(self.journal.records(), self.journal.acceptances());
        assert!(self.images.is_empty(), "neither archived nor set aside: {:?}", self.images);
    }

    fn step(&mut self) {
        let ((at_ms, _), what) = self.events.pop_first().expect("the tick goes on");
        self.now_ms = at_ms;
        match what {
            What::Image(part) => {
                let identity = Some(Identity::of_inode(part));
                let file = ImageFile { path: format!("{part}.tif").into(), identity };
                // A second event on a file that is in the archive by then is no second image.
                if self.arrived.insert(part) {
                    self.images.insert(file.path.clone());
                }
                self.inbox.push_back(ToJudge::Arrival(Arrival { file, at: self.now() }));
            }
            What::ToJudge(message) => self.inbox.push_back(message),
            What::FreeRunning(judged) => self.free_running(judged),
            What::Judged { number, judged } => self.input(number, Input::Judged(judged)),
            What::Accept { number, trigger, fate, answer_ms } => {
                let id = self.journal.accept(self.now_ms, trigger, fate);
                self.after(answer_ms, What::Accepted { number, id });
            }
            What::Commit { number, entry, fate, answer_ms } => {
                let stored = match self.journal.commit(self.now_ms, &entry, fate) {
                    Ok(seq) => StoreOutcome::Committed(seq),
                    Err(Refusal::AlreadyTerminal) => StoreOutcome::AlreadyTerminal,
                    Err(Refusal::Failed) => StoreOutcome::Failed,
                };
                self.after(answer_ms, What::StoreOutcome { number, stored });
            }
            What::Concluded { number, pending } => self.input(number, Input::Concluded(pending)),
            What::Proved(has_passed) => self.proved(has_passed),
            What::Accepted { number, id } => self.input(number, Input::Accepted(id)),
            What::StoreOutcome { number, stored } => self.input(number, Input::Stored(stored)),
            What::ToPlc(message) => self.plc_receives(message),
            What::Plc(step) => self.plc_does(step),
            What::Tick => {
                self.after(10, What::Tick);
                self.misfortune();
            }
        }
        self.serve_judge();
        self.serve_line();
        self.journal.check_open(&[trigger_of(self.life.as_ref()), trigger_of(self.free_running.as_ref())]);
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
            (self.life, self.free_running) = (None, None);
            (self.is_running, self.judging_until_ms) = (false, 0);
            // What lies in the folder is set aside by the watcher.
            self.images.clear();
            self.logic = logic_of(self.matching, self.now());
            self.engine = EngineCell::default();
            self.inbox.clear();
            self.journal.restart();
            // What was under way in the old process is gone.
            self.events.retain(|_, what| matches!(what, What::Image(_) | What::ToPlc(_) | What::Plc(_) | What::Tick));
        }
    }
}

fn session(boot_epoch: u32) -> DeviceSession {
    DeviceSession::new(DeviceSessionConfig { device: 1, boot_epoch, first_wait_ms: 50 })
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
        (Matching::FreeRunning, 10),
    ];
    for (matching, trouble) in lines {
        let start = Instant::now();
        let mut simulation = Simulation::new(seed, matching, trouble);
        simulation.run(parts / lines.len() as u64);
        let (passes, journal) = (simulation.passes, &simulation.journal);
        println!(
            "{matching:?}, trouble {trouble}: {} parts, {} accepted, {} records, {passes} passed, {} starts, {:?}",
            simulation.lives,
            journal.acceptances(),
            journal.records(),
            simulation.epoch,
            start.elapsed()
        );
        let some = if matching == Matching::FreeRunning { 0 } else { simulation.lives / 3 };
        assert!(passes >= some && (passes == 0) == (some == 0), "{passes} parts passed");
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
