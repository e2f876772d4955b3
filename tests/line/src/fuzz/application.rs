//! Plays the program around a device's session (the application). It calls the session as the fuzzer's input directs, and
//! checks that the session sends only verdicts that it may send.

use super::steps::Steps;
use cellgate_protocol::{
    bundle::{BundleState, Confirm, ConfirmResult, StepCode},
    code::WireVerdict,
    digest::DigestStart,
    health::{Health, WorkerProgress},
    part::{Outcome, PartEntry, Pending, Trigger},
    reason::ReasonCode,
    score::ScoreE4,
    session::device::{Condition, DeviceEvent, DeviceSession, DeviceSessionConfig, Dispatch, Mode},
    to_plc::{Flags, Origin},
    version::Schema,
};
use std::num::NonZeroU64;

/// The device's boot epoch.
pub const EPOCH: u32 = 3;

/// The open part.
struct Open {
    /// The part's deadline.
    ends_ms: u64,
    /// Whether the session got the part's committed verdict.
    sent: bool,
}

/// The program around the device's session. It calls the session in every order that the types allow.
pub(crate) struct Application {
    pub(crate) now_ms: u64,
    healthy: bool,
    condition: Condition,
    trigger: Option<Trigger>,
    open: Option<Open>,
    pending: Option<Pending>,
    /// Number and content of the last committed verdict, and until when it may be sent.
    committed: Option<(u64, PartEntry, u64)>,
    verdict_seq: NonZeroU64,
    /// The confirmation that is not answered yet.
    confirm: Option<Confirm>,
    /// Verdicts that the PLC acknowledged, and confirmations of the PLC that were answered.
    pub(crate) finished: u32,
}

impl Application {
    pub(crate) fn new() -> Self {
        Self {
            now_ms: 0,
            healthy: true,
            condition: Condition { mode: Mode::Operating, store_ok: true, degraded: false, backlog: 0 },
            trigger: None,
            open: None,
            pending: None,
            committed: None,
            verdict_seq: NonZeroU64::MIN,
            confirm: None,
            finished: 0,
        }
    }

    /// A session for this application.
    pub(crate) fn session(&self) -> DeviceSession {
        let mut session = DeviceSession::new(DeviceSessionConfig {
            device: 7,
            boot_epoch: EPOCH,
            first_wait_ms: 66,
            schema: Schema::Two,
        });
        session.set_condition(self.condition);
        session
    }

    pub(crate) fn health(&self) -> Option<Health> {
        let worker = WorkerProgress { last_ms: self.now_ms, allowed_ms: 0 };
        Health::attest(self.now_ms, &[worker]).filter(|_| self.healthy)
    }

    /// Takes the next action that the input directs.
    pub(crate) fn act(&mut self, session: &mut DeviceSession, steps: &mut Steps<'_>) {
        let choice = steps.byte();
        match choice % 12 {
            0 => {
                if let Some(trigger) = &self.trigger {
                    session.accept(trigger);
                }
            }
            1 => {
                if let Some(trigger) = self.trigger.take() {
                    session.refuse(trigger, ReasonCode::STORE_FAILED);
                    // The session does not refuse a part that it has already concluded. That part stays open.
                    self.open = self.open.take().filter(|open| open.sent || self.pending.is_some());
                }
            }
            2 | 3 => {
                if let Some(trigger) = self.trigger.take() {
                    self.conclude(session, trigger, choice);
                }
            }
            4 | 5 => {
                if let Some(pending) = self.pending.take() {
                    self.commit(session, pending);
                }
            }
            6 => {
                if let Some(pending) = self.pending.take() {
                    self.pending = Some(session.store_failed(pending));
                    self.condition.store_ok = false;
                }
            }
            7 => {
                if let Some(pending) = self.pending.take() {
                    session.settle(pending);
                    self.open = None;
                }
            }
            8 => {
                let outcome = Outcome::reject(ReasonCode::RESTARTED);
                let entry = PartEntry { part_id: steps.byte().into(), nonce: 1, boot_epoch: EPOCH - 1, outcome };
                session.send_record(entry.record(self.verdict_seq, Origin::REPLAY));
            }
            9 => {
                let how = steps.byte();
                let mode = [Mode::Operating, Mode::Operating, Mode::Halted, Mode::Failed][usize::from(how % 4)];
                let (store_ok, degraded) = (how & 4 == 0, how & 8 != 0);
                self.healthy = how & 16 == 0;
                self.condition = Condition { mode, store_ok, degraded, backlog: u16::from(how) };
                session.set_condition(self.condition);
            }
            10 => {
                if let Some(confirm) = self.confirm.take() {
                    session.answer(&confirm, ConfirmResult(1 + choice / 12 % 3));
                    self.finished += 1;
                }
            }
            _ => {
                let (bundle, step) = (u32::from(steps.byte()), StepCode(choice / 12));
                session.set_bundle(BundleState { bundle, step, confirmed: 1, missing: 2 });
            }
        }
    }

