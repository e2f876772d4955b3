//! The device's side: accepts triggers, hands each to the caller as a token ([`Trigger`]), and sends committed verdicts while
//! they are in time and, for a PASS, the appliance is healthy.

mod action;
mod bundle;
mod condition;
mod confirm;
mod snapshot;
mod stage;

pub use action::{AlreadyConcluded, DeviceAction, DeviceEvent, Dispatch};
pub use condition::{Condition, DeviceSessionConfig, Mode};
pub use snapshot::SessionSnapshot;

use self::bundle::BundleSide;
use super::refused::Refused;
use super::repeat::Repeat;
use crate::{
    health::{Health, is_healthy},
    limits::{CONCLUDE_BEFORE_MS, HEARTBEAT_MS, MAX_DEADLINE_MS},
    part::{Committed, Outcome, Pending, Ticket, Trigger},
    reason::ReasonCode,
    to_device::{Ack, TriggerRequest},
    to_plc::{BundleHeartbeat, Busy, DeviceHeartbeat, Nak, Origin, Record, ToPlc},
};
use heapless::Deque;
use stage::PartStage;

/// The device's session. After each input, and at least every 10 ms, call [`DeviceSession::poll`] until it returns `None`.
#[derive(Debug)]
pub struct DeviceSession {
    config: DeviceSessionConfig,
    condition: Condition,
    stage: PartStage,
    /// How many triggers became tickets.
    tickets: u64,
    replies: Deque<ToPlc, 8>,
    events: Deque<DeviceEvent, 8>,
    overrun: bool,
    healthy: bool,
    heartbeat: u32,
    heartbeat_due_ms: u64,
    plc_counter: Option<u32>,
    /// When the PLC opened a link or its heartbeat last changed.
    plc_seen_ms: Option<u64>,
    /// Was the last [`DeviceEvent::PlcBack`] later than the last [`DeviceEvent::PlcSilent`]?
    plc_live: bool,
    bad_acks: u32,
    refused: Refused,
    longest_deadline_ms: u32,
    bundle: BundleSide,
}

impl DeviceSession {
    /// A session in the mode [`Mode::Starting`]. It accepts triggers once [`DeviceSession::set_condition`] has set a good
    /// condition, the PLC is live and the appliance is healthy.
    #[must_use]
    pub const fn new(config: DeviceSessionConfig) -> Self {
        Self {
            config,
            condition: Condition { mode: Mode::Starting, store_ok: false, degraded: false, backlog: 0 },
            stage: PartStage::Empty,
            tickets: 0,
            replies: Deque::new(),
            events: Deque::new(),
            overrun: false,
            healthy: false,
            heartbeat: 0,
            heartbeat_due_ms: 0,
            plc_counter: None,
            plc_seen_ms: None,
            plc_live: false,
            bad_acks: 0,
            refused: Refused::new(),
            longest_deadline_ms: MAX_DEADLINE_MS,
            bundle: BundleSide::new(),
        }
    }

    /// Sets the longest time of a part. A longer deadline in a trigger is shortened to it.
    #[must_use]
    pub const fn with_longest_deadline(mut self, ms: u32) -> Self {
        self.longest_deadline_ms = ms;
        self
    }

    /// The settings of the session.
    #[must_use]
    pub const fn config(&self) -> &DeviceSessionConfig {
        &self.config
    }

    /// Sets the condition of the program around the session.
    pub fn set_condition(&mut self, condition: Condition) {
        self.condition = condition;
    }

    /// How many acknowledgements had the number of the last part's verdict but another part or code, wrapping.
    #[must_use]
    pub const fn bad_acks(&self) -> u32 {
        self.bad_acks
    }

    /// Counts of all NAKs: refused triggers, and verdicts that could not be stored.
    #[must_use]
    pub const fn refused(&self) -> &Refused {
        &self.refused
    }

    /// Call this when a PLC opened a link. The PLC then counts as live, and the overrun bit is cleared.
    pub fn link_opened(&mut self, now_ms: u64) {
        self.plc_counter = None;
        self.plc_seen_ms = Some(now_ms);
        self.clear();
    }

    /// Handles a heartbeat of the PLC. Only a changed counter is a sign of life.
    pub fn plc_heartbeat(&mut self, now_ms: u64, counter: u32) {
        if self.plc_counter != Some(counter) {
            self.plc_counter = Some(counter);
            self.plc_seen_ms = Some(now_ms);
        }
    }

    /// Clears the overrun bit.
    pub fn clear(&mut self) {
        self.overrun = false;
    }

