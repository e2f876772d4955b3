//! A simulated device on a serial line or a pseudo-terminal, for trying out a Modbus client.
//!
//! `cargo run -p cellgate-protocol --example modbus_server -- PORT [UNIT]`; the port must be in raw mode already. Each
//! trigger is judged after 30 ms by its part number: a multiple of 3 is a PASS, one more a REVIEW, two more a REJECT.

use cellgate_protocol::modbus::command::Command;
use cellgate_protocol::modbus::framer::silence_ms;
use cellgate_protocol::modbus::link::Link;
use cellgate_protocol::modbus::server::Written;
use cellgate_protocol::modbus::snapshot::{NO_SCORE, Snapshot, Status, verdict};
use std::fs::File;
use std::io::{Error, Read as _, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const HEARTBEAT_MS: u64 = 100;
const JUDGING_MS: u64 = 30;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let usage = || Error::other("usage: modbus_server PORT [UNIT]");
    let port = arguments.next().ok_or_else(usage)?;
    let unit = arguments.next().map_or(Ok(1), |unit| unit.parse()).map_err(Error::other)?;
    let mut link = Link::new(unit, silence_ms(115_200)).ok_or_else(usage)?;
    let mut port = File::options().read(true).write(true).open(port)?;
    let received = reader(port.try_clone()?);
    let start = Instant::now();
    let now_ms = || start.elapsed().as_millis() as u64;
    let mut device = Device::new();
    loop {
        let wake_ms = link.poll_at_ms().unwrap_or(u64::MAX).min(device.wake_ms());
        let bytes = match received.recv_timeout(Duration::from_millis(wake_ms.saturating_sub(now_ms()))) {
            Ok(bytes) => bytes,
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            // The client's side was closed.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        device.advance(now_ms());
        let snapshot =
            Snapshot { status: Status { ready: link.is_armed(), ..device.snapshot.status }, ..device.snapshot };
        let registers = snapshot.to_registers();
        let written = |written| device.obey(written, now_ms());
        let answer = if bytes.is_empty() {
            link.poll(now_ms(), &registers, written)
        } else {
            link.receive(&bytes, now_ms(), &registers, written)
        };
        if let Some(answer) = answer {
            port.write_all(answer)?;
        }
    }
}

/// Reads in a thread of its own, until the port is closed.
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

/// What a real device does with a camera, a network and a journal.
struct Device {
    snapshot: Snapshot,
    next_heartbeat_ms: u64,
    judged_ms: Option<u64>,
}

impl Device {
    fn new() -> Self {
        let status = Status { store_ok: true, simulated: true, ..Status::default() };
        let snapshot =
            Snapshot { device: 1, state: 6, epoch: std::process::id(), status, score: NO_SCORE, ..Snapshot::default() };
        Self { snapshot, next_heartbeat_ms: 0, judged_ms: None }
    }

    fn wake_ms(&self) -> u64 {
        self.judged_ms.unwrap_or(u64::MAX).min(self.next_heartbeat_ms)
    }

    fn advance(&mut self, now_ms: u64) {
        let snapshot = &mut self.snapshot;
        if now_ms >= self.next_heartbeat_ms {
            snapshot.heartbeat = snapshot.heartbeat.wrapping_add(1);
            self.next_heartbeat_ms = now_ms + HEARTBEAT_MS;
        }
        if self.judged_ms.is_some_and(|judged_ms| now_ms >= judged_ms) {
            self.judged_ms = None;
            let third = (snapshot.part_id % 3) as usize;
            snapshot.verdict = [verdict::PASS, verdict::REVIEW, verdict::REJECT][third];
            snapshot.score = [1_000, 5_000, 9_000][third];
            snapshot.reason = [1, 2, 3][third];
            snapshot.sequence += 1;
            snapshot.backlog += 1;
            snapshot.state = 6;
            snapshot.status = Status { busy: false, done: true, valid: true, ..snapshot.status };
        }
    }

    fn obey(&mut self, written: Written, now_ms: u64) {
        let snapshot = &mut self.snapshot;
        match written.command {
            Command::None => {}
            Command::Trigger { .. } if self.judged_ms.is_some() => snapshot.status.overrun = true,
            Command::Trigger { part_id, nonce } => {
                (snapshot.part_id, snapshot.nonce) = (part_id, nonce);
                (snapshot.verdict, snapshot.score, snapshot.reason) = (verdict::NONE, NO_SCORE, 0);
                snapshot.state = 7;
                snapshot.status = Status { busy: true, done: false, valid: false, ..snapshot.status };
                self.judged_ms = Some(now_ms + JUDGING_MS);
            }
            Command::Acknowledge { part_id, nonce, sequence } => {
                if (part_id, nonce, sequence) == (snapshot.part_id, snapshot.nonce, snapshot.sequence) {
                    snapshot.status.valid = false;
                    snapshot.backlog = 0;
                }
            }
            Command::Clear { .. } => snapshot.status.overrun = false,
        }
    }
}
