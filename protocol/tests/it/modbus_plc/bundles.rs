//! Tests the PLC's end with bundles. The test plays the device.

use super::{MODEL, NONCE, UNIT};
use cellgate_protocol::{
    bundle::{BundleState, Confirm, ConfirmResult, Confirmed, StepCode},
    code::WireVerdict,
    gate::GateDecision,
    link::{Output, plc::Ends},
    modbus::{
        bundle_command::{AnyCommand, BundleCommand, BundleCommandBlock},
        codec::{Exception, Request, Response, open},
        command::{Command, CommandBlock},
        input::{BundleSnapshot, InputRegisters},
        map::{BUNDLE_COMMAND_ADDRESS, COMMAND_ADDRESS},
        plc::ModbusPlc,
        registers::Registers,
        snapshot::ModbusSnapshot,
    },
    reason::ReasonCode,
    session::plc::{PlcEvent, PlcSession, PlcSessionConfig},
    state::Status,
    version::Schema,
};

const CONFIRM: Confirm = Confirm { verdict_seq: 77, part_id: 42, bundle: 5 };
const CONFIRM_COMMAND: BundleCommand = BundleCommand::Confirm { part_id: 42, sequence: 77, bundle: 5 };

/// A PLC with bundles, and what its device shows.
struct Bench {
    plc: ModbusPlc,
    now_ms: u64,
    shown: ModbusSnapshot,
    bundle: BundleSnapshot,
    /// The device has registers 32 to 41.
    has_bundles: bool,
    events: Vec<PlcEvent>,
}

impl Bench {
    /// The device is ready, and its heartbeat is fresh.
    fn ready() -> Self {
        let mut config =
            PlcSessionConfig { allowed_models: Default::default(), first_wait_ms: 66, schema: Schema::Two };
        config.allowed_models.push(MODEL).unwrap();
        let ends = Ends { plc: 0, device: Some(7), first_link_id: 0, first_wait_ms: 66 };
        let plc = ModbusPlc::new(0, PlcSession::new(config), UNIT.try_into().unwrap(), ends);
        let shown = ModbusSnapshot { device: 7, epoch: 3, status: Status::READY, ..ModbusSnapshot::EMPTY };
        let bundle = BundleSnapshot::EMPTY;
        let mut bench = Self { plc, now_ms: 0, shown, bundle, has_bundles: true, events: Vec::new() };
        for _ in 0..9 {
            bench.turn();
        }
        bench
    }

    /// Waits for the next request and answers it. Returns the command that the PLC wrote, if it wrote one.
    fn turn(&mut self) -> Option<AnyCommand> {
        let mut out = [0; 256];
        let request = loop {
            match self.plc.poll(self.now_ms, &mut out) {
                Some(Output::Event(event)) => self.events.push(event),
                Some(Output::Bytes(bytes)) => break bytes.to_vec(),
                None => self.now_ms += 1,
            }
        };
        let (_, pdu) = open(&request).unwrap();
        self.now_ms += 7;
        // The heartbeat changes every 30 ms.
        self.shown.heartbeat = (self.now_ms / 30) as u16;
        let registers = InputRegisters::with_bundle(&self.shown, &self.bundle);
        let (response, function, command) = match Request::decode(pdu).unwrap() {
            Request::ReadInput { address: 0, count: 42 } if self.has_bundles => {
                (Response::Registers(Registers::new(registers.registers())), 0x04, None)
            }
            Request::ReadInput { .. } => (Response::Exception(Exception::IllegalAddress as u8), 0x04, None),
            Request::WriteMultiple { address, values } if address == BUNDLE_COMMAND_ADDRESS => {
                let block = BundleCommandBlock::from_registers(&values.to_array().unwrap()).unwrap();
                (Response::WrittenMultiple { address, count: 16 }, 0x10, Some(block.command.into()))
            }
            Request::WriteMultiple { address: address @ COMMAND_ADDRESS, values } => {
                let block = CommandBlock::from_registers(&values.to_array().unwrap()).unwrap();
                (Response::WrittenMultiple { address, count: 13 }, 0x10, Some(block.command.into()))
            }
            other => panic!("{other:?}"),
        };
        let mut answer = [0; 256];
        self.plc.feed(self.now_ms, response.encode(UNIT, function, &mut answer).unwrap());
        command
    }

