//! Simulates the appliance's `Line`: drives the real session and the real life of the part in progress, and checks each message to
//! the PLC.

use super::journal::Fate;
use super::judge::is_good;
use super::{DEADLINE_MS, SimulatedEvent, Simulation, ToJournal};
use crate::appliance::bundle::{Entry, PartRule};
use crate::appliance::engine_state::EngineState;
use crate::appliance::messages::ToJudge;
use crate::appliance::part::Part;
use crate::appliance::part::effect::Effect;
use crate::appliance::part::judged::Judged;
use crate::appliance::part::lifecycle::{Input, Life, Moment};
use crate::journal::{JournalTrigger, TriggerKind};
use cellgate_models::digest::Digest;
use cellgate_models::policy::Verdict;
use cellgate_protocol::bundle::ConfirmResult;
use cellgate_protocol::code::VerdictCode;
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::session::device::{Condition, DeviceAction, DeviceEvent, Mode};
use cellgate_protocol::state::DeviceState;
use cellgate_protocol::to_plc::{ToPlc, VerdictMessage};
use rand::RngExt as _;
use std::time::Duration;

impl Simulation {
    pub(super) fn serve_line(&mut self) {
        let is_idle = self.life.is_none()
            && self.free_running.is_none()
            && self.session.state(self.now_ms) != DeviceState::SingleExecution;
        if is_idle {
            self.engine.grant_proof();
        }
        let mode = match self.engine.get() {
            EngineState::Failed => Mode::Failed,
            state if state.is_proven() => Mode::Operating,
            _ => Mode::Starting,
        };
        self.serve_bundles();
        let store_ok = self.journal.is_ready(self.now_ms) && self.bundles.is_ready();
        self.session.set_condition(Condition { mode, store_ok, degraded: false, backlog: 0 });
        for number in [&self.life, &self.free_running].map(|life| life.as_ref().map(|life| life.part().number)) {
            self.input(number.unwrap_or(0), Input::Tick);
        }
        while let Some(action) = {
            let health = self.health();
            self.session.poll(self.now_ms, health.as_ref())
        } {
            match action {
                DeviceAction::Send(message) => self.send(message),
                DeviceAction::Event(event) => self.on_event(event),
            }
        }
        let refused = *self.session.refused();
        if std::mem::replace(&mut self.refused, refused) != refused {
            // A refused trigger may leave its image behind, so the order is in doubt.
            let delay_ms = self.random.random_range(0..3);
            self.after(delay_ms, SimulatedEvent::ToJudge(ToJudge::Doubt));
        }
    }

    /// Checks a message to the PLC and delivers it.
    fn send(&mut self, message: ToPlc) {
        match &message {
            ToPlc::Busy(busy) => {
                assert!(self.journal.has_accepted(busy.part_id, busy.nonce), "BUSY before the acceptance is durable");
            }
            ToPlc::Verdict(verdict) if verdict.code() == VerdictCode::PASS => self.check_pass(verdict),
            ToPlc::Confirmed(answer) if answer.result == ConfirmResult::CONFIRMED => {
                assert!(self.journal.has_confirmed(answer.confirm.verdict_seq), "CONFIRMED before it is stored");
            }
            _ => {}
        }
        let delay_ms = self.random.random_range(1..10);
        if !self.goes_wrong_per_mille(20) {
            self.after(delay_ms, SimulatedEvent::ToPlc(message));
        }
    }

    /// Deletes old records and arrivals, to save memory.
    fn forget(&mut self) {
        self.journal.forget();
        self.arrived = self.arrived.split_off(&self.plc.part().saturating_sub(100));
    }

    fn check_pass(&mut self, message: &VerdictMessage) {
        let (verdict, trigger, image) =
            self.journal.row(message.verdict_seq()).expect("a PASS is stored before it is sent");
        assert_eq!((verdict, trigger.part, trigger.nonce), (Verdict::Pass, message.part_id(), message.nonce()));
        assert!(
            is_good(message.part_id()) && image == format!("{}.tif", message.part_id()),
            "another part's image: {image}"
        );
        assert!(message.age_ms() <= DEADLINE_MS && self.health().is_some(), "late, or without health");
        assert!(self.engine.get().is_proven(), "the engine is not proven");
        self.passes += u64::from(std::mem::replace(&mut self.passed, message.part_id()) != message.part_id());
    }

