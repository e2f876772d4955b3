//! Tests triggers that are accepted, refused, repeated or delayed.

use super::bench::{Bench, DEADLINE_MS, EPOCH, block, pass};
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::modbus::command::Command;
use cellgate_protocol::modbus::snapshot::NO_VERDICT;
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::session::device::DeviceEvent;
use cellgate_protocol::state::{DeviceState, Status};

/// If the part were busy earlier, a crash before its acceptance is stored would leave an accepted part without a record.
#[test]
fn a_part_is_busy_only_once_its_acceptance_is_stored() {
    let mut bench = Bench::ready();
    let is_busy = |bench: &mut Bench| (bench.read().part_id, bench.read().status.has(Status::BUSY));
    bench.command(Command::Trigger { part_id: 42, nonce: 1, epoch: EPOCH });
    let trigger = bench.take_trigger().unwrap();
    assert_eq!(is_busy(&mut bench), (42, false));
    bench.device.session().accept(&trigger);
    assert_eq!(is_busy(&mut bench), (42, true));
    // A part whose time ends before its acceptance is stored is not busy either.
    let mut bench = Bench::ready();
    bench.command(Command::Trigger { part_id: 43, nonce: 2, epoch: EPOCH });
    bench.now_ms = u64::from(DEADLINE_MS);
    assert_eq!(is_busy(&mut bench), (43, false));
    assert!(bench.events.iter().any(|event| matches!(event, DeviceEvent::Concluded(_))), "{:?}", bench.events);
}

#[test]
fn a_device_that_is_not_armed_is_not_ready() {
    let mut bench = Bench::new();
    bench.command(Command::Trigger { part_id: 42, nonce: 1, epoch: EPOCH });
    assert!(bench.accept_trigger().is_none());
    let shown = bench.read();
    assert!(!shown.status.has(Status::READY));
    assert_eq!(shown.state, u16::from(DeviceState::Initialized.code().0));
    bench.command(Command::None);
    let _ = bench.trigger(42, 1);
}

#[test]
fn a_refused_trigger_shows_why() {
    let mut bench = Bench::ready();
    bench.healthy = false;
    bench.command(Command::Trigger { part_id: 42, nonce: 1, epoch: EPOCH });
    assert!(bench.accept_trigger().is_none());
    let shown = bench.read();
    assert_eq!((shown.part_id, shown.nonce, shown.reason), (42, 1, ReasonCode::NOT_READY));
    assert_eq!((shown.verdict, shown.status.has(Status::BUSY)), (NO_VERDICT, false));
    bench.healthy = true;
    let _ = bench.trigger(42, 2);
    assert_eq!(bench.read().reason, ReasonCode(0));
}

#[test]
fn a_trigger_while_a_part_is_open_is_an_overrun_until_cleared() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    bench.command(Command::Trigger { part_id: 43, nonce: 2, epoch: EPOCH });
    assert!(bench.accept_trigger().is_none());
    let shown = bench.read();
    assert!(shown.status.has(Status::OVERRUN));
    assert_eq!((shown.part_id, shown.nonce, shown.reason), (42, 1, ReasonCode(0)));
    bench.conclude(trigger, pass(), 5);
    assert_eq!(bench.read().part_id, 42);
    bench.command(Command::Clear { nonce: 3 });
    assert!(!bench.read().status.has(Status::OVERRUN));
}

#[test]
fn a_trigger_refused_as_busy_hides_nothing_of_the_open_part() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    bench.command(Command::Trigger { part_id: 43, nonce: 2, epoch: EPOCH });
    bench.healthy = false;
    bench.conclude(trigger, pass(), 5);
    for _ in 0..2 {
        let shown = bench.read();
        assert_eq!((shown.part_id, shown.sequence, shown.reason), (42, 5, ReasonCode::SCORE_BELOW_REVIEW));
        assert!(shown.status.has(Status::DONE) && shown.status.has(Status::OVERRUN));
        assert_eq!(shown.verdict, NO_VERDICT);
    }
    bench.command(Command::Acknowledge { part_id: 42, nonce: 1, sequence: 5 });
    assert!(matches!(bench.events.last(), Some(DeviceEvent::RecordAcknowledged { ack, .. }) if ack.verdict_seq == 5));
    let shown = bench.read();
    assert_eq!((shown.part_id, shown.sequence, shown.status.has(Status::DONE)), (42, 5, false));
}

/// A gateway delays a trigger while the device restarts, and delivers it when the device is ready again.
#[test]
fn a_trigger_delayed_over_a_restart_is_judged_once() {
    let delayed = block(2, Command::Trigger { part_id: 42, nonce: 1, epoch: EPOCH });
    // Rows in the journal: one for each verdict.
    let mut rows = 0;
    let mut bench = Bench::ready();
    bench.exchange(&delayed);
    let trigger = bench.accept_trigger().unwrap();
    bench.conclude(trigger, pass(), 1);
    rows += 1;
    let mut bench = Bench::started(EPOCH + 1);
    bench.command(Command::None);
    assert!(bench.read().status.has(Status::READY));
    for _ in 0..2 {
        bench.exchange(&delayed);
        if let Some(trigger) = bench.accept_trigger() {
            bench.conclude(trigger, pass(), 2);
            rows += 1;
        }
    }
    assert_eq!(rows, 1, "terminal rows of one part");
    let shown = bench.read();
    assert_eq!((shown.part_id, shown.nonce, shown.reason), (42, 1, ReasonCode::EPOCH_MISMATCH));
    assert_eq!((shown.verdict, shown.sequence, shown.status.has(Status::BUSY)), (NO_VERDICT, 0, false));
    // A trigger with the new epoch is accepted.
    bench.command(Command::Trigger { part_id: 42, nonce: 1, epoch: EPOCH + 1 });
    assert!(bench.accept_trigger().is_some() && bench.read().reason == ReasonCode(0));
}

#[test]
fn a_trigger_of_another_epoch_affects_neither_the_open_part_nor_its_verdict() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    let stale = Command::Trigger { part_id: 41, nonce: 9, epoch: EPOCH - 1 };
    let read_part_42 = |bench: &mut Bench| {
        bench.command(stale);
        let shown = bench.read();
        assert_eq!((shown.part_id, shown.nonce, shown.status.has(Status::OVERRUN)), (42, 1, false));
        shown
    };
    assert!(read_part_42(&mut bench).status.has(Status::BUSY));
    bench.conclude(trigger, pass(), 5);
    assert_eq!(read_part_42(&mut bench).verdict, WireVerdict::Pass.register());
}
