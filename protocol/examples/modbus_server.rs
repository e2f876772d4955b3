//! Simulates a device on a serial port or a pseudo-terminal, to try a Modbus client with.
//!
//! `cargo run -p cellgate-protocol --example modbus_server -- PORT [UNIT [bundles]]`. The port must already be in raw mode. The
//! session and the registers are the real ones. Each part gets its verdict after 30 ms. The part's number modulo 3 decides: 0 is PASS,
//! 1 is REVIEW, 2 is REJECT. Every verdict has the flag "simulated".
//!
//! With `bundles` the device has registers 32 to 41 and the commands 4 to 6. A bundle needs three confirmed reference parts; until then
//! a PASS is a REVIEW. Bundles whose number is a multiple of 7 are then refused as unlike the training.

use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::health::{Health, WorkerProgress};
use cellgate_protocol::link::Output;
use cellgate_protocol::modbus::device::ModbusDevice;
use cellgate_protocol::modbus::framer::{FRAME_MAX, silence_ms};
use cellgate_protocol::modbus::link::Link;
use cellgate_protocol::modbus::unit::Unit;
use cellgate_protocol::part::{Outcome, Trigger};
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::score::ScoreE4;
use cellgate_protocol::session::device::{Condition, DeviceEvent, DeviceSession, DeviceSessionConfig, Mode};
use cellgate_protocol::session::repeat::first_wait_ms;
use cellgate_protocol::to_plc::Flags;
use cellgate_protocol::version::Schema;
use cellgate_test_line::bundle::BundleModel;
use std::fs::File;
use std::io::{Error, Read as _, Write as _};
use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const BAUD: u32 = 115_200;
const DEADLINE_MS: u32 = 5_000;
const JUDGING_MS: u64 = 30;
const POLL_MS: u64 = 5;
const REFERENCE_PARTS: u16 = 3;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let usage = || Error::other("usage: modbus_server PORT [UNIT [bundles]]");
    let port = arguments.next().ok_or_else(usage)?;
    let unit = arguments.next().map_or(Ok(1), |unit| unit.parse()).map_err(Error::other)?;
    let schema = match arguments.next().as_deref() {
        None => Schema::One,
        Some("bundles") => Schema::Two,
        Some(_) => return Err(usage()),
    };
    let link = Link::new(Unit::try_from(unit).map_err(Error::other)?, silence_ms(BAUD));
    let mut port = File::options().read(true).write(true).open(port)?;
    let received = reader(port.try_clone()?);
    // The boot epoch differs at each start. A real device takes it from its journal.
    let (boot_epoch, first_wait_ms) = (std::process::id(), first_wait_ms(BAUD));
    let config = DeviceSessionConfig { device: 1, boot_epoch, first_wait_ms, schema };
    let mut device = ModbusDevice::new(DeviceSession::new(config), link, DEADLINE_MS);
    device.session().set_condition(Condition { mode: Mode::Operating, store_ok: true, degraded: false, backlog: 0 });
    let mut judge = Judge { open: None, verdict_seq: NonZeroU64::MIN, bundle: BundleModel::new(REFERENCE_PARTS) };
    let start = Instant::now();
    loop {
        match received.recv_timeout(Duration::from_millis(POLL_MS)) {
            Ok(bytes) => device.feed(start.elapsed().as_millis() as u64, &bytes),
            Err(RecvTimeoutError::Timeout) => {}
            // The other side closed the port.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        let now_ms = start.elapsed().as_millis() as u64;
        let health = Health::attest(now_ms, &[WorkerProgress { last_ms: now_ms, allowed_ms: 0 }]);
        judge.judge(now_ms, device.session(), health.as_ref());
        device.session().set_bundle(judge.bundle.state());
        let mut out = [0; FRAME_MAX];
        while let Some(output) = device.poll(now_ms, health.as_ref(), &mut out) {
            match output {
                Output::Bytes(bytes) => port.write_all(bytes)?,
                Output::Event(DeviceEvent::Triggered(trigger)) => {
                    judge.bundle.enter(trigger.bundle());
                    device.session().accept(&trigger);
                    judge.open = Some((trigger, now_ms + JUDGING_MS));
                }
                Output::Event(DeviceEvent::Confirm(confirm)) => {
                    let (result, _) = judge.bundle.confirm(&confirm);
                    device.session().answer(&confirm, result);
                }
                Output::Event(_) => {}
            }
        }
    }
}

/// Starts a thread that reads from the port until the port is closed, and returns what it reads.
fn reader(mut port: File) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 256];
        while let Ok(count @ 1..) = port.read(&mut bytes) {
            if sender.send(bytes[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Replaces the scanner, the network and the journal of a real device.
struct Judge {
    /// The open part, and when it gets its verdict.
    open: Option<(Trigger, u64)>,
    verdict_seq: NonZeroU64,
    bundle: BundleModel,
}

impl Judge {
    /// Concludes the open part [`JUDGING_MS`] after its trigger. There is no journal, so the verdict counts as committed at once.
    fn judge(&mut self, now_ms: u64, session: &mut DeviceSession, health: Option<&Health>) {
        let Some((trigger, _)) = self.open.take_if(|(_, at_ms)| now_ms >= *at_ms) else { return };
        let part_id = trigger.part_id();
        let outcome = self.bundle.limited(outcome(part_id));
        if let Ok(pending) = session.conclude(now_ms, trigger, outcome) {
            self.bundle.judged(self.verdict_seq.get(), part_id, outcome.verdict, outcome.image);
            let committed = pending.committed(self.verdict_seq);
            session.send_verdict(now_ms, committed, health);
            self.verdict_seq = self.verdict_seq.saturating_add(1);
        }
    }
}

fn outcome(part_id: u64) -> Outcome {
    let (verdict, reason, score) = match part_id % 3 {
        0 => (WireVerdict::Pass, ReasonCode::SCORE_BELOW_REVIEW, ScoreE4(1_000)),
        1 => (WireVerdict::Review, ReasonCode::SCORE_FROM_REVIEW, ScoreE4(5_000)),
        _ => (WireVerdict::Reject, ReasonCode::SCORE_FROM_REJECT, ScoreE4(9_000)),
    };
    let image = DigestStart(part_id.to_be_bytes());
    Outcome { verdict, reason, score, model: DigestStart::NONE, image, flags: Flags::SIMULATED }
}