    fn on_event(&mut self, event: DeviceEvent) {
        let number = self.life.as_ref().map_or(0, |life| life.part().number);
        match event {
            DeviceEvent::Triggered(trigger) if !self.bundles.is_ready() => {
                self.session.refuse(trigger, ReasonCode::STORE_FAILED);
            }
            DeviceEvent::Triggered(trigger) => {
                assert!(self.life.is_none(), "two parts in progress");
                let named = trigger.bundle();
                let Entry { part: PartRule { bundle, rule, is_reference }, events } =
                    self.bundles.enter(named, self.now_ms as i64);
                assert!(named == 0 || named == bundle, "the part belongs to the bundle that its trigger names");
                self.lives += 1;
                let deadline = self.start + Duration::from_millis(trigger.deadline_at_ms());
                let (number, part_id) = (self.lives, trigger.part_id());
                let part = Part { number, part_id, is_reference, triggered: self.now(), deadline };
                self.entering = (!events.is_empty()).then_some(number);
                let journal_trigger = JournalTrigger {
                    kind: TriggerKind::Plc,
                    part: part_id,
                    nonce: trigger.nonce(),
                    deadline_ms: DEADLINE_MS,
                    received_unix_ms: 0,
                    bundle,
                };
                let mut effects = Vec::new();
                let accepted = (journal_trigger, events);
                self.life = Some(Life::triggered(part, accepted, Digest::of(b"model"), trigger, &mut effects));
                self.perform(part, effects);
                let delay_ms = self.random.random_range(0..3);
                self.after(delay_ms, SimulatedEvent::ToJudge(ToJudge::Part(part, Box::new(rule))));
                self.forget();
            }
            DeviceEvent::Concluded(pending) if self.goes_wrong_per_mille(100) => {
                let delay_ms = self.random.random_range(1..20);
                self.after(delay_ms, SimulatedEvent::Concluded { number, pending });
            }
            DeviceEvent::Concluded(pending) => self.input(number, Input::Concluded(pending)),
            DeviceEvent::Delivered { verdict_seq, .. } => self.input(number, Input::Delivered(verdict_seq)),
            DeviceEvent::Undelivered { verdict_seq } => self.input(number, Input::Undelivered(verdict_seq)),
            DeviceEvent::Confirm(confirm) => self.bundles.confirm(confirm),
            DeviceEvent::RecordAcknowledged { .. } | DeviceEvent::PlcSilent | DeviceEvent::PlcBack => {}
        }
    }

    pub(super) fn input(&mut self, number: u64, input: Input) {
        let has_number = |life: &mut Life| life.part().number == number;
        let triggered = self.life.take_if(has_number);
        let is_triggered = triggered.is_some();
        let Some(life) = triggered.or_else(|| self.free_running.take_if(has_number)) else {
            // The life is over, so the image of a late result is set aside.
            if let Input::Judged(Judged { file: Some(file), .. }) = input {
                self.images.remove(&file.path);
            }
            return;
        };
        let part = *life.part();
        let health = self.health();
        let is_journal_ready = self.journal.is_ready(self.now_ms);
        let moment = Moment { now: self.now(), now_ms: self.now_ms, health: health.as_ref(), is_journal_ready };
        let mut effects = Vec::new();
        let next = life.next(input, &moment, &mut self.session, &mut effects);
        if is_triggered {
            self.life = next;
        } else {
            self.free_running = next;
            if self.free_running.is_none() {
                self.after(0, SimulatedEvent::ToJudge(ToJudge::Recorded));
            }
        }
        self.perform(part, effects);
    }

    /// An image without a trigger was judged.
    pub(super) fn free_running(&mut self, judged: Judged) {
        assert!(self.free_running.is_none(), "two images without a trigger are being recorded");
        self.lives += 1;
        let (number, now) = (self.lives, self.now());
        let part = Part { number, part_id: 0, is_reference: false, triggered: now, deadline: now };
        let nonce = u32::try_from(number).unwrap();
        let kind = TriggerKind::FreeRunning;
        let (part_id, deadline_ms) = (0, u32::MAX);
        let journal_trigger =
            JournalTrigger { kind, part: part_id, nonce, deadline_ms, received_unix_ms: 0, bundle: 0 };
        let mut effects = Vec::new();
        self.free_running = Some(Life::free_running(part, journal_trigger, Digest::of(b"model"), judged, &mut effects));
        self.perform(part, effects);
        self.forget();
    }

    fn perform(&mut self, part: Part, effects: Vec<Effect>) {
        for effect in effects {
            let fate = self.fate();
            // Sometimes the journal is slow.
            let delay_ms = if self.goes_wrong_per_mille(5) {
                self.random.random_range(250..500)
            } else {
                self.random.random_range(1..8)
            };
            match effect {
                Effect::Accept { trigger, events } => {
                    let number = part.number;
                    self.ask_journal(ToJournal::Accept { number, trigger, events }, fate, delay_ms);
                }
                Effect::Commit(entry) => {
                    self.ask_journal(ToJournal::Commit { number: part.number, entry }, fate, delay_ms);
                }
                Effect::Archive { image, .. } | Effect::SetAside(image) => {
                    self.images.remove(&image.path);
                }
                _ => {}
            }
        }
    }

    pub(super) fn fate(&mut self) -> Fate {
        if !self.goes_wrong_per_mille(10) {
            return Fate::Good;
        }
        [Fate::NotWritten, Fate::UnknownWritten, Fate::UnknownLost][self.random.random_range(0..3)]
    }
}

/// Part and nonce of a life's trigger.
pub(super) fn trigger_of(life: Option<&Life>) -> Option<(u64, u32)> {
    life.map(|life| (life.journal_trigger().part, life.journal_trigger().nonce))
}
