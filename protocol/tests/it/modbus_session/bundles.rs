//! Tests a device with bundles behind registers: registers 32 to 41, commands 4 to 6, and what an old PLC sees of them.

use super::bench::{Bench, EPOCH, UNIT, pass};
use super::cycle;
use cellgate_protocol::bundle::{BundleState, Confirm, ConfirmResult, StepCode};
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::modbus::bundle_command::{BundleCommand, BundleCommandBlock};
use cellgate_protocol::modbus::codec::{Request, Response};
use cellgate_protocol::modbus::command::Command;
use cellgate_protocol::modbus::input::BundleSnapshot;
use cellgate_protocol::modbus::map::BUNDLE_COMMAND_ADDRESS;
use cellgate_protocol::modbus::registers::Registers;
use cellgate_protocol::part::{Outcome, Trigger};
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::session::device::DeviceEvent;
use cellgate_protocol::state::Status;
use cellgate_protocol::version::Schema;

const STATE: BundleState = BundleState { bundle: 0x0001_0002, step: StepCode::REFERENCE, confirmed: 1, missing: 4 };
const TRIGGER: BundleCommand = BundleCommand::Trigger { part_id: 42, nonce: 1, epoch: EPOCH, bundle: STATE.bundle };
const CONFIRM: BundleCommand = BundleCommand::Confirm { part_id: 42, sequence: 5, bundle: STATE.bundle };

/// A device with bundles that is armed and ready.
fn ready() -> Bench {
    let mut bench = Bench::of(Schema::Two, EPOCH);
    bench.command(Command::None);
    bench
}

/// Takes the confirmation that the device reported, if any.
fn confirm(bench: &mut Bench) -> Option<Confirm> {
    let at = bench.events.iter().position(|event| matches!(event, DeviceEvent::Confirm(_)))?;
    match bench.events.remove(at) {
        DeviceEvent::Confirm(confirm) => Some(confirm),
        _ => unreachable!(),
    }
}

fn accepted(bench: &mut Bench, command: BundleCommand) -> Trigger {
    assert_eq!(bench.bundle_command(command), Ok(()));
    bench.accept_trigger().unwrap()
}

#[test]
fn the_device_answers_the_bundle_of_the_document_byte_for_byte() {
    let mut bench = Bench::of(Schema::Two, EPOCH);
    let review = Outcome { verdict: WireVerdict::Review, reason: ReasonCode::REFERENCE_PART, ..pass() };
    let mut state = BundleState { bundle: 5, step: StepCode::REFERENCE, confirmed: 0, missing: 1 };
    let cycle = cycle(2);
    assert_eq!(cycle.len(), 7);
    for (at, (request, answer)) in cycle.into_iter().enumerate() {
        bench.now_ms = 10 * at as u64;
        let found = bench.exchange(&request);
        let hex: Vec<String> = found.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(found, answer, "request {at}:\ndevice {}", hex.join(" "));
        // The device judges each part and stores each confirmation before the next request.
        if let Some(trigger) = bench.accept_trigger() {
            assert_eq!(trigger.bundle(), 5);
            bench.device.session().set_bundle(state);
            bench.conclude(trigger, review, 1);
        }
        if let Some(confirm) = confirm(&mut bench) {
            assert!(confirm.names(1, 42, 5));
            state = BundleState { step: StepCode::OFFSET, confirmed: 1, missing: 0, ..state };
            bench.device.session().set_bundle(state);
            bench.device.session().answer(&confirm, ConfirmResult::CONFIRMED);
            // The session's message reaches the registers with the next poll.
            bench.exchange(&[]);
        }
    }
    let gate = ReasonCode::REFERENCE_PART;
    assert!(
        matches!(bench.events[..], [DeviceEvent::PlcBack, DeviceEvent::Delivered { verdict_seq: 1, gate: found }] if found == gate)
    );
}

#[test]
fn a_trigger_of_the_bundle_block_names_its_bundle_and_is_executed_once() {
    let mut bench = ready();
    assert_eq!(accepted(&mut bench, TRIGGER).bundle(), STATE.bundle);
    for _ in 0..2 {
        assert_eq!(bench.bundle_command(TRIGGER), Ok(()));
        assert!(bench.accept_trigger().is_none());
    }
    // The same part and nonce with another bundle, and without one.
    let other = BundleCommand::Trigger { part_id: 42, nonce: 1, epoch: EPOCH, bundle: 7 };
    assert_eq!(bench.bundle_command(other), Err(3));
    let old = Command::Trigger { part_id: 42, nonce: 1, epoch: EPOCH };
    let answer = bench.exchange(&super::bench::block(900, old));
    assert_eq!(answer[1], 0x90, "an exception");
    assert!(bench.accept_trigger().is_none());
    let shown = bench.read();
    assert!(shown.status.has(Status::BUSY) && !shown.status.has(Status::OVERRUN));
}