    /// Handles a trigger that names this bundle, or 0. A repeated trigger (the same part, nonce and bundle) is answered according to the
    /// part's stage. The part is never judged again. The same part and nonce with another bundle is refused.
    pub fn trigger(&mut self, now_ms: u64, request: &TriggerRequest, bundle: u32) {
        let same = |ticket: &&Ticket| ticket.part_id == request.part_id && ticket.nonce == request.nonce;
        if let Some(known) = self.stage.ticket().filter(same) {
            if known.bundle == bundle {
                self.trigger_again(now_ms, request);
            } else {
                self.nak(request, ReasonCode::BUNDLE_MISMATCH);
            }
        } else if !self.stage.is_free() {
            self.overrun = true;
            self.nak(request, ReasonCode::BUSY);
        } else if !self.is_ready(now_ms) || self.events.is_full() {
            self.nak(request, ReasonCode::NOT_READY);
        } else if !(1..=MAX_DEADLINE_MS).contains(&request.deadline_ms) {
            self.nak(request, ReasonCode::DEADLINE_INVALID);
        } else {
            self.tickets += 1;
            let ticket = Ticket {
                part_id: request.part_id,
                nonce: request.nonce,
                bundle,
                boot_epoch: self.config.boot_epoch,
                number: self.tickets,
                accepted_ms: now_ms,
                deadline_ms: request.deadline_ms.min(self.longest_deadline_ms),
            };
            self.stage = PartStage::Judging { ticket, accepted: false };
            // The queue has room: while it is full, a trigger is refused above.
            let _ = self.events.push_back(DeviceEvent::Triggered(Trigger(ticket)));
        }
    }

    /// Refuses a trigger that names another start of the device.
    pub fn trigger_of_another_start(&mut self, request: &TriggerRequest) {
        self.nak(request, ReasonCode::EPOCH_MISMATCH);
    }

    /// Answers a repeated trigger.
    fn trigger_again(&mut self, now_ms: u64, request: &TriggerRequest) {
        match &mut self.stage {
            PartStage::Judging { accepted: false, .. }
            | PartStage::Committing { accepted: false, .. }
            | PartStage::Empty => {}
            PartStage::Judging { ticket, .. } | PartStage::Committing { ticket, .. } => {
                let busy = Busy { part_id: ticket.part_id, nonce: ticket.nonce };
                self.reply(ToPlc::Busy(busy));
            }
            PartStage::Sending { repeat, .. } => repeat.make_due(now_ms),
            PartStage::Delivered { committed, asked } if !committed.pending.ticket.is_over(now_ms) => *asked = true,
            PartStage::Delivered { .. } | PartStage::Recorded { .. } => self.nak(request, ReasonCode::EXPIRED),
        }
    }

    /// Call this when the part's acceptance is durable. Sends BUSY to the PLC. Does nothing if the session has already concluded
    /// the part.
    pub fn accept(&mut self, trigger: &Trigger) {
        if let PartStage::Judging { ticket, accepted } = &mut self.stage
            && *ticket == trigger.0
        {
            *accepted = true;
            let busy = Busy { part_id: ticket.part_id, nonce: ticket.nonce };
            self.reply(ToPlc::Busy(busy));
        }
    }

    /// Call this when the part cannot be accepted. Sends NAK to the PLC, and no verdict follows. Does nothing if the session
    /// has already concluded the part.
    #[expect(clippy::needless_pass_by_value, reason = "the token is consumed")]
    pub fn refuse(&mut self, trigger: Trigger, reason: ReasonCode) {
        if matches!(&self.stage, PartStage::Judging { ticket, .. } if *ticket == trigger.0) {
            self.stage = PartStage::Empty;
            let Ticket { part_id, nonce, .. } = trigger.0;
            self.reply(ToPlc::Nak(Nak { part_id, nonce, reason }));
        }
    }

    /// Takes the result of judging a part. After the deadline the result is replaced by REJECT/TIMEOUT.
    ///
    /// # Errors
    /// [`AlreadyConcluded`] if the session has already concluded the part. The outcome is then discarded.
    #[expect(clippy::needless_pass_by_value, reason = "the token is consumed")]
    pub fn conclude(&mut self, now_ms: u64, trigger: Trigger, outcome: Outcome) -> Result<Pending, AlreadyConcluded> {
        match self.stage {
            PartStage::Judging { ticket, accepted } if ticket == trigger.0 => {
                self.stage = PartStage::Committing { ticket, accepted };
                let late = ticket.is_over(now_ms);
                let outcome = if late { Outcome::reject(ReasonCode::TIMEOUT) } else { outcome };
                Ok(Pending { ticket, outcome })
            }
            _ => Err(AlreadyConcluded),
        }
    }

