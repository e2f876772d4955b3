//! The PLC's end: reads the registers, passes their content to the session, and writes one command at a time.
//!
//! A client may send a request only after the previous request was answered or timed out. Each write is followed by a read, so
//! that every command is based on the device's current state. Writes have this priority:
//!
//! 1. command 0 after a restart of the device ([arming](super::server::Server::is_armed)),
//! 2. an acknowledgement,
//! 3. a trigger, when the device shows that it is ready,
//! 4. a confirmation,
//! 5. the heartbeat.

use super::asked::{Answer, Asked};
use super::bundle_command::{AnyCommand, BundleCommand};
use super::codec::FrameBuffer;
use super::command::Command;
use super::framer::{Direction, Framer, silence_ms};
use super::from_snapshot;
use super::input::BundleSnapshot;
use super::map::{low_u16, low_u32};
use super::snapshot::{ModbusSnapshot, SnapshotError};
use super::unit::Unit;
use crate::{
    bundle::{Confirm, Confirmed},
    limits::PLC_SILENT_MS,
    link::{Counters, Output, plc::Ends},
    session::plc::{PlcAction, PlcEvent, PlcSession},
    state::Status,
    to_device::{BundleTrigger, ToDevice, TriggerRequest},
    to_plc::{BundleHeartbeat, ToPlc},
    version::Schema,
};

/// The interval of reads while nothing is written.
pub const READ_EVERY_MS: u64 = 20;

/// The shortest time-out of an answer.
pub const ANSWER_MS: u64 = 100;

/// A [`PlcSession`] that reads and writes registers. After each input, and at least every 10 ms, call
/// [`ModbusPlc::poll`] until it returns `None`.
///
/// The registers have only the low 16 bits of a nonce. These bits must differ from those of the previous trigger's nonce. A part's
/// deadline is configured on both sides. The PLC counts it from the session's trigger, the device from the arrival of the trigger.
#[derive(Debug)]
pub struct ModbusPlc {
    session: PlcSession,
    unit: Unit,
    ends: Ends,
    framer: Framer,
    /// The request that waits for its answer, the command that it writes, and when it times out.
    asked: Option<(Asked, Option<AnyCommand>, u64)>,
    device: Option<Device>,
    /// The last request was a read.
    has_read: bool,
    read_due_ms: u64,
    /// The session's last trigger.
    part: Option<TriggerRequest>,
    /// The trigger that waits to be written.
    trigger: Option<AnyCommand>,
    /// The acknowledgement that waits to be written.
    acknowledge: Option<AnyCommand>,
    /// The session's confirmation.
    confirm: Option<Confirming>,
    heartbeat: u16,
    heartbeat_due: bool,
    unanswered: u32,
    counters: Counters,
}

/// A confirmation of the session, on its way to the device.
#[derive(Debug, Clone, Copy)]
struct Confirming {
    confirm: Confirm,
    /// It waits to be written.
    due: bool,
    /// The device has confirmed a write of it, so from the next read on the registers show its answer.
    written: bool,
}

/// The device's state from its registers.
#[derive(Debug)]
struct Device {
    boot_epoch: u32,
    heartbeat: u16,
    heard_ms: u64,
    /// The device has confirmed a command 0 of this client since the device's start.
    armed: bool,
    /// The device was ready at the last read, and nothing was written since.
    ready: bool,
}

impl ModbusPlc {
    /// A client of this unit. It uses only two fields of `ends`: `device`, and `first_wait_ms`, which is the time-out of an
    /// answer if it is longer than [`ANSWER_MS`].
    #[must_use]
    pub fn new(now_ms: u64, session: PlcSession, unit: Unit, ends: Ends) -> Self {
        Self {
            session,
            unit,
            ends,
            // The speed of the link is not known here; 115,200 Bd gives the shortest silence, 20 ms. It only matters after noise: without
            // noise a response is found by its length, without a silence.
            framer: Framer::new(Direction::Responses, silence_ms(115_200)),
            asked: None,
            device: None,
            has_read: false,
            read_due_ms: now_ms,
            part: None,
            trigger: None,
            acknowledge: None,
            confirm: None,
            heartbeat: 0,
            heartbeat_due: false,
            unanswered: 0,
            counters: Counters::default(),
        }
    }

    /// The session behind the registers.
    pub fn session(&mut self) -> &mut PlcSession {
        &mut self.session
    }

    /// The counters of the link: `frames` are answers, `dropped` are answers that could not be used, `incompatible` are answers
    /// with another map or of another device, `links` are starts of the device.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Requests that timed out, wrapping.
    #[must_use]
    pub const fn unanswered(&self) -> u32 {
        self.unanswered
    }

    /// The device's boot epoch, while it answers.
    #[must_use]
    pub fn boot_epoch(&self, now_ms: u64) -> Option<u32> {
        self.device.as_ref().filter(|device| device.is_heard(now_ms)).map(|device| device.boot_epoch)
    }

