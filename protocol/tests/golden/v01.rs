//! The bytes of version 1. NEVER EDIT THIS FILE: devices and PLCs in the field speak it. A change of the wire gets a
//! version, and a file, of its own.

use crate::support;
use cellgate_protocol::{
    code::{Verdict, VerdictCode},
    digest::DigestStart,
    fault::{FaultCode, LinkError},
    frame::Header,
    part::Outcome,
    reason::ReasonCode,
    score::ScoreE4,
    state::{State, Status},
    to_device::{Ack, Hello, PlcHeartbeat, ToDevice, TriggerRequest},
    to_plc::{Busy, DeviceHeartbeat, Flags, HelloAck, Nak, Origin, Record, ToPlc},
};
use std::num::NonZeroU64;

/// What the PLC says, and its bytes.
pub(crate) fn to_device() -> Vec<(&'static str, Header, ToDevice, &'static str)> {
    let header = |seq, ack| Header { link_id: 0x1122_3344, boot_epoch: 3, seq, ack };
    let hello = Header { boot_epoch: 0, ..header(1, 0) };
    vec![
        ("HELLO", hello, ToDevice::Hello(Hello { schema: 1, plc: 9 }), "@HELLO@"),
        ("TRIGGER", header(2, 1), ToDevice::Trigger(request()), "@TRIGGER@"),
        (
            "ACK",
            header(3, 3),
            ToDevice::Ack(Ack { verdict_seq: 41, part_id: 1_000_001, code: VerdictCode::PASS }),
            "@ACK@",
        ),
        (
            "HEARTBEAT of the PLC",
            header(4, 3),
            ToDevice::Heartbeat(PlcHeartbeat { counter: 256, status: Status::default() }),
            "@HEARTBEAT of the PLC@",
        ),
        (
            "ERROR to the device",
            header(5, 3),
            ToDevice::Error(LinkError { fault: FaultCode::UNKNOWN_LINK, wire: 1, schema: 1 }),
            "@ERROR to the device@",
        ),
    ]
}

/// What the device says, and its bytes.
pub(crate) fn to_plc() -> Vec<(&'static str, Header, ToPlc, &'static str)> {
    let header = |seq, ack| Header { link_id: 0x1122_3344, boot_epoch: 3, seq, ack };
    let outcome = Outcome {
        verdict: Verdict::Pass,
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
        state: State::SingleExecution.code(),
        status: Status::BUSY.with(Status::STORE_OK, true),
        backlog: 2,
    };
    let seq = NonZeroU64::new(41).unwrap();
    vec![
        (
            "HELLO_ACK",
            header(1, 1),
            ToPlc::HelloAck(HelloAck { schema: 1, device: 7, state: State::Ready.code() }),
            "@HELLO_ACK@",
        ),
        ("BUSY", header(2, 2), ToPlc::Busy(Busy { part_id: 1_000_001, nonce: 0xCAFE_0002 }), "@BUSY@"),
        ("VERDICT", header(3, 2), ToPlc::Verdict(support::verdict(&request(), outcome, seq, 142)), "@VERDICT@"),
        ("NAK", header(4, 2), ToPlc::Nak(nak), "@NAK@"),
        ("HEARTBEAT of the device", header(5, 3), ToPlc::Heartbeat(heartbeat), "@HEARTBEAT of the device@"),
        ("RECORD", header(6, 3), ToPlc::Record(record), "@RECORD@"),
        (
            "ERROR to the PLC",
            header(7, 3),
            ToPlc::Error(LinkError { fault: FaultCode::INCOMPATIBLE, wire: 1, schema: 1 }),
            "@ERROR to the PLC@",
        ),
    ]
}

/// The trigger that the verdict answers.
fn request() -> TriggerRequest {
    TriggerRequest { part_id: 1_000_001, nonce: 0xCAFE_0002, deadline_ms: 500 }
}