#[test]
fn a_trigger_without_a_bundle_is_the_same_in_both_blocks() {
    let mut bench = ready();
    assert_eq!(bench.trigger(42, 1).bundle(), 0);
    let same = BundleCommand::Trigger { part_id: 42, nonce: 1, epoch: EPOCH, bundle: 0 };
    assert_eq!(bench.bundle_command(same), Ok(()));
    assert!(bench.accept_trigger().is_none());
}

#[test]
fn the_bundle_block_does_nothing_before_command_0_and_refuses_another_epoch() {
    let mut bench = Bench::of(Schema::Two, EPOCH);
    for command in [TRIGGER, CONFIRM] {
        assert_eq!(bench.bundle_command(command), Ok(()));
    }
    assert!(bench.accept_trigger().is_none() && confirm(&mut bench).is_none());
    bench.command(Command::None);
    let stale = BundleCommand::Trigger { part_id: 42, nonce: 1, epoch: EPOCH - 1, bundle: STATE.bundle };
    assert_eq!(bench.bundle_command(stale), Ok(()));
    assert!(bench.accept_trigger().is_none());
    assert_eq!(bench.read().reason, ReasonCode::EPOCH_MISMATCH);
    assert_eq!(accepted(&mut bench, TRIGGER).bundle(), STATE.bundle);
}

#[test]
fn a_confirmation_shows_its_answer_until_another_one_comes() {
    let mut bench = ready();
    bench.device.session().set_bundle(STATE);
    assert_eq!(bench.read_bundle().1, BundleSnapshot { state: STATE, ..BundleSnapshot::EMPTY });
    let shown = |bench: &mut Bench| {
        bench.exchange(&[]);
        let (_, bundle) = bench.read_bundle();
        (bundle.sequence, bundle.result)
    };
    assert_eq!(bench.bundle_command(CONFIRM), Ok(()));
    let first = confirm(&mut bench).unwrap();
    assert!(first.names(0x1_0000_0005, 42, STATE.bundle));
    assert_eq!(shown(&mut bench), (5, BundleSnapshot::NO_RESULT));
    // The PLC writes its command again and again. The device hands it up once.
    assert_eq!(bench.bundle_command(CONFIRM), Ok(()));
    assert_eq!(confirm(&mut bench), None);
    bench.device.session().answer(&first, ConfirmResult::CONFIRMED);
    assert_eq!(shown(&mut bench), (5, ConfirmResult::CONFIRMED));
    assert_eq!(bench.bundle_command(CONFIRM), Ok(()));
    assert_eq!((confirm(&mut bench), shown(&mut bench)), (Some(first), (5, ConfirmResult::CONFIRMED)));
    bench.device.session().answer(&first, ConfirmResult::CONFIRMED);
    // The same sequence with another bundle is another confirmation.
    assert_eq!(bench.bundle_command(BundleCommand::Confirm { part_id: 42, sequence: 5, bundle: 9 }), Ok(()));
    let second = confirm(&mut bench).unwrap();
    assert_eq!(shown(&mut bench), (5, BundleSnapshot::NO_RESULT));
    bench.device.session().answer(&second, ConfirmResult::NOT_IN_BUNDLE);
    assert_eq!(shown(&mut bench), (5, ConfirmResult::NOT_IN_BUNDLE));
}

#[test]
fn an_acknowledgement_of_the_bundle_block_carries_the_gate_reason() {
    let mut bench = ready();
    let trigger = accepted(&mut bench, TRIGGER);
    bench.conclude(trigger, pass(), 5);
    let gate = ReasonCode::STALE_HEARTBEAT;
    let acknowledge = |sequence| BundleCommand::Acknowledge { part_id: 42, nonce: 1, sequence, gate };
    assert_eq!(bench.bundle_command(acknowledge(6)), Ok(()));
    assert!(bench.read().status.has(Status::VALID));
    assert_eq!(bench.bundle_command(acknowledge(5)), Ok(()));
    assert!(
        matches!(bench.events.last(), Some(DeviceEvent::Delivered { verdict_seq: 5, gate: found }) if *found == gate),
        "{:?}",
        bench.events
    );
}

