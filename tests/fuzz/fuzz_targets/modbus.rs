//! Any bytes at any time on a Modbus line: no panic, an answer only to a frame with a right CRC, and after all of it and a
//! silence the next request is answered, at once.
//!
//! The input is a list of steps: a kind, a length, that many bytes. Some kinds add the check sums that noise would hardly hit.

#![no_main]

use cellgate_protocol::modbus::codec::{Request, Response};
use cellgate_protocol::modbus::command::{Command, CommandBlock};
use cellgate_protocol::modbus::crc16;
use cellgate_protocol::modbus::link::Link;
use cellgate_protocol::modbus::map::COMMAND_ADDRESS;
use cellgate_protocol::modbus::registers::Registers;
use cellgate_protocol::modbus::snapshot::Snapshot;
use libfuzzer_sys::fuzz_target;

const UNIT: u8 = 1;

struct Line {
    link: Link,
    snapshot: [u16; 32],
    said: Vec<u8>,
    now_ms: u64,
}

impl Line {
    /// Byte by byte, so that each answer belongs to a frame that ends there.
    fn hears(&mut self, bytes: &[u8]) -> bool {
        let mut answered = false;
        for byte in bytes {
            self.said.push(*byte);
            let answer = self.link.receive(&[*byte], self.now_ms, &self.snapshot, |_| {});
            answered = check(answer, &self.said);
        }
        answered
    }

    fn waits(&mut self, time_ms: u64) -> bool {
        self.now_ms += time_ms;
        check(self.link.poll(self.now_ms, &self.snapshot, |_| {}), &self.said)
    }
}

fn check(answer: Option<&[u8]>, said: &[u8]) -> bool {
    let Some(answer) = answer else { return false };
    assert!(crc16::checked(answer).is_some_and(|answer| answer[0] == UNIT), "a wrong answer");
    let ends = |length| said.len().checked_sub(length).map(|start| &said[start..]);
    let is_ours = |frame: &[u8]| frame[0] == UNIT && crc16::checked(frame).is_some();
    assert!((4..=256).filter_map(ends).any(is_ours), "an answer to no frame");
    true
}

fuzz_target!(|input: &[u8]| {
    let snapshot = Snapshot { part_id: 7, ..Snapshot::EMPTY }.to_registers();
    let mut line = Line { link: Link::new(UNIT, 20).expect("a right unit"), snapshot, said: Vec::new(), now_ms: 0 };
    let mut rest = input;
    while let [kind, length, after @ ..] = rest {
        let (bytes, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        let mut frame = vec![UNIT];
        match kind % 4 {
            0 => {
                line.hears(bytes);
            }
            1 => {
                frame.extend(bytes);
                frame.extend(crc16::bytes_of(&frame));
                line.hears(&frame);
            }
            2 => {
                let mut fields = [0; 8];
                fields.iter_mut().zip(bytes).for_each(|(field, byte)| *field = *byte);
                let [kind, heartbeat, nonce, part, sequence, first, count, flip] = fields;
                let (nonce, part_id, sequence) = (u16::from(nonce), u64::from(part), u32::from(sequence));
                let command = match kind % 4 {
                    0 => Command::None,
                    1 => Command::Trigger { part_id, nonce },
                    2 => Command::Acknowledge { part_id, nonce, sequence },
                    _ => Command::Clear { nonce },
                };
                let mut registers = CommandBlock { heartbeat: heartbeat.into(), command }.to_registers();
                registers[usize::from(flip >> 4) % 13] ^= u16::from(flip & 0x0F);
                let first = usize::from(first) % 13;
                let end = (first + 1 + usize::from(count)).min(13);
                let values = Registers::new(&registers[first..end]);
                let request = Request::WriteMultiple { address: COMMAND_ADDRESS + first as u16, values };
                let mut out = [0; 256];
                line.hears(request.encode(UNIT, &mut out).expect("1 to 13 registers"));
            }
            _ => {
                line.waits(u64::from(*length));
            }
        }
    }
    let request = Request::ReadInput { address: 0, count: 32 };
    let mut out = [0; 256];
    let frame = request.encode(UNIT, &mut out).expect("32 registers").to_vec();
    line.waits(20);
    assert!(line.hears(&frame), "a poll after silence is lost");
    let _ = Response::decode(input, UNIT, &request);
});
