//! The device's side: takes triggers, gives out tokens, sends what was committed, in time and healthy.

mod action;
mod condition;
mod snapshot;
mod stage;

pub use action::{AlreadyConcluded, DeviceAction, DeviceEvent, Dispatch};
pub use condition::{Condition, DeviceSessionConfig, Mode};
pub use snapshot::SessionSnapshot;

use super::refused::Refused;
use super::repeat::Repeat;
use crate::{
    health::{Health, is_healthy},
    limits::{CONCLUDE_BEFORE_MS, HEARTBEAT_MS, MAX_DEADLINE_MS},
    part::{Committed, Outcome, Pending, Ticket, Trigger},
    reason::ReasonCode,
    to_device::{Ack, TriggerRequest},
    to_plc::{Busy, DeviceHeartbeat, Nak, Origin, Record, ToPlc},
};
use heapless::Deque;
use stage::PartStage;

/// The device's session. After each input, and at least every 10 ms, call [`DeviceSession::poll`] until it gives `None`.
#[derive(Debug)]
pub struct DeviceSession {
    config: DeviceSessionConfig,
    condition: Condition,
    stage: PartStage,
    tickets: u64,
    replies: Deque<ToPlc, 8>,
    events: Deque<DeviceEvent, 8>,
    overrun: bool,
    healthy: bool,
    heartbeat: u32,
    heartbeat_due_ms: u64,
    plc_counter: Option<u32>,
    plc_seen_ms: Option<u64>,
    plc_live: bool,
    bad_acks: u32,
    refused: Refused,
    longest_deadline_ms: u32,
}

