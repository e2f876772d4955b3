//! The bytes of version 1. NEVER EDIT THIS FILE: devices and PLCs in the field speak it. A change of the wire gets a
//! version, and a file, of its own.

use crate::support;
use cellgate_protocol::{
    code::{VerdictCode, WireVerdict},
    digest::DigestStart,
    fault::{FaultCode, LinkError},
    frame::Header,
    part::Outcome,
    reason::ReasonCode,
    score::ScoreE4,
    state::{DeviceState, Status},
    to_device::{Ack, Hello, PlcHeartbeat, ToDevice, TriggerRequest},
    to_plc::{Busy, DeviceHeartbeat, Flags, HelloAck, Nak, Origin, Record, ToPlc},
};
use std::num::NonZeroU64;

/// What the PLC says, and its bytes.
pub(crate) fn to_device() -> Vec<(&'static str, Header, ToDevice, &'static str)> {
    let header = |seq, ack| Header { link_id: 0x1122_3344, boot_epoch: 3, seq, ack };
    let hello = Header { boot_epoch: 0, ..header(1, 0) };
    vec![
        (
            "HELLO",
            hello,
            ToDevice::Hello(Hello { schema: 1, plc: 9 }),
            "00 04 01 01 08 05 44 33 22 11 01 01 01 02 01 01 01 01 01 01 01 02 01 01 01 02 09 01 01 05 D8 7B \
             0E 99 00",
        ),
        (
            "TRIGGER",
            header(2, 1),
            ToDevice::Trigger(request()),
            "00 04 01 03 10 06 44 33 22 11 03 01 01 02 02 01 01 02 01 01 01 04 41 42 0F 01 01 01 01 02 02 05 \
             FE CA F4 01 01 05 7C 18 15 8B 00",
        ),
        (
            "ACK",
            header(3, 3),
            ToDevice::Ack(Ack { verdict_seq: 41, part_id: 1_000_001, code: VerdictCode::PASS }),
            "00 04 01 06 14 06 44 33 22 11 03 01 01 02 03 01 01 02 03 01 01 02 29 01 01 01 01 01 01 04 41 42 \
             0F 01 01 01 01 09 E1 96 C3 5A 19 4D EF 33 00",
        ),
        (
            "HEARTBEAT of the PLC",
            header(4, 3),
            ToDevice::Heartbeat(PlcHeartbeat { counter: 256, status: Status::default() }),
            "00 04 01 08 06 06 44 33 22 11 03 01 01 02 04 01 01 02 03 01 01 01 02 01 01 01 01 05 31 8E 7B FB \
             00",
        ),
        (
            "ERROR to the device",
            header(5, 3),
            ToDevice::Error(LinkError { fault: FaultCode::UNKNOWN_LINK, wire: 1, schema: 1 }),
            "00 04 01 0A 07 06 44 33 22 11 03 01 01 02 05 01 01 02 03 01 01 02 02 03 01 01 01 01 05 72 2B 8B \
             58 00",
        ),
    ]
}

/// What the device says, and its bytes.
pub(crate) fn to_plc() -> Vec<(&'static str, Header, ToPlc, &'static str)> {
    let header = |seq, ack| Header { link_id: 0x1122_3344, boot_epoch: 3, seq, ack };
    let outcome = Outcome {
        verdict: WireVerdict::Pass,
        reason: ReasonCode::SCORE_BELOW_REVIEW,
        score: ScoreE4(1_206),
        model: DigestStart([0x9F, 0x2C, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55]),
        image: DigestStart([0x41, 0xD2, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB]),
        flags: Flags::default(),
    };
    let record = Record {
        part_id: 1_000_000,
        nonce: 0xCAFE_0001,
        verdict_seq: 40,
        boot_epoch: 2,
        code: VerdictCode::REJECT,
        reason: ReasonCode::RESTARTED,
        score: ScoreE4::NONE,
        model: DigestStart::NONE,
        image: DigestStart::NONE,
        flags: Flags::DEGRADED,
        origin: Origin::REPLAY,
    };
    let nak = Nak { part_id: 1_000_001, nonce: 0xCAFE_0002, reason: ReasonCode::NOT_READY };
    let heartbeat = DeviceHeartbeat {
        counter: 77,
        state: DeviceState::SingleExecution.code(),
        status: Status::BUSY.with(Status::STORE_OK, true),
        backlog: 2,
    };
    let seq = NonZeroU64::new(41).expect("a test knows its case");
    vec![
        (
            "HELLO_ACK",
            header(1, 1),
            ToPlc::HelloAck(HelloAck { schema: 1, device: 7, state: DeviceState::Ready.code() }),
            "00 04 01 02 09 06 44 33 22 11 03 01 01 02 01 01 01 02 01 01 01 02 01 01 01 02 07 01 01 06 06 80 \
             AE 6F E2 00",
        ),
        (
            "BUSY",
            header(2, 2),
            ToPlc::Busy(Busy { part_id: 1_000_001, nonce: 0xCAFE_0002 }),
            "00 04 01 04 0C 06 44 33 22 11 03 01 01 02 02 01 01 02 02 01 01 04 41 42 0F 01 01 01 01 02 02 07 \
             FE CA 28 60 A2 23 00",
        ),
        (
            "VERDICT",
            header(3, 2),
            ToPlc::Verdict(support::verdict(&request(), outcome, seq, 142)),
            "00 04 01 05 36 06 44 33 22 11 03 01 01 02 03 01 01 02 02 01 01 04 41 42 0F 01 01 01 01 02 02 04 \
             FE CA 29 01 01 01 01 01 01 0A E1 96 C3 5A 1E 69 3C A5 01 04 B6 04 8E 01 01 03 9F 2C 0E 11 22 33 \
             44 55 41 D2 66 77 88 99 AA BB 01 05 7B 87 0C 67 00",
        ),
        (
            "NAK",
            header(4, 2),
            ToPlc::Nak(nak),
            "00 04 01 07 0E 06 44 33 22 11 03 01 01 02 04 01 01 02 02 01 01 04 41 42 0F 01 01 01 01 02 02 09 \
             FE CA 04 01 D9 C8 4F 96 00",
        ),
        (
            "HEARTBEAT of the device",
            header(5, 3),
            ToPlc::Heartbeat(heartbeat),
            "00 04 01 08 09 06 44 33 22 11 03 01 01 02 05 01 01 02 03 01 01 02 4D 01 01 03 07 42 02 02 05 82 \
             EF D9 18 00",
        ),
        (
            "RECORD",
            header(6, 3),
            ToPlc::Record(record),
            "00 04 01 09 33 06 44 33 22 11 03 01 01 02 06 01 01 02 03 01 01 04 40 42 0F 01 01 01 01 02 01 04 \
             FE CA 28 01 01 01 01 01 01 02 02 01 01 09 1E 69 3C A5 06 01 FF FF 01 01 01 01 01 01 01 01 01 01 \
             01 01 01 01 01 02 02 06 03 A7 05 E0 F4 00",
        ),
        (
            "ERROR to the PLC",
            header(7, 3),
            ToPlc::Error(LinkError { fault: FaultCode::INCOMPATIBLE, wire: 1, schema: 1 }),
            "00 04 01 0A 07 06 44 33 22 11 03 01 01 02 07 01 01 02 03 01 01 02 01 03 01 01 01 01 05 28 A4 93 \
             2F 00",
        ),
    ]
}

/// The trigger that the verdict answers.
fn request() -> TriggerRequest {
    TriggerRequest { part_id: 1_000_001, nonce: 0xCAFE_0002, deadline_ms: 500 }
}
