//! Sets up a device behind registers, for tests that play the PLC.

use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::health::{Health, WorkerProgress};
use cellgate_protocol::link::Output;
use cellgate_protocol::modbus::bundle_command::{BundleCommand, BundleCommandBlock};
use cellgate_protocol::modbus::codec::{Request, Response};
use cellgate_protocol::modbus::command::{Command, CommandBlock};
use cellgate_protocol::modbus::device::ModbusDevice;
use cellgate_protocol::modbus::input::BundleSnapshot;
use cellgate_protocol::modbus::link::Link;
use cellgate_protocol::modbus::map::{BUNDLE_COMMAND_ADDRESS, COMMAND_ADDRESS};
use cellgate_protocol::modbus::registers::Registers;
use cellgate_protocol::modbus::snapshot::ModbusSnapshot;
use cellgate_protocol::part::{Outcome, Trigger};
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::score::ScoreE4;
use cellgate_protocol::session::device::{Condition, DeviceEvent, DeviceSession, DeviceSessionConfig, Mode};
use cellgate_protocol::state::Status;
use cellgate_protocol::to_plc::Flags;
use cellgate_protocol::version::Schema;
use std::num::NonZeroU64;

pub(crate) const UNIT: u8 = 1;
pub(crate) const EPOCH: u32 = 3;
pub(crate) const DEADLINE_MS: u32 = 1_000;

pub(crate) fn pass() -> Outcome {
    Outcome {
        verdict: WireVerdict::Pass,
        reason: ReasonCode::SCORE_BELOW_REVIEW,
        score: ScoreE4(123),
        model: DigestStart([0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8]),
        image: DigestStart([0xB1, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8]),
        flags: Flags::default(),
    }
}

/// A device at a time that the test sets.
pub(crate) struct Bench {
    pub(crate) device: ModbusDevice,
    pub(crate) now_ms: u64,
    pub(crate) healthy: bool,
    pub(crate) events: Vec<DeviceEvent>,
    heartbeat: u16,
}

impl Bench {
    /// A device in operation that has not received anything from a PLC.
    pub(crate) fn new() -> Self {
        Self::started(EPOCH)
    }

    /// A device like that of [`Bench::new`], but in this boot epoch.
    pub(crate) fn started(boot_epoch: u32) -> Self {
        Self::of(Schema::One, boot_epoch)
    }

    /// A device like that of [`Bench::started`], with this highest schema.
    pub(crate) fn of(schema: Schema, boot_epoch: u32) -> Self {
        let config = DeviceSessionConfig { device: 7, boot_epoch, first_wait_ms: 66, schema };
        let session = DeviceSession::new(config);
        let mut device = ModbusDevice::new(session, Link::new(UNIT.try_into().unwrap(), 20), DEADLINE_MS);
        let condition = Condition { mode: Mode::Operating, store_ok: true, degraded: false, backlog: 0 };
        device.session().set_condition(condition);
        Self { device, now_ms: 0, healthy: true, events: Vec::new(), heartbeat: 0 }
    }

    /// A device that is armed and ready.
    pub(crate) fn ready() -> Self {
        let mut bench = Self::new();
        bench.command(Command::None);
        assert!(bench.read().status.has(Status::READY));
        bench
    }

    fn health(&self) -> Option<Health> {
        let worker = WorkerProgress { last_ms: self.now_ms, allowed_ms: 100 };
        Health::attest(self.now_ms, &[worker]).filter(|_| self.healthy)
    }

