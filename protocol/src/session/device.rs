//! The device's side: takes triggers, gives out tokens, sends what was committed, in time and healthy.

use super::refused::Refused;
use super::repeat::Repeat;
use crate::{
    code::Verdict,
    health::{Health, is_healthy},
    limits::{CONCLUDE_BEFORE_MS, DEADLINE_MOST_MS, HEARTBEAT_MS, PLC_SILENT_MS},
    part::{Committed, Outcome, Pending, Ticket, Trigger},
    reason::ReasonCode,
    state::{State, Status},
    to_device::{Ack, TriggerRequest},
    to_plc::{Busy, DeviceHeartbeat, Nak, Origin, Record, ToPlc, VerdictMessage},
};
use heapless::Deque;

/// What does not change while a device runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceConfig {
    /// The device's number.
    pub device: u32,
    /// The count of the device's starts, from its store: never the same twice, never 0.
    pub boot_epoch: u32,
    /// The wait before a verdict is repeated: [`super::repeat::first_wait_ms`].
    pub first_wait_ms: u64,
}

/// What the application wants, or can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Starting: no triggers yet.
    Starting,
    /// Working.
    Operating,
    /// No new triggers; the part in hand is finished.
    Halted,
    /// Something must be mended: no triggers, no PASS.
    Failed,
}

/// How the application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// What it wants.
    pub mode: Mode,
    /// Can the journal store?
    pub store_ok: bool,
    /// Does it work with less than it should?
    pub degraded: bool,
    /// Verdicts in the journal that the PLC did not acknowledge.
    pub backlog: u16,
}

/// Something for the application to do or to know.
#[derive(Debug)]
pub enum Event {
    /// Judge this part. Call [`DeviceSession::accept`] once the acceptance is durable, or at once.
    Triggered(Trigger),
    /// The part's time is nearly over and nothing was concluded: commit this REJECT, then send it. What the application
    /// still concludes from the part's trigger is refused.
    Concluded(Pending),
    /// The PLC has the verdict.
    Delivered {
        /// The journal's number.
        verdict_seq: u64,
    },
    /// The verdict went out as a RECORD only; it may be sent again as one until it is acknowledged.
    Undelivered {
        /// The journal's number.
        verdict_seq: u64,
    },
    /// The PLC acknowledged something that is not in hand: a record, if its part and code are those of the journal.
    RecordAcknowledged(Ack),
    /// The PLC's heartbeat stands still: the device holds.
    PlcSilent,
    /// The PLC's heartbeat is back.
    PlcBack,
}

/// What [`DeviceSession::poll`] gives.
#[derive(Debug)]
pub enum Action {
    /// Send this. The Modbus profile sends nothing by itself: it drops these and shows the [`Snapshot`].
    Send(ToPlc),
    /// Do this.
    Event(Event),
}

/// How [`DeviceSession::send_verdict`] sent a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// As a VERDICT, repeated until it is acknowledged or its time is over.
    Verdict,
    /// As a RECORD, for this reason.
    Record(Origin),
}

/// The session already concluded the part, so there is nothing to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyConcluded;

/// Everything that a poll of registers shows, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The device's number.
    pub device: u32,
    /// The count of its starts.
    pub boot_epoch: u32,
    /// Its state.
    pub state: State,
    /// Its heartbeat.
    pub heartbeat: u32,
    /// Its status bits.
    pub status: Status,
    /// Verdicts that the PLC did not acknowledge.
    pub backlog: u16,
    /// The part in hand, or the last one: its number and nonce.
    pub part: Option<(u64, u32)>,
    /// The verdict to act on: present exactly while [`Status::VALID`] is set.
    pub verdict: Option<VerdictMessage>,
    /// The last part's verdict as information, where it was committed and there is nothing to act on (any more).
    pub record: Option<Record>,
}

/// Where the part in the window stands.
#[derive(Debug)]
enum Stage {
    /// No part since the start.
    Empty,
    /// Given out to the application. `accepted`: the acceptance is durable.
    Judging { ticket: Ticket, accepted: bool },
    /// Concluded, on its way to the journal.
    Committing { ticket: Ticket, accepted: bool },
    /// Committed and not acknowledged.
    Sending { committed: Committed, repeat: Repeat },
    /// Acknowledged; kept to answer a repeated trigger. `asked`: the PLC asked again.
    Delivered { committed: Committed, asked: bool },
    /// Went out as a record; kept to answer a repeated trigger.
    Recorded { ticket: Ticket, record: Record, acknowledged: bool },
}

impl Stage {
    /// Is the window free for the next part?
    fn is_free(&self) -> bool {
        matches!(self, Self::Empty | Self::Delivered { .. } | Self::Recorded { .. })
    }