    /// The next command other than 0, within 100 requests.
    fn command(&mut self) -> AnyCommand {
        (0..100).filter_map(|_| self.turn()).find(|command| *command != AnyCommand::Plain(Command::None)).unwrap()
    }
}

#[test]
fn a_part_is_triggered_in_its_bundle_and_acknowledged_with_the_gate_reason() {
    let mut bench = Bench::ready();
    bench.plc.session().trigger_in_bundle(bench.now_ms, 42, NONCE, 1_000, 5).unwrap();
    let nonce = NONCE as u16;
    let trigger = BundleCommand::Trigger { part_id: 42, nonce, epoch: 3, bundle: 5 };
    assert_eq!(bench.command(), trigger.into());
    bench.shown = ModbusSnapshot {
        status: Status::VALID.with(Status::DONE, true),
        sequence: 77,
        part_id: 42,
        nonce,
        verdict: WireVerdict::Review.register(),
        reason: ReasonCode::REFERENCE_PART,
        model: MODEL,
        ..bench.shown
    };
    bench.bundle.state = BundleState { bundle: 5, step: StepCode::REFERENCE, confirmed: 0, missing: 3 };
    let gate = ReasonCode::REFERENCE_PART;
    assert_eq!(bench.command(), BundleCommand::Acknowledge { part_id: 42, nonce, sequence: 77, gate }.into());
    let Some(PlcEvent::Decided(end)) = bench.events.last() else { panic!("{:?}", bench.events) };
    assert_eq!((end.decision, end.verdict_seq), (GateDecision::Review(gate), Some(77)));
    assert_eq!(bench.plc.session().bundle(), Some(bench.bundle.state));
}

#[test]
fn an_answer_counts_only_after_the_device_has_answered_the_write() {
    let mut bench = Bench::ready();
    // The registers show the answer to an earlier confirmation with the same sequence.
    bench.bundle = BundleSnapshot { result: ConfirmResult::REFUSED, sequence: 77, ..bench.bundle };
    // After a write, the PLC reads before it writes again.
    while bench.turn().is_none() {}
    bench.plc.session().confirm(bench.now_ms, CONFIRM).unwrap();
    assert_eq!(bench.turn(), None, "the read before the write");
    assert_eq!(bench.command(), CONFIRM_COMMAND.into());
    // The device stores the confirmation, and then shows the answer.
    bench.bundle.result = BundleSnapshot::NO_RESULT;
    for _ in 0..3 {
        bench.turn();
    }
    assert_eq!(bench.events, []);
    bench.bundle.result = ConfirmResult::CONFIRMED;
    let confirmed = PlcEvent::Confirmed(Confirmed { confirm: CONFIRM, result: ConfirmResult::CONFIRMED });
    for _ in 0..6 {
        bench.turn();
    }
    assert_eq!(bench.events, [confirmed]);
}

#[test]
fn a_confirmation_without_an_answer_is_written_again() {
    let mut bench = Bench::ready();
    bench.plc.session().confirm(bench.now_ms, CONFIRM).unwrap();
    let mut written_at = Vec::new();
    while bench.now_ms < 1_000 {
        if bench.turn() == Some(CONFIRM_COMMAND.into()) {
            written_at.push(bench.now_ms);
        }
    }
    assert!((3..=6).contains(&written_at.len()), "{written_at:?}");
}

#[test]
fn a_device_without_bundles_is_incompatible() {
    let mut bench = Bench::ready();
    bench.plc.session().trigger_in_bundle(bench.now_ms, 42, NONCE, 1_000, 5).unwrap();
    bench.has_bundles = false;
    while bench.events.is_empty() {
        bench.turn();
    }
    let Some(PlcEvent::Decided(end)) = bench.events.last() else { panic!("{:?}", bench.events) };
    assert_eq!(end.decision, GateDecision::Reject(ReasonCode::INCOMPATIBLE));
    assert!(bench.plc.counters().incompatible > 0);
}