/// The gate of an old PLC shuts on status bits 5 and 7 to 15.
#[test]
fn an_old_plc_sees_nothing_of_a_bundle_in_registers_0_to_31() {
    let shown = |state: Option<BundleState>| {
        let mut bench = ready();
        let trigger = bench.trigger(42, 1);
        bench.conclude(trigger, pass(), 5);
        if let Some(state) = state {
            bench.device.session().set_bundle(state);
        }
        bench.read().to_registers()
    };
    let without = shown(None);
    assert_eq!(without[8] & 0xFFA0, 0);
    for step in 0..=u8::MAX {
        assert_eq!(shown(Some(BundleState { step: StepCode(step), ..STATE })), without, "step {step}");
    }
    let mut old_device = Bench::ready();
    let trigger = old_device.trigger(42, 1);
    old_device.conclude(trigger, pass(), 5);
    assert_eq!(old_device.read().to_registers(), without);
}

#[test]
fn a_device_without_bundles_has_no_registers_and_no_block_for_them() {
    let mut bench = Bench::ready();
    let mut exception = |request: Request<'_>| {
        let mut out = [0; 256];
        let answer = bench.exchange(request.encode(UNIT, &mut out).unwrap());
        match Response::decode(&answer, UNIT, &request) {
            Ok(Response::Exception(code)) => code,
            other => panic!("{other:?}"),
        }
    };
    let block = BundleCommandBlock { heartbeat: 7, command: TRIGGER }.to_registers();
    let values = Registers::new(&block);
    let address = BUNDLE_COMMAND_ADDRESS;
    assert_eq!(exception(Request::ReadInput { address: 0, count: 42 }), 2);
    assert_eq!(exception(Request::ReadInput { address: 32, count: 1 }), 2);
    assert_eq!(exception(Request::ReadHolding { address, count: 1 }), 2);
    assert_eq!(exception(Request::WriteMultiple { address, values }), 2);
    assert!(bench.accept_trigger().is_none());
}

#[test]
fn the_bundle_block_can_be_written_one_register_at_a_time_and_read() {
    let mut bench = ready();
    let block = BundleCommandBlock { heartbeat: 7, command: TRIGGER }.to_registers();
    for (at, value) in block.into_iter().enumerate() {
        assert!(bench.accept_trigger().is_none(), "register {at}");
        let request = Request::WriteSingle { address: BUNDLE_COMMAND_ADDRESS + at as u16, value };
        let mut out = [0; 256];
        let frame = request.encode(UNIT, &mut out).unwrap().to_vec();
        assert_eq!(bench.exchange(&frame), frame);
    }
    assert_eq!(bench.accept_trigger().unwrap().bundle(), STATE.bundle);
    let request = Request::ReadHolding { address: BUNDLE_COMMAND_ADDRESS, count: 16 };
    let mut out = [0; 256];
    let answer = bench.exchange(request.encode(UNIT, &mut out).unwrap());
    assert_eq!(Response::decode(&answer, UNIT, &request), Ok(Response::Registers(Registers::new(&block))));
    // The map has no register after the block, and none between the two blocks.
    for address in [BUNDLE_COMMAND_ADDRESS + 16, BUNDLE_COMMAND_ADDRESS - 1] {
        let request = Request::ReadHolding { address, count: 1 };
        let answer = bench.exchange(request.encode(UNIT, &mut out).unwrap());
        assert_eq!(Response::decode(&answer, UNIT, &request), Ok(Response::Exception(2)));
    }
}

#[test]
fn a_damaged_bundle_block_is_refused_and_changes_no_register() {
    let mut bench = ready();
    let right = BundleCommandBlock { heartbeat: 4, command: TRIGGER }.to_registers();
    for at in 0..right.len() {
        let mut wrong = right;
        wrong[at] ^= 0x0100;
        let request = Request::WriteMultiple { address: BUNDLE_COMMAND_ADDRESS, values: Registers::new(&wrong) };
        let mut out = [0; 256];
        let answer = bench.exchange(request.encode(UNIT, &mut out).unwrap());
        assert_eq!(Response::decode(&answer, UNIT, &request), Ok(Response::Exception(3)));
        let request = Request::ReadHolding { address: BUNDLE_COMMAND_ADDRESS, count: 16 };
        let answer = bench.exchange(request.encode(UNIT, &mut out).unwrap());
        assert_eq!(Response::decode(&answer, UNIT, &request), Ok(Response::Registers(Registers::new(&[0; 16]))));
    }
    assert!(bench.accept_trigger().is_none());
}
