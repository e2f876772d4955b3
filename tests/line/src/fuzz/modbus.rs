//! The device behind Modbus registers, driven by steps of time, bytes and events: no panic, an answer only to a frame with a
//! right CRC by another computation, a part judged only for a sealed trigger of this start, and after all of it and a silence
//! the next request is answered, at once.

use super::application::{Application, EPOCH};
use super::bits::{crc, crc_32c};
use super::steps::Steps;
use cellgate_protocol::{
    code::WireVerdict,
    link::Output,
    modbus::{
        codec::Request,
        command::{Command, CommandBlock},
        device::ModbusDevice,
        link::Link,
        map::{COMMAND_ADDRESS, COMMAND_REGISTERS},
        registers::Registers,
        snapshot::ModbusSnapshot,
        unit::Unit,
    },
    session::device::DeviceEvent,
    state::Status,
};

const UNIT: Unit = Unit::FIRST;
const SILENCE_MS: u64 = 20;
/// The longest frame.
const LONGEST: usize = 256;

struct Line {
    device: ModbusDevice,
    application: Application,
    /// The end of all that was said, and how much of it is new.
    said: Vec<u8>,
    new: usize,
}

/// Says how many verdicts were acknowledged.
pub fn run(input: &[u8]) -> u32 {
    let mut steps = Steps::new(input);
    let application = Application::new();
    let device = ModbusDevice::new(application.session(), Link::new(UNIT, SILENCE_MS), 400);
    let mut line = Line { device, application, said: Vec::new(), new: 0 };
    while !steps.is_over() {
        match steps.byte() % 8 {
            0..=2 => line.hears_command(&mut steps),
            3 | 4 => line.application.act(line.device.session(), &mut steps),
            5 => line.application.now_ms += u64::from(steps.byte()),
            6 => {
                let mut frame = [&[UNIT.number()], steps.bytes()].concat();
                frame.extend(crc_16(&frame).to_le_bytes());
                steps.damage(&mut frame);
                line.hears(&frame);
            }
            _ => line.hears(steps.bytes()),
        }
        line.drain();
    }
    if line.application.is_waiting() {
        line.application.now_ms += 700_000;
        line.drain();
        assert!(!line.application.is_waiting(), "a part that nobody concludes");
    }
    line.application.now_ms += SILENCE_MS;
    line.drain();
    let shown = line.shown();
    if shown.status.has(Status::VALID) {
        let in_hand = (shown.part_id, u32::from(shown.nonce), u64::from(shown.sequence));
        line.application.may_say(in_hand, WireVerdict::from_register(shown.verdict));
    }
    line.application.delivered
}

fn crc_16(bytes: &[u8]) -> u16 {
    crc(bytes, 0xA001, 0xFFFF) as u16
}

fn encoded(request: &Request<'_>) -> Vec<u8> {
    request.encode(UNIT.number(), &mut [0; LONGEST]).expect("no more registers than fit").to_vec()
}

impl Line {
    /// A command block or a piece of one, sealed but for some bits, its frame whole or damaged.
    fn hears_command(&mut self, steps: &mut Steps<'_>) {
        let (shape, part_id, nonce, argument) = (steps.byte(), steps.byte(), steps.byte(), steps.byte());
        let (part_id, nonce, argument) = (u64::from(part_id), u16::from(nonce), u32::from(argument));
        let command = match shape % 4 {
            0 => Command::None,
            1 => Command::Trigger { part_id, nonce, epoch: argument },
            2 => Command::Acknowledge { part_id, nonce, sequence: argument },
            _ => Command::Clear { nonce },
        };
        let heartbeat = u16::from(shape / 4);
        let mut registers = CommandBlock { heartbeat, command }.to_registers();
        let piece = steps.byte();
        let (first, flip) = (usize::from(piece & 0x0F) % COMMAND_REGISTERS, piece >> 4);
        registers[usize::from(flip) % COMMAND_REGISTERS] ^= u16::from(flip);
        let values = Registers::new(&registers[first..]);
        let request = Request::WriteMultiple { address: COMMAND_ADDRESS + first as u16, values };
        let mut frame = encoded(&request);
        steps.damage(&mut frame);
        self.hears(&frame);
    }

