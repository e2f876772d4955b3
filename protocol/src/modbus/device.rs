//! The device's end: commands drive the session, and the session's state fills the registers.
//!
//! The device sends nothing but answers to requests, so most messages of the session are dropped. Only the last refusal and the
//! last record are kept, to be shown in the registers.

use super::bundle_command::{AnyCommand, BundleCommand};
use super::codec::FrameBuffer;
use super::command::Command;
use super::framer::FRAME_MAX;
use super::input::{BundleSnapshot, InputRegisters};
use super::link::Link;
use super::map::{low_u16, low_u32};
use super::server::Written;
use super::snapshot::{ModbusSnapshot, NO_VERDICT, SIMULATED};
use crate::{
    bundle::{Confirm, ConfirmResult},
    code::VerdictCode,
    health::Health,
    link::Output,
    reason::ReasonCode,
    session::device::{DeviceAction, DeviceEvent, DeviceSession, SessionSnapshot},
    state::{DeviceState, Status},
    to_device::{Ack, TriggerRequest},
    to_plc::{Flags, Nak, Record, ToPlc, VerdictMessage},
    version::Schema,
};
use heapless::{Deque, Vec};

/// Shows a [`DeviceSession`] in registers. After each input, and at least every 10 ms, call [`ModbusDevice::poll`] until it
/// returns `None`. If a request comes directly after noise, the answer waits for a silence on the link.
#[derive(Debug)]
pub struct ModbusDevice {
    session: DeviceSession,
    link: Link,
    deadline_ms: u32,
    received: Vec<u8, RECEIVED>,
    received_ms: u64,
    /// The last refusal of the session with another reason than BUSY. The next trigger or clear removes it.
    refused: Option<Nak>,
    /// The last record that the session sent. Its acknowledgement or the next trigger removes it.
    replayed: Option<Record>,
    /// The last confirmation, and its answer.
    confirm: Option<(Confirm, ConfirmResult)>,
}

/// The most commands that one poll executes.
const COMMANDS: usize = 8;

/// Bytes kept between two polls: the end of one request, and a complete request after it.
const RECEIVED: usize = 2 * FRAME_MAX;

/// What the registers report about a part.
enum PartReport {
    /// A verdict to act on.
    Verdict(VerdictMessage),
    /// A verdict for information only.
    Record {
        record: Record,
        /// The record waits for its acknowledgement.
        waits: bool,
    },
    /// The refusal of the part's trigger.
    Refused(Nak),
}

impl ModbusDevice {
    /// The session on this link. `deadline_ms` is the time of a part from its trigger. The registers do not carry it.
    #[must_use]
    pub const fn new(session: DeviceSession, link: Link, deadline_ms: u32) -> Self {
        let received = Vec::new();
        Self { session, link, deadline_ms, received, received_ms: 0, refused: None, replayed: None, confirm: None }
    }

    /// The session behind the registers.
    pub fn session(&mut self) -> &mut DeviceSession {
        &mut self.session
    }

    /// The link, for its counts.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// Call this when the port was lost and reopened. Drops a partial request.
    pub fn reopened(&mut self) {
        self.received.clear();
        self.link.reopened();
    }

