//! The device's end: commands drive the session, and its state fills the registers.
//!
//! A poll of registers is all that the PLC hears, so the session's own messages say nothing new; of them only a refusal and
//! a record of the journal are kept, to be shown.

use super::command::Command;
use super::link::Link;
use super::server::Written;
use super::snapshot::{NO_VERDICT, SIMULATED, Snapshot};
use crate::{
    code::VerdictCode,
    health::Health,
    session::device::{Action, DeviceSession, Event, Snapshot as SessionSnapshot},
    state::{State, Status},
    to_device::{Ack, TriggerRequest},
    to_plc::{Flags, Nak, Record, ToPlc},
};
use heapless::Deque;

/// A [`DeviceSession`] behind registers. After each input, and at least every 10 ms, call [`ModbusDevice::poll`] until it
/// gives `None`.
#[derive(Debug)]
pub struct ModbusDevice {
    session: DeviceSession,
    link: Link,
    deadline_ms: u32,
    refused: Option<Nak>,
    /// Not of this session: the window's own record is the session's to show.
    replayed: Option<Record>,
}

/// Commands that one piece of input may hold.
const COMMANDS: usize = 8;

impl ModbusDevice {
    /// The session on this link; `deadline_ms` is the time of a part from its trigger, which the registers don't carry.
    #[must_use]
    pub const fn new(session: DeviceSession, link: Link, deadline_ms: u32) -> Self {
        Self { session, link, deadline_ms, refused: None, replayed: None }
    }

    /// The session behind it.
    pub fn session(&mut self) -> &mut DeviceSession {
        &mut self.session
    }

    /// The line, for its counts.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// The line was closed and opened again: what was received in part is forgotten.
    pub fn reopened(&mut self) {
        self.link.reopened();
    }

    /// Takes bytes that arrived, none for a mere look at the clock; gives the bytes to send, if any. Call it at
    /// [`Link::poll_at_ms`] too.
    pub fn feed(&mut self, now_ms: u64, bytes: &[u8], health: Option<&Health>) -> Option<&[u8]> {
        let registers = self.snapshot(now_ms, health).to_registers();
        let mut commands: Deque<Written, COMMANDS> = Deque::new();
        let on_written = |written| {
            // More commands at once than fit are not a PLC's, which waits for the answer to each.
            let _ = commands.push_back(written);
        };
        let answered = if bytes.is_empty() {
            self.link.poll(now_ms, &registers, on_written).is_some()
        } else {
            self.link.receive(bytes, now_ms, &registers, on_written).is_some()
        };
        while let Some(written) = commands.pop_front() {
            self.obey(now_ms, written, health);
        }
        self.link.answer().filter(|_| answered)
    }

    /// What to do now.
    pub fn poll(&mut self, now_ms: u64, health: Option<&Health>) -> Option<Event> {
        loop {
            match self.session.poll(now_ms, health)? {
                Action::Event(event) => return Some(event),
                Action::Send(ToPlc::Nak(nak)) => self.refused = Some(nak),
                Action::Send(ToPlc::Record(record)) => self.replayed = Some(record),
                Action::Send(_) => {}
            }
        }
    }

    /// What a poll of registers shows now.
    pub fn snapshot(&mut self, now_ms: u64, health: Option<&Health>) -> Snapshot {
        let session = self.session.snapshot(now_ms, health);
        let (part_id, nonce) = session.part.unwrap_or_default();
        let mut shown = Snapshot {
            device: session.device,
            state: u16::from(session.state.code().0),
            heartbeat: session.heartbeat as u16,
            epoch: session.boot_epoch,
            status: session.status,
            backlog: session.backlog,
            part_id,
            nonce: nonce as u16,
            ..Snapshot::EMPTY
        };
        if !self.link.is_armed() {
            shown.status.0 &= !Status::READY.0;
            if session.state == State::Ready {
                shown.state = u16::from(State::Initialized.code().0);
            }
        }
        if let Some(verdict) = session.verdict {
            shown.sequence = verdict.verdict_seq as u32;
            shown.verdict = verdict.code.verdict().register();
            (shown.reason, shown.score) = (verdict.reason, verdict.score);
            shown.age_ms = u16::try_from(verdict.age_ms).unwrap_or(u16::MAX);
            (shown.model, shown.image) = (verdict.model, verdict.image);
            shown.status = with_flags(shown.status, verdict.flags);
        } else if let Some(refused) = self.refused_now(&session) {
            (shown.part_id, shown.nonce) = (refused.part_id, refused.nonce as u16);
            shown.reason = refused.reason;
        } else if let Some(record) = self.record(&session) {
            (shown.part_id, shown.nonce) = (record.part_id, record.nonce as u16);
            // Nothing to act on, so no verdict.
            shown.sequence = record.verdict_seq as u32;
            shown.verdict = NO_VERDICT;
            (shown.reason, shown.score) = (record.reason, record.score);
            (shown.model, shown.image) = (record.model, record.image);
            shown.status = with_flags(shown.status, record.flags);
        }
        shown
    }

    /// The refusal to show: that of the part in hand, or, while none is in hand, that of the last trigger.
    fn refused_now(&self, session: &SessionSnapshot) -> Option<&Nak> {
        let busy = session.status.has(Status::BUSY);
        self.refused.as_ref().filter(|nak| !busy || session.part == Some((nak.part_id, nak.nonce)))
    }

    /// The information to show: a record of the journal that waits, else that of the last part.
    fn record(&self, session: &SessionSnapshot) -> Option<Record> {
        let idle = !session.status.has(Status::BUSY);
        self.replayed.filter(|_| idle).or(session.record)
    }

    fn obey(&mut self, now_ms: u64, written: Written, health: Option<&Health>) {
        self.session.plc_heartbeat(now_ms, u32::from(written.heartbeat));
        match written.command {
            Command::None => {}
            Command::Trigger { part_id, nonce } => {
                (self.refused, self.replayed) = (None, None);
                let request = TriggerRequest { part_id, nonce: u32::from(nonce), deadline_ms: self.deadline_ms };
                self.session.trigger(now_ms, &request);
            }
            Command::Acknowledge { part_id, nonce, sequence } => {
                let acknowledged = self.told(now_ms, health).filter(|(ack, told_nonce)| {
                    ack.verdict_seq as u32 == sequence && ack.part_id == part_id && *told_nonce as u16 == nonce
                });
                if let Some((ack, _)) = acknowledged {
                    self.replayed = None;
                    self.session.acknowledge(&ack);
                }
            }
            Command::Clear { .. } => {
                self.refused = None;
                self.session.clear();
            }
        }
    }

    /// What the registers tell of a verdict or record, as its acknowledgement would have it, and its nonce.
    fn told(&mut self, now_ms: u64, health: Option<&Health>) -> Option<(Ack, u32)> {
        let session = self.session.snapshot(now_ms, health);
        let ack = |verdict_seq, part_id, code: VerdictCode| Ack { verdict_seq, part_id, code };
        match session.verdict {
            Some(told) => Some((ack(told.verdict_seq, told.part_id, told.code), told.nonce)),
            None => self.record(&session).map(|told| (ack(told.verdict_seq, told.part_id, told.code), told.nonce)),
        }
    }
}

fn with_flags(status: Status, flags: Flags) -> Status {
    let unknown = flags.0 & !(Flags::SIMULATED.0 | Flags::DEGRADED.0) != 0;
    status.with(SIMULATED, flags.has(Flags::SIMULATED)).with(Status::DEGRADED, unknown || flags.has(Flags::DEGRADED))
}