    /// Sends bytes to the device and returns the bytes that it sends. Its events are kept.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Vec<u8> {
        let health = self.health();
        self.device.feed(self.now_ms, request);
        let (mut answer, mut out) = (Vec::new(), [0; 256]);
        while let Some(output) = self.device.poll(self.now_ms, health.as_ref(), &mut out) {
            match output {
                Output::Bytes(bytes) => answer.extend_from_slice(bytes),
                Output::Event(event) => self.events.push(event),
            }
        }
        answer
    }

    /// Writes a command and requires its confirmation.
    pub(crate) fn command(&mut self, command: Command) {
        self.heartbeat += 1;
        let answer = self.exchange(&block(self.heartbeat, command));
        let request = Request::WriteMultiple { address: COMMAND_ADDRESS, values: Registers::new(&[0; 13]) };
        let written = Response::WrittenMultiple { address: COMMAND_ADDRESS, count: 13 };
        assert_eq!(Response::decode(&answer, UNIT, &request), Ok(written));
    }

    /// Writes a command of the bundle block. Returns the exception's code if the device refuses it.
    pub(crate) fn bundle_command(&mut self, command: BundleCommand) -> Result<(), u8> {
        self.heartbeat += 1;
        let registers = BundleCommandBlock { heartbeat: self.heartbeat, command }.to_registers();
        let request = Request::WriteMultiple { address: BUNDLE_COMMAND_ADDRESS, values: Registers::new(&registers) };
        let mut out = [0; 256];
        let answer = self.exchange(request.encode(UNIT, &mut out).unwrap());
        match Response::decode(&answer, UNIT, &request).unwrap() {
            Response::Exception(code) => Err(code),
            _ => Ok(()),
        }
    }

    /// Reads the 42 registers of a device with bundles.
    pub(crate) fn read_bundle(&mut self) -> (ModbusSnapshot, BundleSnapshot) {
        let request = Request::ReadInput { address: 0, count: 42 };
        let mut out = [0; 256];
        let answer = self.exchange(request.encode(UNIT, &mut out).unwrap());
        let Ok(Response::Registers(read)) = Response::decode(&answer, UNIT, &request) else { panic!("{answer:?}") };
        BundleSnapshot::from_registers(&read.to_array().unwrap()).unwrap()
    }

    pub(crate) fn read(&mut self) -> ModbusSnapshot {
        let request = Request::ReadInput { address: 0, count: 32 };
        let mut out = [0; 256];
        let answer = self.exchange(request.encode(UNIT, &mut out).unwrap());
        let Ok(Response::Registers(read)) = Response::decode(&answer, UNIT, &request) else { panic!("{answer:?}") };
        ModbusSnapshot::from_registers(&read.to_array().unwrap()).unwrap()
    }

    /// Takes the trigger that the device reported, if any, and tells the device that the trigger's acceptance is stored.
    pub(crate) fn accept_trigger(&mut self) -> Option<Trigger> {
        let trigger = self.take_trigger()?;
        self.device.session().accept(&trigger);
        Some(trigger)
    }

    /// Takes the trigger that the device reported, if any.
    pub(crate) fn take_trigger(&mut self) -> Option<Trigger> {
        let at = self.events.iter().position(|event| matches!(event, DeviceEvent::Triggered(_)))?;
        let DeviceEvent::Triggered(trigger) = self.events.remove(at) else { unreachable!() };
        Some(trigger)
    }

    pub(crate) fn trigger(&mut self, part_id: u64, nonce: u16) -> Trigger {
        self.command(Command::Trigger { part_id, nonce, epoch: EPOCH });
        self.accept_trigger().unwrap()
    }

    /// Judges and commits the part, and has its verdict sent.
    pub(crate) fn conclude(&mut self, trigger: Trigger, outcome: Outcome, verdict_seq: u64) {
        let (now_ms, health) = (self.now_ms, self.health());
        let session = self.device.session();
        let committed =
            session.conclude(now_ms, trigger, outcome).unwrap().committed(NonZeroU64::new(verdict_seq).unwrap());
        session.send_verdict(now_ms, committed, health.as_ref());
    }
}

/// The request that writes a command.
pub(crate) fn block(heartbeat: u16, command: Command) -> Vec<u8> {
    let registers = CommandBlock { heartbeat, command }.to_registers();
    let request = Request::WriteMultiple { address: COMMAND_ADDRESS, values: Registers::new(&registers) };
    request.encode(UNIT, &mut [0; 256]).unwrap().to_vec()
}
