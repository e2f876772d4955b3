//! Drives the device through Modbus registers, with steps of time, bytes and events. The test checks that:
//!
//! - nothing panics,
//! - only a frame whose CRC is right according to a second implementation is answered,
//! - only a trigger of this boot epoch in a block with a right CRC-32C has a part judged, in the bundle that it names,
//! - after a silence the next request is answered at once.

use super::application::{Application, EPOCH};
use super::bits::{crc, crc_32c};
use super::steps::Steps;
use cellgate_protocol::{
    code::WireVerdict,
    link::Output,
    modbus::{
        bundle_command::{BundleCommand, BundleCommandBlock},
        codec::Request,
        command::{Command, CommandBlock},
        device::ModbusDevice,
        input::BundleSnapshot,
        link::Link,
        map::{BUNDLE_COMMAND_ADDRESS, BUNDLE_COMMAND_REGISTERS, COMMAND_ADDRESS, COMMAND_REGISTERS},
        registers::Registers,
        snapshot::ModbusSnapshot,
        unit::Unit,
    },
    reason::ReasonCode,
    session::device::DeviceEvent,
    state::Status,
};

const UNIT: Unit = Unit::FIRST;
const SILENCE_MS: u64 = 20;
/// Length of the longest frame in bytes.
const LONGEST: usize = 256;

/// The device under test, and the program around its session.
struct Bench {
    device: ModbusDevice,
    application: Application,
    /// The last bytes that the device received.
    received: Vec<u8>,
    /// How many of the `received` bytes came with the last call of `feed`.
    new: usize,
}

/// Returns how many verdicts were acknowledged and confirmations answered.
pub fn run(input: &[u8]) -> u32 {
    let mut steps = Steps::new(input);
    let application = Application::new();
    let device = ModbusDevice::new(application.session(), Link::new(UNIT, SILENCE_MS), 400);
    let mut bench = Bench { device, application, received: Vec::new(), new: 0 };
    while !steps.is_over() {
        match steps.byte() % 8 {
            0 | 1 => bench.feed_command(&mut steps),
            2 => bench.feed_bundle_command(&mut steps),
            3 | 4 => bench.application.act(bench.device.session(), &mut steps),
            5 => bench.application.now_ms += u64::from(steps.byte()),
            6 => {
                let mut frame = [&[UNIT.number()], steps.bytes()].concat();
                frame.extend(crc_16(&frame).to_le_bytes());
                steps.damage(&mut frame);
                bench.feed(&frame);
            }
            _ => bench.feed(steps.bytes()),
        }
        bench.drain();
    }
    if bench.application.is_waiting() {
        // Longer than the longest deadline.
        bench.application.now_ms += 700_000;
        bench.drain();
        assert!(!bench.application.is_waiting(), "a part was not concluded");
    }
    bench.application.now_ms += SILENCE_MS;
    bench.drain();
    let shown = bench.shown();
    if shown.status.has(Status::VALID) {
        let verdict = (shown.part_id, u32::from(shown.nonce), u64::from(shown.sequence));
        bench.application.check_verdict(verdict, WireVerdict::from_register(shown.verdict));
    }
    bench.application.finished
}

fn crc_16(bytes: &[u8]) -> u16 {
    crc(bytes, 0xA001, 0xFFFF) as u16
}

fn encoded(request: &Request<'_>) -> Vec<u8> {
    request.encode(UNIT.number(), &mut [0; LONGEST]).expect("no more registers than fit").to_vec()
}

impl Bench {
    /// Feeds a command block or its last registers, sometimes with flipped bits in the block or in the frame.
    fn feed_command(&mut self, steps: &mut Steps<'_>) {
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
        let choice = steps.byte();
        let (first, flip) = (usize::from(choice & 0x0F) % COMMAND_REGISTERS, choice >> 4);
        registers[usize::from(flip) % COMMAND_REGISTERS] ^= u16::from(flip);
        let values = Registers::new(&registers[first..]);
        let request = Request::WriteMultiple { address: COMMAND_ADDRESS + first as u16, values };
        let mut frame = encoded(&request);
        steps.damage(&mut frame);
        self.feed(&frame);
    }

    /// Feeds a bundle block, sometimes with a flipped bit in the block or in the frame.
    fn feed_bundle_command(&mut self, steps: &mut Steps<'_>) {
        let (shape, part_id, nonce, argument) = (steps.byte(), steps.byte(), steps.byte(), steps.byte());
        let (part_id, nonce, argument) = (u64::from(part_id), u16::from(nonce), u32::from(argument));
        let bundle = u32::from(shape % 16 / 4);
        let command = match shape % 4 {
            0 | 1 => BundleCommand::Trigger { part_id, nonce, epoch: argument, bundle },
            2 => BundleCommand::Confirm { part_id, sequence: argument, bundle },
            _ => BundleCommand::Acknowledge { part_id, nonce, sequence: argument, gate: ReasonCode(nonce) },
        };
        let mut registers = BundleCommandBlock { heartbeat: u16::from(shape / 4), command }.to_registers();
        let choice = steps.byte();
        registers[usize::from(choice % 16)] ^= u16::from(choice >= 0xE0);
        let values = Registers::new(&registers);
        let mut frame = encoded(&Request::WriteMultiple { address: BUNDLE_COMMAND_ADDRESS, values });
        steps.damage(&mut frame);
        self.feed(&frame);
    }

