//! A simulated device on a serial line or a pseudo-terminal, for trying out a Modbus client.
//!
//! `cargo run -p cellgate-protocol --example modbus_server -- PORT [UNIT]`; the port must be in raw mode already. Each
//! trigger is judged after 30 ms by its part number: a multiple of 3 is a PASS, one more a REVIEW, two more a REJECT.

use cellgate_protocol::code::Verdict;
use cellgate_protocol::modbus::command::Command;
use cellgate_protocol::modbus::framer::silence_ms;
use cellgate_protocol::modbus::link::Link;
use cellgate_protocol::modbus::server::Written;
use cellgate_protocol::modbus::snapshot::{NO_VERDICT, SIMULATED, Snapshot};
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::score::ScoreE4;
use cellgate_protocol::state::{State, Status};
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
        let registers = device.snapshot(link.is_armed()).to_registers();
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

/// What a real device does with a scanner, a network and a journal.
struct Device {
    part: (u64, u16),
    verdict: Option<Verdict>,
    acknowledged: bool,
    overrun: bool,
    sequence: u32,
    judged_ms: Option<u64>,
    heartbeat: u16,
    next_heartbeat_ms: u64,
}

impl Device {
    const fn new() -> Self {
        Self {
            part: (0, 0),
            verdict: None,
            acknowledged: true,
            overrun: false,
            sequence: 0,
            judged_ms: None,
            heartbeat: 0,
            next_heartbeat_ms: 0,
        }
    }

    fn wake_ms(&self) -> u64 {
        self.judged_ms.unwrap_or(u64::MAX).min(self.next_heartbeat_ms)
    }

    fn advance(&mut self, now_ms: u64) {
        if now_ms >= self.next_heartbeat_ms {
            self.heartbeat = self.heartbeat.wrapping_add(1);
            self.next_heartbeat_ms = now_ms + HEARTBEAT_MS;
        }
        if self.judged_ms.is_some_and(|judged_ms| now_ms >= judged_ms) {
            self.judged_ms = None;
            self.verdict = Some([Verdict::Pass, Verdict::Review, Verdict::Reject][(self.part.0 % 3) as usize]);
            self.sequence += 1;
            self.acknowledged = false;
        }
    }

    fn obey(&mut self, written: Written, now_ms: u64) {
        match written.command {
            Command::None => {}
            Command::Trigger { .. } if self.judged_ms.is_some() => self.overrun = true,
            Command::Trigger { part_id, nonce } => {
                (self.part, self.verdict) = ((part_id, nonce), None);
                self.judged_ms = Some(now_ms + JUDGING_MS);
            }
            Command::Acknowledge { part_id, nonce, sequence } => {
                self.acknowledged |= ((part_id, nonce), sequence) == (self.part, self.sequence);
            }
            Command::Clear { .. } => self.overrun = false,
        }
    }

    fn snapshot(&self, armed: bool) -> Snapshot {
        let busy = self.judged_ms.is_some();
        let (score, reason) = match self.verdict {
            None => (ScoreE4::NONE, ReasonCode(0)),
            Some(Verdict::Pass) => (ScoreE4(1_000), ReasonCode::SCORE_BELOW_REVIEW),
            Some(Verdict::Review) => (ScoreE4(5_000), ReasonCode::SCORE_FROM_REVIEW),
            Some(Verdict::Reject) => (ScoreE4(9_000), ReasonCode::SCORE_FROM_REJECT),
        };
        Snapshot {
            device: 1,
            state: u16::from(if busy { State::SingleExecution } else { State::Ready }.code().0),
            heartbeat: self.heartbeat,
            epoch: std::process::id(),
            status: (Status::STORE_OK.with(SIMULATED, true))
                .with(Status::READY, armed && !busy)
                .with(Status::BUSY, busy)
                .with(Status::DONE, self.verdict.is_some())
                .with(Status::VALID, self.verdict.is_some() && !self.acknowledged)
                .with(Status::OVERRUN, self.overrun),
            backlog: u16::from(!self.acknowledged),
            sequence: self.sequence,
            part_id: self.part.0,
            nonce: self.part.1,
            verdict: self.verdict.map_or(NO_VERDICT, Verdict::register),
            reason,
            score,
            ..Snapshot::EMPTY
        }
    }
}
