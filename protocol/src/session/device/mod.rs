//! The device's side: takes triggers, gives out tokens, sends what was committed, in time and healthy.

mod action;
mod condition;
mod snapshot;
mod stage;

pub use action::{Action, AlreadyConcluded, Dispatch, Event};
pub use condition::{Condition, DeviceConfig, Mode};
pub use snapshot::Snapshot;

use super::refused::Refused;
use super::repeat::Repeat;
use crate::{
    health::{Health, is_healthy},
    limits::{CONCLUDE_BEFORE_MS, DEADLINE_MOST_MS, HEARTBEAT_MS},
    part::{Committed, Outcome, Pending, Ticket, Trigger},
    reason::ReasonCode,
    to_device::{Ack, TriggerRequest},
    to_plc::{Busy, DeviceHeartbeat, Nak, Origin, Record, ToPlc},
};
use heapless::Deque;
use stage::Stage;

/// The device's session. After each input, and at least every 10 ms, call [`DeviceSession::poll`] until it gives `None`.
#[derive(Debug)]
pub struct DeviceSession {
    config: DeviceConfig,
    condition: Condition,
    stage: Stage,
    tickets: u64,
    replies: Deque<ToPlc, 8>,
    events: Deque<Event, 8>,
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
    pub const fn new(config: DeviceConfig) -> Self {
        Self {
            config,
            condition: Condition { mode: Mode::Starting, store_ok: false, degraded: false, backlog: 0 },
            stage: Stage::Empty,
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
            longest_deadline_ms: DEADLINE_MOST_MS,
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
    pub const fn config(&self) -> &DeviceConfig {
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
        } else if !(1..=DEADLINE_MOST_MS).contains(&request.deadline_ms) {
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
            self.stage = Stage::Judging { ticket, accepted: false };
            // There is room: it was asked for above.
            let _ = self.events.push_back(Event::Triggered(Trigger(ticket)));
        }
    }

    /// The PLC asks another start of the device for a verdict: the trigger was held up on its way. Nothing is judged.
    pub fn trigger_of_another_start(&mut self, request: &TriggerRequest) {
        self.nak(request, ReasonCode::EPOCH_MISMATCH);
    }

    /// Answers a trigger that is known already.
    fn trigger_again(&mut self, now_ms: u64, request: &TriggerRequest) {
        match &mut self.stage {
            Stage::Judging { accepted: false, .. } | Stage::Committing { accepted: false, .. } | Stage::Empty => {}
            Stage::Judging { ticket, .. } | Stage::Committing { ticket, .. } => {
                let busy = Busy { part_id: ticket.part_id, nonce: ticket.nonce };
                self.reply(ToPlc::Busy(busy));
            }
            Stage::Sending { repeat, .. } => repeat.ask(now_ms),
            Stage::Delivered { committed, asked } if !committed.pending.ticket.is_over(now_ms) => *asked = true,
            Stage::Delivered { .. } | Stage::Recorded { .. } => self.nak(request, ReasonCode::EXPIRED),
        }
    }

    /// The part's acceptance is durable: the PLC is told BUSY.
    pub fn accept(&mut self, trigger: &Trigger) {
        if let Stage::Judging { ticket, accepted } = &mut self.stage
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
        if matches!(&self.stage, Stage::Judging { ticket, .. } if *ticket == trigger.0) {
            self.stage = Stage::Empty;
            let Ticket { part_id, nonce, .. } = trigger.0;
            self.reply(ToPlc::Nak(Nak { part_id, nonce, reason }));
        }
    }

    /// The application found out what the part is. After the deadline it is REJECT/TIMEOUT, whatever was found.
    ///
    /// # Errors
    /// [`AlreadyConcluded`] where the session gave out [`Event::Concluded`] for the part: there is nothing to commit.
    #[expect(clippy::needless_pass_by_value, reason = "the token is used up")]
    pub fn conclude(&mut self, now_ms: u64, trigger: Trigger, outcome: Outcome) -> Result<Pending, AlreadyConcluded> {
        match self.stage {
            Stage::Judging { ticket, accepted } if ticket == trigger.0 => {
                self.stage = Stage::Committing { ticket, accepted };
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
        if matches!(&self.stage, Stage::Committing { ticket, .. } if *ticket == pending.ticket) {
            self.stage = Stage::Empty;
        }
    }

    /// Sends what was committed: as a VERDICT in time and, for a PASS, only healthy; else as a RECORD.
    pub fn send_verdict(&mut self, now_ms: u64, committed: Committed, health: Option<&Health>) -> Dispatch {
        self.healthy = is_healthy(health, now_ms);
        let ticket = committed.pending.ticket;
        let in_hand = matches!(&self.stage, Stage::Committing { ticket: open, .. } if *open == ticket);
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
            self.stage = Stage::Sending { committed, repeat };
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
            Stage::Sending { committed, .. } | Stage::Delivered { committed, .. }
                if committed.verdict_seq.get() == ack.verdict_seq =>
            {
                let Pending { ticket, outcome } = &committed.pending;
                Some((ticket.part_id, outcome.verdict.code()))
            }
            _ => None,
        };
        let Some(told) = told else {
            // A full queue loses this one; the PLC says it again when the record is repeated.
            let told = self.events.push_back(Event::RecordAcknowledged(*ack)).is_ok();
            if let Stage::Recorded { record, acknowledged, .. } = &mut self.stage {
                let ours =
                    (record.verdict_seq, record.part_id, record.code) == (ack.verdict_seq, ack.part_id, ack.code);
                *acknowledged |= told && ours;
            }
            return;
        };
        if told != (ack.part_id, ack.code) {
            self.bad_acks = self.bad_acks.wrapping_add(1);
        } else if matches!(self.stage, Stage::Sending { .. }) && !self.events.is_full() {
            if let Stage::Sending { committed, .. } = core::mem::replace(&mut self.stage, Stage::Empty) {
                self.stage = Stage::Delivered { committed, asked: false };
            }
            let _ = self.events.push_back(Event::Delivered { verdict_seq: ack.verdict_seq });
        }
    }

    /// What to do now; to be called until it gives `None`.
    pub fn poll(&mut self, now_ms: u64, health: Option<&Health>) -> Option<Action> {
        self.healthy = is_healthy(health, now_ms);
        if let Some(event) = self.events.pop_front() {
            return Some(Action::Event(event));
        }
        let live = self.is_plc_live(now_ms);
        if live != self.plc_live {
            self.plc_live = live;
            return Some(Action::Event(if live { Event::PlcBack } else { Event::PlcSilent }));
        }
        if let Some(message) = self.replies.pop_front() {
            return Some(Action::Send(message));
        }
        self.poll_part(now_ms).or_else(|| self.poll_heartbeat(now_ms))
    }

    /// What the part in the window needs.
    fn poll_part(&mut self, now_ms: u64) -> Option<Action> {
        match &self.stage {
            Stage::Judging { ticket, accepted } => {
                let before_ms = CONCLUDE_BEFORE_MS.min(u64::from(ticket.deadline_ms) / 2);
                if now_ms + before_ms < ticket.ends_ms() {
                    return None;
                }
                let (ticket, accepted) = (*ticket, *accepted);
                self.stage = Stage::Committing { ticket, accepted };
                let pending = Pending { ticket, outcome: Outcome::reject(ReasonCode::TIMEOUT) };
                Some(Action::Event(Event::Concluded(pending)))
            }
            Stage::Sending { committed, .. } if committed.pending.ticket.is_over(now_ms) => {
                let Stage::Sending { committed, .. } = core::mem::replace(&mut self.stage, Stage::Empty) else {
                    return None;
                };
                self.record_part(&committed, Origin::LATE);
                self.events.pop_front().map(Action::Event)
            }
            Stage::Sending { committed, repeat } if repeat.is_due(now_ms) => {
                let verdict = self.sayable(now_ms, committed)?;
                if let Stage::Sending { repeat, .. } = &mut self.stage {
                    repeat.said(now_ms);
                }
                Some(Action::Send(ToPlc::Verdict(verdict)))
            }
            Stage::Delivered { committed, asked: true } => {
                let verdict = self.sayable(now_ms, committed)?;
                if let Stage::Delivered { asked, .. } = &mut self.stage {
                    *asked = false;
                }
                Some(Action::Send(ToPlc::Verdict(verdict)))
            }
            _ => None,
        }
    }

    /// The heartbeat, every [`HEARTBEAT_MS`]: it always shows the state, but advances only while healthy.
    fn poll_heartbeat(&mut self, now_ms: u64) -> Option<Action> {
        if now_ms < self.heartbeat_due_ms {
            return None;
        }
        self.heartbeat_due_ms = now_ms + HEARTBEAT_MS;
        if self.healthy {
            self.heartbeat = self.heartbeat.wrapping_add(1);
        }
        Some(Action::Send(ToPlc::Heartbeat(DeviceHeartbeat {
            counter: self.heartbeat,
            state: self.state(now_ms).code(),
            status: self.status(now_ms),
            backlog: self.condition.backlog,
        })))
    }

    /// The part in hand goes out as a record.
    fn record_part(&mut self, committed: &Committed, origin: Origin) {
        let record = committed.record(origin);
        self.stage = Stage::Recorded { ticket: committed.pending.ticket, record, acknowledged: false };
        self.reply(ToPlc::Record(record));
        // A full queue loses only this notice: a verdict counts as undelivered until it is acknowledged.
        let _ = self.events.push_back(Event::Undelivered { verdict_seq: record.verdict_seq });
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