    fn feed(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.device.feed(self.application.now_ms, bytes);
        self.received.drain(..self.received.len().saturating_sub(LONGEST));
        self.received.extend(bytes);
        self.new = bytes.len();
    }

    /// Polls until there is nothing to do, and checks the answers.
    fn drain(&mut self) {
        let (now_ms, health) = (self.application.now_ms, self.application.health());
        let mut triggered = None;
        let mut out = [0; LONGEST];
        for _ in 0..100 {
            match self.device.poll(now_ms, health.as_ref(), &mut out) {
                None => {
                    if let Some((part_id, nonce, bundle)) = triggered {
                        self.check_trigger(part_id, nonce, bundle);
                    }
                    return;
                }
                Some(Output::Event(event)) => {
                    if let DeviceEvent::Triggered(trigger) = &event {
                        triggered = Some((trigger.part_id(), trigger.nonce(), trigger.bundle()));
                    }
                    self.application.handle(event);
                }
                Some(Output::Bytes(bytes)) => {
                    assert!(is_valid(bytes), "an answer with a wrong CRC");
                    assert!(self.is_answerable(), "an answer without a request");
                }
            }
        }
        panic!("100 polls without an end");
    }

    /// Does a frame of our unit with a right CRC end in the newest bytes?
    fn is_answerable(&self) -> bool {
        let newest = self.received.len() - self.new;
        // The CRC over a frame including its CRC is 0.
        let ends = |start: usize| {
            let mut crc_now = 0xFFFF;
            (start..self.received.len().min(start + LONGEST)).any(|at| {
                crc_now = crc(&self.received[at..=at], 0xA001, crc_now);
                crc_now == 0 && at + 1 >= start + 4 && at >= newest
            })
        };
        is_valid(&self.received[newest..])
            || (0..self.received.len()).any(|start| self.received[start] == UNIT.number() && ends(start))
    }

    /// Checks that the device has a valid block with this trigger, its boot epoch and its bundle. Checks nothing if the frame with the
    /// block did not come alone, because other bytes may wait in the device.
    fn check_trigger(&mut self, part_id: u64, nonce: u32, bundle: u32) {
        let newest = &self.received[self.received.len() - self.new..];
        if !is_valid(newest) {
            return;
        }
        // The address that the request writes to: function 23 has the address that it reads first.
        let at = if newest[1] == 0x17 { 6 } else { 2 };
        let in_bundle_block = newest.get(at..at + 2) >= Some(&BUNDLE_COMMAND_ADDRESS.to_be_bytes()[..]);
        let (address, count) = if in_bundle_block {
            (BUNDLE_COMMAND_ADDRESS, BUNDLE_COMMAND_REGISTERS as u16)
        } else {
            (COMMAND_ADDRESS, COMMAND_REGISTERS as u16)
        };
        let block = self.read(&Request::ReadHolding { address, count });
        // Registers of two bytes, then their CRC-32C.
        let (registers, seal) = block.split_at(block.len() - 4);
        assert_eq!(crc_32c(registers).to_be_bytes(), seal, "a block with a wrong CRC-32C");
        let number = |at: usize, count: usize| {
            registers[2 * at..2 * (at + count)].iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
        };
        // Register 1 is the command (1 and 4 are triggers), 2 the nonce, 3 to 6 the part id, and 7 to 8 the boot epoch; in the bundle
        // block, 11 to 12 are the bundle. If several requests came at once, the block is that of the last request.
        if [1, 4].contains(&number(1, 1)) && number(3, 4) == part_id {
            assert_eq!((number(2, 1), number(7, 2)), (nonce.into(), EPOCH.into()), "a trigger of another boot epoch");
            assert_eq!(if in_bundle_block { number(11, 2) } else { 0 }, bundle.into(), "a trigger of another bundle");
        }
    }

    /// The bytes of these registers. The device must answer at once.
    fn read(&mut self, request: &Request<'_>) -> Vec<u8> {
        let (now_ms, health) = (self.application.now_ms, self.application.health());
        self.device.feed(now_ms, &encoded(request));
        let mut out = [0; LONGEST];
        match self.device.poll(now_ms, health.as_ref(), &mut out) {
            Some(Output::Bytes(answer)) if is_valid(answer) => answer[3..answer.len() - 2].to_vec(),
            other => panic!("a request after a silence was lost: {other:?}"),
        }
    }

    fn shown(&mut self) -> ModbusSnapshot {
        let bytes = self.read(&Request::ReadInput { address: 0, count: 42 });
        let registers = Registers::from_bytes(&bytes).and_then(|registers| registers.to_array());
        BundleSnapshot::from_registers(&registers.expect("42 registers")).expect("valid registers").0
    }
}

/// Is this a frame of our unit with a right CRC?
fn is_valid(frame: &[u8]) -> bool {
    let Some((content, check)) = frame.split_last_chunk::<2>() else { return false };
    content.len() >= 2 && content[0] == UNIT.number() && crc_16(content).to_le_bytes() == *check
}
