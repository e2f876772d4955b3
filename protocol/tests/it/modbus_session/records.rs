//! Tests how the device shows records of parts whose verdict was not acknowledged.

use super::bench::{Bench, pass};
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::modbus::command::Command;
use cellgate_protocol::modbus::snapshot::NO_VERDICT;
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::session::device::DeviceEvent;
use cellgate_protocol::state::Status;
use cellgate_protocol::to_plc::{Origin, Record};
use std::num::NonZeroU64;

#[test]
fn a_record_of_the_journal_is_shown_without_a_verdict_and_can_be_acknowledged() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    let (now_ms, session) = (bench.now_ms, bench.device.session());
    let entry = session.conclude(now_ms, trigger, pass()).unwrap().entry();
    // The device restarts before it can send.
    let mut bench = Bench::ready();
    bench.device.session().send_record(entry.record(NonZeroU64::new(5).unwrap(), Origin::REPLAY));
    // `poll` answers the request before it takes the session's record, so only the next answer shows the record.
    assert_eq!(bench.read().sequence, 0);
    let shown = bench.read();
    assert_eq!((shown.sequence, shown.part_id, shown.nonce, shown.verdict), (5, 42, 1, NO_VERDICT));
    assert!(!shown.status.has(Status::VALID));
    bench.command(Command::Acknowledge { part_id: 42, nonce: 1, sequence: 5 });
    let Some(DeviceEvent::RecordAcknowledged { ack, gate: ReasonCode::NONE }) = bench.events.last() else {
        panic!("{:?}", bench.events)
    };
    assert_eq!((ack.verdict_seq, ack.part_id, ack.code), (5, 42, WireVerdict::Pass.code()));
    assert_eq!(bench.read().sequence, 0);
}

#[test]
fn an_unacknowledged_record_of_the_last_part_comes_before_a_record_of_the_journal() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    bench.healthy = false;
    bench.conclude(trigger, pass(), 5);
    let own = bench.read();
    let session = bench.device.session();
    let record = session.snapshot(0, None).record.unwrap();
    session.send_record(Record { part_id: 41, nonce: 9, verdict_seq: 4, ..record });
    assert_eq!((bench.read().sequence, own.sequence), (5, 5));
    bench.command(Command::Acknowledge { part_id: 42, nonce: 1, sequence: 5 });
    let shown = bench.read();
    assert_eq!((shown.sequence, shown.part_id, shown.status.has(Status::DONE)), (4, 41, true));
    bench.command(Command::Acknowledge { part_id: 41, nonce: 9, sequence: 4 });
    let shown = bench.read();
    assert_eq!((shown.sequence, shown.status.has(Status::DONE)), (5, false));
    // This acknowledgement comes too late and has no effect. The same acknowledgement must have one when the record is shown again.
    bench.command(Command::Acknowledge { part_id: 41, nonce: 9, sequence: 4 });
    bench.device.session().send_record(Record { part_id: 41, nonce: 9, verdict_seq: 4, ..record });
    bench.command(Command::None);
    assert_eq!(bench.read().sequence, 4);
    bench.command(Command::Acknowledge { part_id: 41, nonce: 9, sequence: 4 });
    assert_eq!(bench.read().sequence, 5);
}