    /// Call this when the port was lost and reopened. Drops a partial answer and the request that waited for it.
    pub fn reopened(&mut self) {
        self.framer.drop_all();
        self.asked = None;
    }

    /// Feeds received bytes.
    pub fn feed(&mut self, now_ms: u64, bytes: &[u8]) {
        self.receive(now_ms, |framer, on_frame| framer.feed(bytes, now_ms, on_frame));
    }

    /// The next action. Bytes to send are in `out`.
    pub fn poll<'a>(&mut self, now_ms: u64, out: &'a mut FrameBuffer) -> Option<Output<'a, PlcEvent>> {
        self.receive(now_ms, |framer, on_frame| framer.poll(now_ms, on_frame));
        while let Some(action) = self.session.poll(now_ms) {
            match action {
                PlcAction::Event(event) => {
                    if let PlcEvent::Decided(_) = event {
                        self.trigger = None;
                    }
                    return Some(Output::Event(event));
                }
                PlcAction::Send(message) => self.queue(&message),
            }
        }
        match self.asked {
            Some((.., until_ms)) if now_ms < until_ms => return None,
            Some(_) => self.unanswered = self.unanswered.wrapping_add(1),
            None => {}
        }
        let (asked, command) = self.next(now_ms)?;
        let until_ms = now_ms.saturating_add(ANSWER_MS.max(self.ends.first_wait_ms));
        self.asked = Some((asked, command, until_ms));
        self.framer.drop_all();
        // At most 42 registers to read or 16 to write: both fit.
        asked.request().encode(self.unit.number(), out).ok().map(Output::Bytes)
    }

    /// Queues a message of the session as a command.
    fn queue(&mut self, message: &ToDevice) {
        match message {
            ToDevice::Trigger(request) => {
                self.queue_trigger(request, |part_id, nonce, epoch| Command::Trigger { part_id, nonce, epoch }.into());
            }
            ToDevice::BundleTrigger(BundleTrigger { trigger, bundle }) => {
                self.queue_trigger(trigger, |part_id, nonce, epoch| {
                    BundleCommand::Trigger { part_id, nonce, epoch, bundle: *bundle }.into()
                });
            }
            ToDevice::Confirm(confirm) => {
                let written = self.confirm.is_some_and(|known| known.confirm == *confirm && known.written);
                self.confirm = Some(Confirming { confirm: *confirm, due: true, written });
            }
            ToDevice::Heartbeat(_) => self.heartbeat_due = true,
            // `snapshot_received` queues acknowledgements, because they need the registers' nonce. HELLO and
            // ERROR exist only in native frames.
            ToDevice::Ack(_) | ToDevice::GateAck(_) | ToDevice::Hello(_) | ToDevice::Error(_) => {}
        }
    }

    /// Queues the command that `make` makes of part id, nonce and boot epoch.
    fn queue_trigger(&mut self, request: &TriggerRequest, make: impl FnOnce(u64, u16, u32) -> AnyCommand) {
        self.part = Some(*request);
        // Without a device nothing is queued. The session will repeat the trigger.
        let epoch = self.device.as_ref().map(|device| device.boot_epoch);
        self.trigger = epoch.map(|epoch| make(request.part_id, low_u16(request.nonce), epoch));
    }

    /// The next request, and the command that it writes.
    fn next(&mut self, now_ms: u64) -> Option<(Asked, Option<AnyCommand>)> {
        self.asked = None;
        if self.has_read
            && let Some(device) = &mut self.device
        {
            let confirm = self.confirm.as_mut().filter(|confirm| confirm.due);
            let command = if !device.armed {
                Some(Command::None.into())
            } else if let Some(acknowledge) = self.acknowledge.take() {
                Some(acknowledge)
            } else if device.ready && self.trigger.is_some() {
                self.trigger.take()
            } else if let Some(Confirming { confirm, due, .. }) = confirm {
                *due = false;
                let Confirm { verdict_seq, part_id, bundle } = *confirm;
                Some(BundleCommand::Confirm { part_id, sequence: low_u32(verdict_seq), bundle }.into())
            } else {
                self.heartbeat_due.then_some(Command::None.into())
            };
            if let Some(command) = command {
                (self.has_read, self.heartbeat_due, device.ready) = (false, false, false);
                self.heartbeat = self.heartbeat.wrapping_add(1);
                return Some((Asked::write(self.heartbeat, command), Some(command)));
            }
        }
        if self.has_read && now_ms < self.read_due_ms {
            return None;
        }
        (self.has_read, self.read_due_ms) = (true, now_ms.saturating_add(READ_EVERY_MS));
        Some((Asked::Read(self.session.config().schema), None))
    }

    /// Handles the first frame that answers the pending request.
    fn receive(&mut self, now_ms: u64, frames: impl FnOnce(&mut Framer, &mut dyn FnMut(&[u8]))) {
        let (unit, counters) = (self.unit.number(), &mut self.counters);
        let mut answered = None;
        let mut on_frame = |frame: &[u8]| {
            counters.frames = counters.frames.wrapping_add(1);
            let asked = self.asked.as_ref().filter(|_| answered.is_none());
            match asked.and_then(|(asked, ..)| asked.answer(frame, unit)) {
                Some(answer) => answered = Some(answer),
                None => counters.dropped = counters.dropped.wrapping_add(1),
            }
        };
        frames(&mut self.framer, &mut on_frame);
        let Some(answer) = answered else { return };
        let command = self.asked.take().and_then(|(_, command, _)| command);
        match answer {
            Answer::Shown(Ok((shown, bundle))) => self.snapshot_received(now_ms, &shown, &bundle),
            Answer::NoBundles | Answer::Shown(Err(SnapshotError::Magic(_) | SnapshotError::Version(_))) => {
                self.incompatible(now_ms);
            }
            Answer::Refused | Answer::Shown(Err(SnapshotError::Crc | SnapshotError::Complement)) => self.drop_answer(),
            Answer::Written => match (command, &mut self.device, &mut self.confirm) {
                (Some(AnyCommand::Plain(Command::None)), Some(device), _) => device.armed = true,
                // A write in progress when the session replaced its confirmation is not one of the new confirmation.
                (Some(AnyCommand::Bundle(BundleCommand::Confirm { part_id, sequence, bundle })), _, Some(last)) => {
                    last.written |= last.confirm.names(sequence.into(), part_id, bundle);
                }
                _ => {}
            },
        }
    }

    /// Handles a valid snapshot of the device.
    fn snapshot_received(&mut self, now_ms: u64, shown: &ModbusSnapshot, bundle: &BundleSnapshot) {
        if self.ends.device.is_some_and(|device| device != shown.device) {
            return self.incompatible(now_ms);
        }
        match &mut self.device {
            Some(device) if device.boot_epoch == shown.epoch => {
                let older = shown.heartbeat.wrapping_sub(device.heartbeat).cast_signed() < 0;
                // An older counter means a delayed, outdated answer. But if no answer came for a long time, the counter may have
                // advanced by any number, so a comparison proves nothing.
                if older && device.is_heard(now_ms) {
                    return self.drop_answer();
                }
                (device.heartbeat, device.heard_ms) = (shown.heartbeat, now_ms);
            }
            _ => {
                self.counters.links = self.counters.links.wrapping_add(1);
                self.device = Some(Device {
                    boot_epoch: shown.epoch,
                    heartbeat: shown.heartbeat,
                    heard_ms: now_ms,
                    armed: false,
                    ready: false,
                });
                (self.acknowledge, self.trigger, self.confirm) = (None, None, None);
                self.session.device_found(now_ms, shown.epoch);
            }
        }
        if let Some(device) = &mut self.device {
            device.ready = shown.status.has(Status::READY);
        }
        let heartbeat = from_snapshot::heartbeat(shown);
        self.session.receive(now_ms, &ToPlc::BundleHeartbeat(BundleHeartbeat { heartbeat, bundle: bundle.state }));
        self.take_confirmed(now_ms, bundle);
        let asked = self.part.filter(|part| (part.part_id, low_u16(part.nonce)) == (shown.part_id, shown.nonce));
        let nonce = asked.map_or(u32::from(shown.nonce), |part| part.nonce);
        let Some(message) = from_snapshot::of_part(shown, nonce) else { return };
        if asked.is_some() {
            // The device has the trigger.
            self.trigger = None;
        }
        self.session.receive(now_ms, &message);
        if let ToPlc::Verdict(_) | ToPlc::Record(_) = message {
            let (ModbusSnapshot { part_id, nonce: low, sequence, .. }, gate) =
                (*shown, self.session.gate_reason(shown.part_id, nonce));
            self.acknowledge = Some(match self.session.config().schema {
                Schema::One => Command::Acknowledge { part_id, nonce: low, sequence }.into(),
                Schema::Two => BundleCommand::Acknowledge { part_id, nonce: low, sequence, gate }.into(),
            });
        }
    }

    /// Passes the answer to the session's confirmation on, if the registers show it.
    fn take_confirmed(&mut self, now_ms: u64, shown: &BundleSnapshot) {
        let answered = self.confirm.filter(|last| {
            let is_shown = low_u32(last.confirm.verdict_seq) == shown.sequence;
            last.written && is_shown && shown.result != BundleSnapshot::NO_RESULT
        });
        if let Some(Confirming { confirm, .. }) = answered {
            self.confirm = None;
            self.session.receive(now_ms, &ToPlc::Confirmed(Confirmed { confirm, result: shown.result }));
        }
    }

    /// Ends the open part and forgets the device, because the device has another map or is another device.
    fn incompatible(&mut self, now_ms: u64) {
        self.counters.incompatible = self.counters.incompatible.wrapping_add(1);
        self.device = None;
        self.session.device_incompatible(now_ms);
    }

    fn drop_answer(&mut self) {
        self.counters.dropped = self.counters.dropped.wrapping_add(1);
    }
}

impl Device {
    const fn is_heard(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.heard_ms) < PLC_SILENT_MS
    }
}