    fn ticket(&self) -> Option<&Ticket> {
        match self {
            Self::Empty => None,
            Self::Judging { ticket, .. } | Self::Committing { ticket, .. } | Self::Recorded { ticket, .. } => {
                Some(ticket)
            }
            Self::Sending { committed, .. } | Self::Delivered { committed, .. } => Some(&committed.pending.ticket),
        }
    }
}

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
        }
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
                deadline_ms: request.deadline_ms,
            };
            self.stage = Stage::Judging { ticket, accepted: false };
            // There is room: it was asked for above.
            let _ = self.events.push_back(Event::Triggered(Trigger(ticket)));
        }
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

    /// Everything that a poll of registers shows. A PASS is shown to act on only with a good health token.
    #[must_use]
    pub fn snapshot(&mut self, now_ms: u64, health: Option<&Health>) -> Snapshot {
        self.healthy = is_healthy(health, now_ms);
        Snapshot {
            device: self.config.device,
            boot_epoch: self.config.boot_epoch,
            state: self.state(now_ms),
            heartbeat: self.heartbeat,
            status: self.status(now_ms),
            backlog: self.condition.backlog,
            part: self.stage.ticket().map(|ticket| (ticket.part_id, ticket.nonce)),
            verdict: self.verdict(now_ms),
            record: self.information(now_ms),
        }
    }

    /// The state now.
    #[must_use]
    pub fn state(&self, now_ms: u64) -> State {
        match self.condition.mode {
            Mode::Starting => State::Preoperational,
            Mode::Failed => State::Error,
            _ if !self.stage.is_free() => State::SingleExecution,
            Mode::Halted => State::Halted,
            Mode::Operating if !self.condition.store_ok => State::Error,
            Mode::Operating if self.is_ready(now_ms) => State::Ready,
            Mode::Operating => State::Initialized,
        }
    }

    fn status(&self, now_ms: u64) -> Status {
        let busy =
            matches!(self.stage, Stage::Judging { accepted: true, .. } | Stage::Committing { accepted: true, .. });
        let done = matches!(self.stage, Stage::Sending { .. } | Stage::Recorded { acknowledged: false, .. });
        Status::default()
            .with(Status::READY, self.is_ready(now_ms))
            .with(Status::BUSY, busy)
            .with(Status::DONE, done)
            .with(Status::VALID, self.verdict(now_ms).is_some())
            .with(Status::OVERRUN, self.overrun)
            .with(Status::DEGRADED, self.condition.degraded)
            .with(Status::STORE_OK, self.condition.store_ok)
    }

    /// The verdict to act on, if there is one.
    fn verdict(&self, now_ms: u64) -> Option<VerdictMessage> {
        match &self.stage {
            Stage::Sending { committed, .. } => self.sayable(now_ms, committed),
            _ => None,
        }
    }

    /// The last verdict, where there is nothing to act on.
    fn information(&self, now_ms: u64) -> Option<Record> {
        match &self.stage {
            Stage::Sending { committed, .. } => {
                let late = committed.pending.ticket.is_over(now_ms);
                let origin = if late { Origin::LATE } else { Origin::UNHEALTHY };
                self.sayable(now_ms, committed).is_none().then(|| committed.record(origin))
            }
            Stage::Delivered { committed, .. } => Some(committed.record(Origin::DELIVERED)),
            Stage::Recorded { record, .. } => Some(*record),
            Stage::Empty | Stage::Judging { .. } | Stage::Committing { .. } => None,
        }
    }

    /// The message, if it may be said now.
    fn sayable(&self, now_ms: u64, committed: &Committed) -> Option<VerdictMessage> {
        let Pending { ticket, outcome } = &committed.pending;
        let sayable = !ticket.is_over(now_ms) && self.may_say(now_ms, outcome.verdict);
        sayable.then(|| committed.message(now_ms))
    }

    /// A PASS needs health, a PLC that is heard and a store; a REJECT and a REVIEW need nothing.
    fn may_say(&self, now_ms: u64, verdict: Verdict) -> bool {
        let sound = matches!(self.condition.mode, Mode::Operating | Mode::Halted) && self.condition.store_ok;
        verdict != Verdict::Pass || (sound && self.healthy && self.is_plc_live(now_ms))
    }

    fn is_ready(&self, now_ms: u64) -> bool {
        self.condition.mode == Mode::Operating
            && self.condition.store_ok
            && self.healthy
            && self.is_plc_live(now_ms)
            && self.stage.is_free()
    }

    fn is_plc_live(&self, now_ms: u64) -> bool {
        self.plc_seen_ms.is_some_and(|seen_ms| now_ms.saturating_sub(seen_ms) < PLC_SILENT_MS)
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