    /// Call this when the journal could not store the verdict. Sends NAK to the PLC and returns a REJECT/STORE_FAILED for the
    /// part. Commit that REJECT when the journal works again. If the journal then turns out to have stored the part's verdict
    /// after all, call [`DeviceSession::settle`] instead.
    pub fn store_failed(&mut self, mut pending: Pending) -> Pending {
        self.condition.store_ok = false;
        let Ticket { part_id, nonce, .. } = pending.ticket;
        self.reply(ToPlc::Nak(Nak { part_id, nonce, reason: ReasonCode::STORE_FAILED }));
        pending.outcome = Outcome::reject(ReasonCode::STORE_FAILED);
        pending
    }

    /// Call this instead of committing `pending` if the journal has already stored a verdict for the part. The session is then
    /// free for the next part.
    #[expect(clippy::needless_pass_by_value, reason = "the token is consumed")]
    pub fn settle(&mut self, pending: Pending) {
        if matches!(&self.stage, PartStage::Committing { ticket, .. } if *ticket == pending.ticket) {
            self.stage = PartStage::Empty;
        }
    }

    /// Sends a committed verdict: as a VERDICT if it is in time and, for a PASS, the appliance is healthy and the PLC is live.
    /// Otherwise the session sends the verdict as a RECORD.
    pub fn send_verdict(&mut self, now_ms: u64, committed: Committed, health: Option<&Health>) -> Dispatch {
        self.healthy = is_healthy(health, now_ms);
        let ticket = committed.pending.ticket;
        let is_open = matches!(&self.stage, PartStage::Committing { ticket: open, .. } if *open == ticket);
        if !is_open {
            // The session does not wait for this verdict, so it is only information. The open part is not affected.
            self.reply(ToPlc::Record(committed.record(Origin::REPLAY)));
            return Dispatch::Record(Origin::REPLAY);
        }
        let origin = if ticket.is_over(now_ms) {
            Origin::LATE
        } else if !self.may_send(now_ms, committed.pending.outcome.verdict) {
            Origin::UNHEALTHY
        } else {
            let repeat = Repeat::from(now_ms, self.config.first_wait_ms);
            self.stage = PartStage::Sending { committed, repeat };
            return Dispatch::Verdict;
        };
        self.record_part(&committed, origin);
        Dispatch::Record(origin)
    }

    /// Sends a record from the journal: a verdict that was not acknowledged, or a verdict without a trigger.
    pub fn send_record(&mut self, record: Record) {
        self.reply(ToPlc::Record(record));
    }

    /// Handles an acknowledgement. Only the right number, part and verdict code end the repetition of the verdict. `gate` is the reason
    /// with which the PLC's gate decided, or [`ReasonCode::NONE`] if the PLC did not say it.
    pub fn acknowledge(&mut self, ack: &Ack, gate: ReasonCode) {
        let expected = match &self.stage {
            PartStage::Sending { committed, .. } | PartStage::Delivered { committed, .. }
                if committed.verdict_seq.get() == ack.verdict_seq =>
            {
                let Pending { ticket, outcome } = &committed.pending;
                Some((ticket.part_id, outcome.verdict.code()))
            }
            _ => None,
        };
        let Some(expected) = expected else {
            // A full queue loses this acknowledgement. The PLC acknowledges again when the record is repeated.
            let queued = self.events.push_back(DeviceEvent::RecordAcknowledged { ack: *ack, gate }).is_ok();
            if let PartStage::Recorded { record, acknowledged, .. } = &mut self.stage {
                let same =
                    (record.verdict_seq, record.part_id, record.code) == (ack.verdict_seq, ack.part_id, ack.code);
                *acknowledged |= queued && same;
            }
            return;
        };
        if expected != (ack.part_id, ack.code) {
            self.bad_acks = self.bad_acks.wrapping_add(1);
        } else if matches!(self.stage, PartStage::Sending { .. }) && !self.events.is_full() {
            if let PartStage::Sending { committed, .. } = core::mem::replace(&mut self.stage, PartStage::Empty) {
                self.stage = PartStage::Delivered { committed, asked: false };
            }
            let _ = self.events.push_back(DeviceEvent::Delivered { verdict_seq: ack.verdict_seq, gate });
        }
    }