    /// Feeds received bytes. Bytes of one call count as sent without a pause: a silence is noticed only between two calls, with
    /// [`ModbusDevice::poll`] after each. If more than 512 bytes come without a poll, only the last 512 are kept.
    pub fn feed(&mut self, now_ms: u64, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(RECEIVED)..];
        let too_many = (self.received.len() + bytes.len()).saturating_sub(RECEIVED);
        self.received.drain(..too_many);
        // All of `bytes` fit: the oldest bytes made room.
        let _ = self.received.extend_from_slice(bytes);
        self.received_ms = now_ms;
    }

    /// When to call [`ModbusDevice::poll`] next if no byte comes before. `None` if no bytes wait. A request that comes directly
    /// after noise is found only when a silence has followed, so a poll is needed then. A caller that polls every 10 ms does not
    /// need this function; its answers are at most 10 ms later.
    #[must_use]
    pub fn poll_at_ms(&self) -> Option<u64> {
        if self.received.is_empty() { self.link.poll_at_ms() } else { Some(self.received_ms) }
    }

    /// The next action. Bytes to send are in `out`.
    pub fn poll<'a>(
        &mut self,
        now_ms: u64,
        health: Option<&Health>,
        out: &'a mut FrameBuffer,
    ) -> Option<Output<'a, DeviceEvent>> {
        if let Some(length) = self.serve(now_ms, health, out) {
            return Some(Output::Bytes(&out[..length]));
        }
        loop {
            match self.session.poll(now_ms, health)? {
                DeviceAction::Event(event) => return Some(Output::Event(event)),
                // The overrun bit reports this refusal. The registers keep showing the open part.
                DeviceAction::Send(ToPlc::Nak(nak)) if nak.reason == ReasonCode::BUSY => {}
                DeviceAction::Send(ToPlc::Nak(nak)) => self.refused = Some(nak),
                DeviceAction::Send(ToPlc::Record(record)) => self.replayed = Some(record),
                DeviceAction::Send(ToPlc::Confirmed(answer)) => {
                    if let Some((_, result)) = self.confirm.as_mut().filter(|(last, _)| *last == answer.confirm) {
                        *result = answer.result;
                    }
                }
                DeviceAction::Send(_) => {}
            }
        }
    }

    /// Executes the received requests. Returns the length of the answer in `out`, if there is one.
    fn serve(&mut self, now_ms: u64, health: Option<&Health>, out: &mut FrameBuffer) -> Option<usize> {
        let silent = self.link.poll_at_ms().is_some_and(|at_ms| now_ms >= at_ms);
        if self.received.is_empty() && !silent {
            return None;
        }
        let registers = self.input(now_ms, health);
        let mut commands: Deque<Written, COMMANDS> = Deque::new();
        let on_written = |written| {
            // Commands that do not fit are dropped. A PLC waits for the answer to each command, so the queue never becomes full.
            let _ = commands.push_back(written);
        };
        let answer = if self.received.is_empty() {
            self.link.poll(now_ms, &registers, on_written)
        } else {
            self.link.receive(&self.received, self.received_ms, &registers, on_written)
        };
        let length = answer.map(|answer| {
            out[..answer.len()].copy_from_slice(answer);
            answer.len()
        });
        self.received.clear();
        while let Some(written) = commands.pop_front() {
            self.execute(now_ms, written, health);
        }
        length
    }

    /// The input registers now.
    fn input(&mut self, now_ms: u64, health: Option<&Health>) -> InputRegisters {
        let snapshot = self.snapshot(now_ms, health);
        match self.session.config().schema {
            Schema::One => snapshot.to_registers().into(),
            Schema::Two => InputRegisters::with_bundle(&snapshot, &self.bundle_snapshot()),
        }
    }

    /// The content of the registers from 32 on now. A device of [`Schema::One`] does not have them.
    fn bundle_snapshot(&self) -> BundleSnapshot {
        let state = self.session.bundle();
        match self.confirm {
            Some((confirm, result)) => BundleSnapshot { state, result, sequence: low_u32(confirm.verdict_seq) },
            None => BundleSnapshot { state, ..BundleSnapshot::EMPTY },
        }
    }

    /// The content of registers 0 to 31 now.
    pub fn snapshot(&mut self, now_ms: u64, health: Option<&Health>) -> ModbusSnapshot {
        let session = self.session.snapshot(now_ms, health);
        let (part_id, nonce) = session.part.unwrap_or_default();
        let mut shown = ModbusSnapshot {
            device: session.device,
            state: u16::from(session.state.code().0),
            heartbeat: low_u16(session.heartbeat),
            epoch: session.boot_epoch,
            status: session.status,
            backlog: session.backlog,
            part_id,
            nonce: low_u16(nonce),
            ..ModbusSnapshot::EMPTY
        };
        // A server that is not armed executes no trigger, so the device must not look ready.
        if !self.link.is_armed() {
            shown.status.0 &= !Status::READY.0;
            if session.state == DeviceState::Ready {
                shown.state = u16::from(DeviceState::Initialized.code().0);
            }
        }
        match self.part_report(&session) {
            Some(PartReport::Verdict(verdict)) => {
                shown.sequence = low_u32(verdict.verdict_seq);
                shown.verdict = verdict.code.verdict().register();
                (shown.reason, shown.score) = (verdict.reason, verdict.score);
                shown.age_ms = u16::try_from(verdict.age_ms).unwrap_or(u16::MAX);
                (shown.model, shown.image) = (verdict.model, verdict.image);
                shown.status = with_flags(shown.status, verdict.flags);
            }
            Some(PartReport::Record { record, waits }) => {
                (shown.part_id, shown.nonce) = (record.part_id, low_u16(record.nonce));
                // A record is for information only, so the verdict register stays 0.
                shown.sequence = low_u32(record.verdict_seq);
                shown.verdict = NO_VERDICT;
                (shown.reason, shown.score) = (record.reason, record.score);
                (shown.model, shown.image) = (record.model, record.image);
                shown.status = with_flags(shown.status, record.flags).with(Status::DONE, waits);
            }
            Some(PartReport::Refused(refused)) => {
                (shown.part_id, shown.nonce) = (refused.part_id, low_u16(refused.nonce));
                shown.reason = refused.reason;
            }
            None => {}
        }
        shown
    }

    /// The first of these reports that exists: the open part's verdict, the last part's record while it waits for its
    /// acknowledgement, a record from the journal, a refusal, the last part's record after its acknowledgement. `None` if there is
    /// no report, for example while a part is being judged.
    fn part_report(&self, session: &SessionSnapshot) -> Option<PartReport> {
        if let Some(verdict) = session.verdict {
            return Some(PartReport::Verdict(verdict));
        }
        // A part without a verdict or record is being judged, accepted or not.
        let idle = session.part.is_none() || session.record.is_some();
        let done = session.status.has(Status::DONE);
        let own = session.record.map(|record| PartReport::Record { record, waits: done });
        let replayed = self.replayed.filter(|_| idle).map(|record| PartReport::Record { record, waits: true });
        let is_visible = |nak: &Nak| idle || session.part == Some((nak.part_id, nak.nonce));
        let refused = self.refused.filter(is_visible).map(PartReport::Refused);
        if done { own } else { replayed.or(refused).or(own) }
    }

    fn execute(&mut self, now_ms: u64, written: Written, health: Option<&Health>) {
        self.session.plc_heartbeat(now_ms, u32::from(written.heartbeat));
        match written.command {
            AnyCommand::Plain(Command::None) => {}
            AnyCommand::Plain(Command::Trigger { part_id, nonce, epoch }) => {
                self.trigger(now_ms, part_id, nonce, epoch, 0);
            }
            AnyCommand::Bundle(BundleCommand::Trigger { part_id, nonce, epoch, bundle }) => {
                self.trigger(now_ms, part_id, nonce, epoch, bundle);
            }
            AnyCommand::Plain(Command::Acknowledge { part_id, nonce, sequence }) => {
                self.acknowledge((now_ms, health), part_id, nonce, sequence, ReasonCode::NONE);
            }
            AnyCommand::Bundle(BundleCommand::Acknowledge { part_id, nonce, sequence, gate }) => {
                self.acknowledge((now_ms, health), part_id, nonce, sequence, gate);
            }
            AnyCommand::Bundle(BundleCommand::Confirm { part_id, sequence, bundle }) => {
                let confirm = Confirm { verdict_seq: sequence.into(), part_id, bundle };
                // A repeated confirmation keeps the answer in the registers.
                if self.confirm.is_none_or(|(last, _)| last != confirm) {
                    self.confirm = Some((confirm, BundleSnapshot::NO_RESULT));
                }
                self.session.confirm(&confirm);
            }
            AnyCommand::Plain(Command::Clear { .. }) => {
                self.refused = None;
                self.session.clear();
            }
        }
    }

    fn trigger(&mut self, now_ms: u64, part_id: u64, nonce: u16, epoch: u32, bundle: u32) {
        let request = TriggerRequest { part_id, nonce: u32::from(nonce), deadline_ms: self.deadline_ms };
        if epoch == self.session.config().boot_epoch {
            (self.refused, self.replayed) = (None, None);
            self.session.trigger(now_ms, &request, bundle);
        } else {
            self.session.trigger_of_another_start(&request);
        }
    }

    fn acknowledge(
        &mut self,
        (now_ms, health): (u64, Option<&Health>),
        part_id: u64,
        nonce: u16,
        sequence: u32,
        gate: ReasonCode,
    ) {
        let acknowledged = self.awaited(now_ms, health).filter(|(ack, shown_nonce)| {
            low_u32(ack.verdict_seq) == sequence && ack.part_id == part_id && low_u16(*shown_nonce) == nonce
        });
        if let Some((ack, _)) = acknowledged {
            self.replayed = self.replayed.filter(|record| record.verdict_seq != ack.verdict_seq);
            self.session.acknowledge(&ack, gate);
        }
    }

    /// The acknowledgement that the registers wait for, and the nonce that the PLC must name with it.
    fn awaited(&mut self, now_ms: u64, health: Option<&Health>) -> Option<(Ack, u32)> {
        let session = self.session.snapshot(now_ms, health);
        let ack = |verdict_seq, part_id, code: VerdictCode| Ack { verdict_seq, part_id, code };
        match self.part_report(&session)? {
            PartReport::Verdict(report) => Some((ack(report.verdict_seq, report.part_id, report.code), report.nonce)),
            PartReport::Record { record: report, waits: true } => {
                Some((ack(report.verdict_seq, report.part_id, report.code), report.nonce))
            }
            PartReport::Record { .. } | PartReport::Refused(_) => None,
        }
    }
}

/// `status` with the bits for these flags. An unknown flag sets the bit for degraded.
fn with_flags(status: Status, flags: Flags) -> Status {
    let unknown = flags.0 & !(Flags::SIMULATED.0 | Flags::DEGRADED.0) != 0;
    status.with(SIMULATED, flags.has(Flags::SIMULATED)).with(Status::DEGRADED, unknown || flags.has(Flags::DEGRADED))
}