    fn hears(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.device.feed(self.application.now_ms, bytes);
        self.said.drain(..self.said.len().saturating_sub(LONGEST));
        self.said.extend(bytes);
        self.new = bytes.len();
    }

    /// Polls until there is nothing to do, and judges what is said.
    fn drain(&mut self) {
        let (now_ms, health) = (self.application.now_ms, self.application.health());
        let mut triggered = None;
        let mut out = [0; LONGEST];
        for _ in 0..100 {
            match self.device.poll(now_ms, health.as_ref(), &mut out) {
                None => {
                    if let Some((part_id, nonce)) = triggered {
                        self.is_asked_for(part_id, nonce);
                    }
                    return;
                }
                Some(Output::Event(event)) => {
                    if let DeviceEvent::Triggered(trigger) = &event {
                        triggered = Some((trigger.part_id(), trigger.nonce()));
                    }
                    self.application.hear(event);
                }
                Some(Output::Bytes(bytes)) => {
                    assert!(is_ours(bytes), "an answer with a wrong CRC");
                    assert!(self.is_answerable(), "an answer to no frame");
                }
            }
        }
        panic!("the session never comes to rest");
    }

    /// Did a frame of our unit with a right CRC end in what was said just now?
    fn is_answerable(&self) -> bool {
        let newest = self.said.len() - self.new;
        // A frame's CRC, continued over itself, is 0.
        let ends = |start: usize| {
            let mut crc_now = 0xFFFF;
            (start..self.said.len().min(start + LONGEST)).any(|at| {
                crc_now = crc(&self.said[at..=at], 0xA001, crc_now);
                crc_now == 0 && at + 1 >= start + 4 && at >= newest
            })
        };
        is_ours(&self.said[newest..])
            || (0..self.said.len()).any(|start| self.said[start] == UNIT.number() && ends(start))
    }

    /// A part is judged only for the block that the device holds: sealed, a trigger, of this start. Where the frame did not
    /// come alone, something may wait behind it.
    fn is_asked_for(&mut self, part_id: u64, nonce: u32) {
        if !is_ours(&self.said[self.said.len() - self.new..]) {
            return;
        }
        let block = self.read(&Request::ReadHolding { address: COMMAND_ADDRESS, count: COMMAND_REGISTERS as u16 });
        let (registers, seal) = block.split_at(22);
        assert_eq!(crc_32c(registers).to_be_bytes(), seal, "a block that is not sealed");
        let number = |at: usize, count: usize| {
            registers[2 * at..2 * (at + count)].iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
        };
        // Several requests at once leave the last one's block.
        if number(1, 1) == 1 && number(3, 4) == part_id {
            assert_eq!((number(2, 1), number(7, 2)), (nonce.into(), EPOCH.into()), "a trigger of another start");
        }
    }

    /// The bytes of these registers; the line is silent before.
    fn read(&mut self, request: &Request<'_>) -> Vec<u8> {
        let (now_ms, health) = (self.application.now_ms, self.application.health());
        self.device.feed(now_ms, &encoded(request));
        let mut out = [0; LONGEST];
        match self.device.poll(now_ms, health.as_ref(), &mut out) {
            Some(Output::Bytes(answer)) if is_ours(answer) => answer[3..answer.len() - 2].to_vec(),
            other => panic!("a poll after silence is lost: {other:?}"),
        }
    }

    fn shown(&mut self) -> ModbusSnapshot {
        let bytes = self.read(&Request::ReadInput { address: 0, count: 32 });
        let registers = Registers::from_bytes(&bytes).and_then(|registers| registers.to_array());
        ModbusSnapshot::from_registers(&registers.expect("32 registers")).expect("a sealed snapshot")
    }
}

/// A frame of our unit with a right CRC.
fn is_ours(frame: &[u8]) -> bool {
    let Some((said, check)) = frame.split_last_chunk::<2>() else { return false };
    said.len() >= 2 && said[0] == UNIT.number() && crc_16(said).to_le_bytes() == *check
}