impl DeviceSession {
    /// A session that starts: not ready until the application says so and the PLC is heard.
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
        }
    }

    /// The session with a longest time of a part: a trigger that allows more is taken as if it allowed that.
    #[must_use]
    pub const fn with_longest_deadline(mut self, ms: u32) -> Self {
        self.longest_deadline_ms = ms;
        self
    }

    /// What the session was made with.
    #[must_use]
    pub const fn config(&self) -> &DeviceSessionConfig {
        &self.config
    }

    /// How the application is from now on.
    pub fn set_condition(&mut self, condition: Condition) {
        self.condition = condition;
    }

    /// Acknowledgements whose number was right and whose part or code was not, wrapping.
    #[must_use]
    pub const fn bad_acks(&self) -> u32 {
        self.bad_acks
    }

    /// Triggers that were refused, and verdicts that could not be stored: every NAK.
    #[must_use]
    pub const fn refused(&self) -> &Refused {
        &self.refused
    }

    /// A PLC opened a link: it is alive, and what it wanted cleared is cleared.
    pub fn link_opened(&mut self, now_ms: u64) {
        self.plc_counter = None;
        self.plc_seen_ms = Some(now_ms);
        self.clear();
    }

    /// The PLC's heartbeat; only a changed one is a sign of life.
    pub fn plc_heartbeat(&mut self, now_ms: u64, counter: u32) {
        if self.plc_counter != Some(counter) {
            self.plc_counter = Some(counter);
            self.plc_seen_ms = Some(now_ms);
        }
    }

    /// The PLC clears the overrun bit.
    pub fn clear(&mut self) {
        self.overrun = false;
    }

    /// The PLC asks for a verdict. The same part and nonce again is answered by where the part stands, never judged again.
    pub fn trigger(&mut self, now_ms: u64, request: &TriggerRequest) {
        let same = |ticket: &Ticket| ticket.part_id == request.part_id && ticket.nonce == request.nonce;
        if self.stage.ticket().is_some_and(same) {
            self.trigger_again(now_ms, request);
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
                boot_epoch: self.config.boot_epoch,
                number: self.tickets,
                accepted_ms: now_ms,
                deadline_ms: request.deadline_ms.min(self.longest_deadline_ms),
            };
            self.stage = PartStage::Judging { ticket, accepted: false };
            // There is room: it was asked for above.
            let _ = self.events.push_back(DeviceEvent::Triggered(Trigger(ticket)));
        }
    }

    /// The PLC asks another start of the device for a verdict: the trigger was held up on its way. Nothing is judged.
    pub fn trigger_of_another_start(&mut self, request: &TriggerRequest) {
        self.nak(request, ReasonCode::EPOCH_MISMATCH);
    }

    /// Answers a trigger that is known already.
    fn trigger_again(&mut self, now_ms: u64, request: &TriggerRequest) {
        match &mut self.stage {
            PartStage::Judging { accepted: false, .. }
            | PartStage::Committing { accepted: false, .. }
            | PartStage::Empty => {}
            PartStage::Judging { ticket, .. } | PartStage::Committing { ticket, .. } => {
                let busy = Busy { part_id: ticket.part_id, nonce: ticket.nonce };
                self.reply(ToPlc::Busy(busy));
            }
            PartStage::Sending { repeat, .. } => repeat.ask(now_ms),
            PartStage::Delivered { committed, asked } if !committed.pending.ticket.is_over(now_ms) => *asked = true,
            PartStage::Delivered { .. } | PartStage::Recorded { .. } => self.nak(request, ReasonCode::EXPIRED),
        }
    }

    /// The part's acceptance is durable: the PLC is told BUSY.
    pub fn accept(&mut self, trigger: &Trigger) {
        if let PartStage::Judging { ticket, accepted } = &mut self.stage
            && *ticket == trigger.0
        {
            *accepted = true;
            let busy = Busy { part_id: ticket.part_id, nonce: ticket.nonce };
            self.reply(ToPlc::Busy(busy));
        }
    }

    /// The part can't be accepted: the PLC is told NAK, and no verdict follows. Nothing happens if the session concluded
    /// the part already.
    #[expect(clippy::needless_pass_by_value, reason = "the token is used up")]
    pub fn refuse(&mut self, trigger: Trigger, reason: ReasonCode) {
        if matches!(&self.stage, PartStage::Judging { ticket, .. } if *ticket == trigger.0) {
            self.stage = PartStage::Empty;
            let Ticket { part_id, nonce, .. } = trigger.0;
            self.reply(ToPlc::Nak(Nak { part_id, nonce, reason }));
        }
    }

    /// The application found out what the part is. After the deadline it is REJECT/TIMEOUT, whatever was found.
    ///
    /// # Errors
    /// [`AlreadyConcluded`] where the session gave out [`DeviceEvent::Concluded`] for the part: there is nothing to commit.
    #[expect(clippy::needless_pass_by_value, reason = "the token is used up")]
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

    /// The journal could not store: the PLC is told NAK, and the part waits for its REJECT/STORE_FAILED, which is given
    /// back to be committed once the journal works again. If it turns out then that the journal holds the part's verdict
    /// after all, call [`DeviceSession::settle`] instead.
    pub fn store_failed(&mut self, mut pending: Pending) -> Pending {
        self.condition.store_ok = false;
        let Ticket { part_id, nonce, .. } = pending.ticket;
        self.reply(ToPlc::Nak(Nak { part_id, nonce, reason: ReasonCode::STORE_FAILED }));
        pending.outcome = Outcome::reject(ReasonCode::STORE_FAILED);
        pending
    }

    /// The journal holds the part's verdict under another entry than this one: the window is free again.
    #[expect(clippy::needless_pass_by_value, reason = "the token is used up")]
    pub fn settle(&mut self, pending: Pending) {
        if matches!(&self.stage, PartStage::Committing { ticket, .. } if *ticket == pending.ticket) {
            self.stage = PartStage::Empty;
        }
    }

    /// Sends what was committed: as a VERDICT in time and, for a PASS, only healthy; else as a RECORD.
    pub fn send_verdict(&mut self, now_ms: u64, committed: Committed, health: Option<&Health>) -> Dispatch {
        self.healthy = is_healthy(health, now_ms);
        let ticket = committed.pending.ticket;
        let in_hand = matches!(&self.stage, PartStage::Committing { ticket: open, .. } if *open == ticket);
        if !in_hand {
            // Of another session: information at most, and the part in hand stays.
            self.reply(ToPlc::Record(committed.record(Origin::REPLAY)));
            return Dispatch::Record(Origin::REPLAY);
        }
        let origin = if ticket.is_over(now_ms) {
            Origin::LATE
        } else if !self.may_say(now_ms, committed.pending.outcome.verdict) {
            Origin::UNHEALTHY
        } else {
            let repeat = Repeat::from(now_ms, self.config.first_wait_ms);
            self.stage = PartStage::Sending { committed, repeat };
            return Dispatch::Verdict;
        };
        self.record_part(&committed, origin);
        Dispatch::Record(origin)
    }

    /// Sends information from the journal: after a restart, or on a part without a trigger.
    pub fn send_record(&mut self, record: Record) {
        self.reply(ToPlc::Record(record));
    }

    /// The PLC says that something arrived. Only the echo of number, part and code ends the repetition.
    pub fn acknowledge(&mut self, ack: &Ack) {
        let told = match &self.stage {
            PartStage::Sending { committed, .. } | PartStage::Delivered { committed, .. }
                if committed.verdict_seq.get() == ack.verdict_seq =>
            {
                let Pending { ticket, outcome } = &committed.pending;
                Some((ticket.part_id, outcome.verdict.code()))
            }
            _ => None,
        };
        let Some(told) = told else {
            // A full queue loses this one; the PLC says it again when the record is repeated.
            let told = self.events.push_back(DeviceEvent::RecordAcknowledged(*ack)).is_ok();
            if let PartStage::Recorded { record, acknowledged, .. } = &mut self.stage {
                let ours =
                    (record.verdict_seq, record.part_id, record.code) == (ack.verdict_seq, ack.part_id, ack.code);
                *acknowledged |= told && ours;
            }
            return;
        };
        if told != (ack.part_id, ack.code) {
            self.bad_acks = self.bad_acks.wrapping_add(1);
        } else if matches!(self.stage, PartStage::Sending { .. }) && !self.events.is_full() {
            if let PartStage::Sending { committed, .. } = core::mem::replace(&mut self.stage, PartStage::Empty) {
                self.stage = PartStage::Delivered { committed, asked: false };
            }
            let _ = self.events.push_back(DeviceEvent::Delivered { verdict_seq: ack.verdict_seq });
        }
    }

    /// What to do now; to be called until it gives `None`.
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

    /// What the part in the window needs.
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
                let verdict = self.sayable(now_ms, committed)?;
                if let PartStage::Sending { repeat, .. } = &mut self.stage {
                    repeat.said(now_ms);
                }
                Some(DeviceAction::Send(ToPlc::Verdict(verdict)))
            }
            PartStage::Delivered { committed, asked: true } => {
                let verdict = self.sayable(now_ms, committed)?;
                if let PartStage::Delivered { asked, .. } = &mut self.stage {
                    *asked = false;
                }
                Some(DeviceAction::Send(ToPlc::Verdict(verdict)))
            }
            _ => None,
        }
    }

    /// The heartbeat, every [`HEARTBEAT_MS`]: it always shows the state, but advances only while healthy.
    fn poll_heartbeat(&mut self, now_ms: u64) -> Option<DeviceAction> {
        if now_ms < self.heartbeat_due_ms {
            return None;
        }
        self.heartbeat_due_ms = now_ms + HEARTBEAT_MS;
        if self.healthy {
            self.heartbeat = self.heartbeat.wrapping_add(1);
        }
        Some(DeviceAction::Send(ToPlc::Heartbeat(DeviceHeartbeat {
            counter: self.heartbeat,
            state: self.state(now_ms).code(),
            status: self.status(now_ms),
            backlog: self.condition.backlog,
        })))
    }

    /// The part in hand goes out as a record.
    fn record_part(&mut self, committed: &Committed, origin: Origin) {
        let record = committed.record(origin);
        self.stage = PartStage::Recorded { ticket: committed.pending.ticket, record, acknowledged: false };
        self.reply(ToPlc::Record(record));
        // A full queue loses only this notice: a verdict counts as undelivered until it is acknowledged.
        let _ = self.events.push_back(DeviceEvent::Undelivered { verdict_seq: record.verdict_seq });
    }

    fn nak(&mut self, request: &TriggerRequest, reason: ReasonCode) {
        self.reply(ToPlc::Nak(Nak { part_id: request.part_id, nonce: request.nonce, reason }));
    }

    /// Queues an answer; a full queue loses its oldest, which the PLC will ask for again.
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