    fn conclude(&mut self, session: &mut DeviceSession, trigger: Trigger, choice: u8) {
        let verdict = [WireVerdict::Pass, WireVerdict::Pass, WireVerdict::Review, WireVerdict::Reject]
            [usize::from(choice / 10 % 4)];
        let (score, image) = (ScoreE4(u16::from(choice)), DigestStart([choice; 8]));
        let flags = Flags(u16::from(choice >> 7));
        let reason = ReasonCode::SCORE_BELOW_REVIEW;
        let outcome = Outcome { verdict, reason, score, model: DigestStart::NONE, image, flags };
        let concluded = session.conclude(self.now_ms, trigger, outcome);
        match concluded {
            Ok(pending) => {
                assert!(self.pending.replace(pending).is_none(), "a second conclusion of a part");
            }
            Err(_) => assert!(self.pending.is_some() || self.open.as_ref().is_none_or(|open| open.sent)),
        }
    }

    fn commit(&mut self, session: &mut DeviceSession, pending: Pending) {
        let entry = pending.entry();
        let seq = self.verdict_seq;
        self.verdict_seq = seq.saturating_add(1);
        let open = self.open.as_mut().expect("a committed verdict belongs to the open part");
        open.sent = true;
        self.committed = Some((seq.get(), entry, open.ends_ms));
        let dispatch = session.send_verdict(self.now_ms, pending.committed(seq), self.health().as_ref());
        if matches!(dispatch, Dispatch::Record(_)) {
            self.open = None;
        }
    }

    /// Handles an event of the session.
    pub(crate) fn handle(&mut self, event: DeviceEvent) {
        match event {
            DeviceEvent::Triggered(trigger) => {
                assert!(self.open.is_none() && self.pending.is_none(), "a second open part");
                self.open = Some(Open { ends_ms: trigger.deadline_at_ms(), sent: false });
                self.trigger = Some(trigger);
            }
            DeviceEvent::Concluded(pending) => {
                assert_eq!(pending.entry().outcome, Outcome::reject(ReasonCode::TIMEOUT));
                assert!(self.pending.replace(pending).is_none(), "a second conclusion of a part");
            }
            DeviceEvent::Delivered { verdict_seq, .. } => {
                assert!(self.committed.is_some_and(|(seq, ..)| seq == verdict_seq), "a verdict that was not committed");
                (self.open, self.finished) = (None, self.finished + 1);
            }
            DeviceEvent::Undelivered { verdict_seq } => {
                assert!(self.committed.is_some_and(|(seq, ..)| seq == verdict_seq), "a verdict that was not committed");
                self.open = None;
            }
            DeviceEvent::Confirm(confirm) => {
                assert!(self.confirm.replace(confirm).is_none(), "a second open confirmation");
            }
            DeviceEvent::RecordAcknowledged { .. } | DeviceEvent::PlcSilent | DeviceEvent::PlcBack => {}
        }
    }

    /// Checks a verdict that the session sent: it is committed and in time, and a PASS only while healthy.
    pub(crate) fn check_verdict(&self, (part_id, nonce, verdict_seq): (u64, u32, u64), verdict: WireVerdict) {
        let (seq, entry, ends_ms) = self.committed.expect("a verdict without a commit");
        assert_eq!((seq, entry.part_id, entry.nonce), (verdict_seq, part_id, nonce), "another part's verdict");
        assert_eq!(entry.outcome.verdict, verdict, "another verdict");
        assert!(self.now_ms <= ends_ms, "a late verdict");
        let Condition { mode, store_ok, .. } = self.condition;
        let sound = self.healthy && store_ok && matches!(mode, Mode::Operating | Mode::Halted);
        assert!(verdict != WireVerdict::Pass || sound, "a PASS without health");
    }

    /// Is a part open that the session must still conclude?
    pub(crate) fn is_waiting(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.sent) && self.pending.is_none()
    }
}
