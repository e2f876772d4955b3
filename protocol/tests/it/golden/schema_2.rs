//! The bytes of what schema 2 adds to version 1. NEVER EDIT THIS FILE: devices and PLCs in the field speak it. A change of the wire
//! gets a schema or a version, and a file, of its own.

use cellgate_protocol::{
    bundle::{BundleState, Confirm, ConfirmResult, Confirmed, StepCode},
    code::VerdictCode,
    frame::Header,
    reason::ReasonCode,
    state::{DeviceState, Status},
    to_device::{Ack, BundleTrigger, GateAck, Hello, ToDevice, TriggerRequest},
    to_plc::{BundleHeartbeat, DeviceHeartbeat, HelloAck, ToPlc},
};

const CONFIRM: Confirm = Confirm { verdict_seq: 41, part_id: 1_000_001, bundle: 0x0102_0304 };

/// What the PLC says, and its bytes.
pub(crate) fn to_device() -> Vec<(&'static str, Header, ToDevice, &'static str)> {
    let header = |seq, ack| Header { link_id: 0x1122_3344, boot_epoch: 3, seq, ack };
    let hello = Header { boot_epoch: 0, ..header(1, 0) };
    let trigger = TriggerRequest { part_id: 1_000_001, nonce: 0xCAFE_0002, deadline_ms: 500 };
    let ack = Ack { verdict_seq: 41, part_id: 1_000_001, code: VerdictCode::REVIEW };
    vec![
        (
            "HELLO",
            hello,
            ToDevice::Hello(Hello { schema: 2, plc: 9 }),
            "00 04 01 01 08 05 44 33 22 11 01 01 01 02 01 01 01 01 01 01 01 02 02 01 01 02 09 01 01 05 B1 FC \
             4A 42 00",
        ),
        (
            "TRIGGER",
            header(2, 1),
            ToDevice::BundleTrigger(BundleTrigger { trigger, bundle: 0x0102_0304 }),
            "00 04 01 03 14 06 44 33 22 11 03 01 01 02 02 01 01 02 01 01 01 04 41 42 0F 01 01 01 01 02 02 05 \
             FE CA F4 01 01 09 04 03 02 01 B9 8C 77 2E 00",
        ),
        (
            "ACK",
            header(3, 3),
            ToDevice::GateAck(GateAck { ack, gate: ReasonCode::REFERENCE_PART }),
            "00 04 01 06 16 06 44 33 22 11 03 01 01 02 03 01 01 02 03 01 01 02 29 01 01 01 01 01 01 04 41 42 \
             0F 01 01 01 01 06 11 99 33 55 0F 05 DF 4F 57 56 00",
        ),
        (
            "CONFIRM",
            header(4, 3),
            ToDevice::Confirm(CONFIRM),
            "00 04 01 0B 14 06 44 33 22 11 03 01 01 02 04 01 01 02 03 01 01 02 29 01 01 01 01 01 01 04 41 42 \
             0F 01 01 01 01 09 04 03 02 01 D6 EE 2D 65 00",
        ),
    ]
}

/// What the device says, and its bytes.
pub(crate) fn to_plc() -> Vec<(&'static str, Header, ToPlc, &'static str)> {
    let header = |seq, ack| Header { link_id: 0x1122_3344, boot_epoch: 3, seq, ack };
    let heartbeat = DeviceHeartbeat {
        counter: 77,
        state: DeviceState::Ready.code(),
        status: Status::READY.with(Status::STORE_OK, true),
        backlog: 2,
    };
    let bundle = BundleState { bundle: 0x0102_0304, step: StepCode::REFERENCE, confirmed: 1, missing: 0x0204 };
    vec![
        (
            "HELLO_ACK",
            header(1, 1),
            ToPlc::HelloAck(HelloAck { schema: 2, device: 7, state: DeviceState::Ready.code() }),
            "00 04 01 02 09 06 44 33 22 11 03 01 01 02 01 01 01 02 01 01 01 02 02 01 01 02 07 01 01 06 06 A9 \
             A2 C0 FB 00",
        ),
        (
            "HEARTBEAT of the device",
            header(5, 3),
            ToPlc::BundleHeartbeat(BundleHeartbeat { heartbeat, bundle }),
            "00 04 01 08 12 06 44 33 22 11 03 01 01 02 05 01 01 02 03 01 01 02 4D 01 01 03 06 41 02 02 07 04 \
             03 02 01 01 01 07 04 02 A9 7D D3 76 00",
        ),
        (
            "CONFIRMED",
            header(6, 4),
            ToPlc::Confirmed(Confirmed { confirm: CONFIRM, result: ConfirmResult::CONFIRMED }),
            "00 04 01 0C 15 06 44 33 22 11 03 01 01 02 06 01 01 02 04 01 01 02 29 01 01 01 01 01 01 04 41 42 \
             0F 01 01 01 01 0A 04 03 02 01 01 DA EE B2 4F 00",
        ),
    ]
}