    /// The next action. Call it until it returns `None`.
    pub fn poll(&mut self, now_ms: u64, health: Option<&Health>) -> Option<DeviceAction> {
        self.healthy = is_healthy(health, now_ms);
        if let Some(event) = self.events.pop_front() {
            return Some(DeviceAction::Event(event));
        }
        let live = self.is_plc_live(now_ms);
        if live != self.plc_live {
            self.plc_live = live;
            return Some(DeviceAction::Event(if live { DeviceEvent::PlcBack } else { DeviceEvent::PlcSilent }));
        }
        if let Some(message) = self.replies.pop_front() {
            return Some(DeviceAction::Send(message));
        }
        self.poll_part(now_ms).or_else(|| self.poll_heartbeat(now_ms))
    }

    /// The next action for the current part.
    fn poll_part(&mut self, now_ms: u64) -> Option<DeviceAction> {
        match &self.stage {
            PartStage::Judging { ticket, accepted } => {
                let before_ms = CONCLUDE_BEFORE_MS.min(u64::from(ticket.deadline_ms) / 2);
                if now_ms + before_ms < ticket.ends_ms() {
                    return None;
                }
                let (ticket, accepted) = (*ticket, *accepted);
                self.stage = PartStage::Committing { ticket, accepted };
                let pending = Pending { ticket, outcome: Outcome::reject(ReasonCode::TIMEOUT) };
                Some(DeviceAction::Event(DeviceEvent::Concluded(pending)))
            }
            PartStage::Sending { committed, .. } if committed.pending.ticket.is_over(now_ms) => {
                let PartStage::Sending { committed, .. } = core::mem::replace(&mut self.stage, PartStage::Empty) else {
                    return None;
                };
                self.record_part(&committed, Origin::LATE);
                self.events.pop_front().map(DeviceAction::Event)
            }
            PartStage::Sending { committed, repeat } if repeat.is_due(now_ms) => {
                let verdict = self.sendable(now_ms, committed)?;
                if let PartStage::Sending { repeat, .. } = &mut self.stage {
                    repeat.sent(now_ms);
                }
                Some(DeviceAction::Send(ToPlc::Verdict(verdict)))
            }
            PartStage::Delivered { committed, asked: true } => {
                let verdict = self.sendable(now_ms, committed)?;
                if let PartStage::Delivered { asked, .. } = &mut self.stage {
                    *asked = false;
                }
                Some(DeviceAction::Send(ToPlc::Verdict(verdict)))
            }
            _ => None,
        }
    }

    /// The heartbeat, every [`HEARTBEAT_MS`]. It always carries the state, but its counter increases only while healthy.
    fn poll_heartbeat(&mut self, now_ms: u64) -> Option<DeviceAction> {
        if now_ms < self.heartbeat_due_ms {
            return None;
        }
        self.heartbeat_due_ms = now_ms + HEARTBEAT_MS;
        if self.healthy {
            self.heartbeat = self.heartbeat.wrapping_add(1);
        }
        let heartbeat = DeviceHeartbeat {
            counter: self.heartbeat,
            state: self.state(now_ms).code(),
            status: self.status(now_ms),
            backlog: self.condition.backlog,
        };
        let bundle = self.bundle.state;
        Some(DeviceAction::Send(ToPlc::BundleHeartbeat(BundleHeartbeat { heartbeat, bundle })))
    }

    /// Sends the open part's verdict as a record and ends the part.
    fn record_part(&mut self, committed: &Committed, origin: Origin) {
        let record = committed.record(origin);
        self.stage = PartStage::Recorded { ticket: committed.pending.ticket, record, acknowledged: false };
        self.reply(ToPlc::Record(record));
        // A full queue loses only this event. A verdict counts as undelivered until it is acknowledged.
        let _ = self.events.push_back(DeviceEvent::Undelivered { verdict_seq: record.verdict_seq });
    }

    fn nak(&mut self, request: &TriggerRequest, reason: ReasonCode) {
        self.reply(ToPlc::Nak(Nak { part_id: request.part_id, nonce: request.nonce, reason }));
    }

    /// Queues an answer. A full queue loses its oldest answer; the PLC then repeats its trigger.
    fn reply(&mut self, message: ToPlc) {
        if let ToPlc::Nak(nak) = &message {
            self.refused.count(nak.reason);
        }
        if self.replies.is_full() {
            self.replies.pop_front();
        }
        let _ = self.replies.push_back(message);
    }
}
