//! A network that takes a large part of a second. While it runs nobody can see whether it still does, so the heartbeat goes on
//! for as long as it may take; a PASS can't come of that, since the thread that stands still is the one that would judge.

use crate::frozen::Frozen;
use crate::plant::Plant;
use crate::plc::Plc;
use crate::support::*;
use cellgate_protocol::code::Verdict;
use std::time::{Duration, Instant};

#[test]
fn a_slow_network_that_stands_still_is_a_timeout_at_the_deadline_and_then_a_restart() {
    let mut plant = Plant::with_bundle("native", "part-id", |folder| {
        bundle(folder, &contents("slow_mean_sigmoid.onnx", mean_sigmoid(DARK)))
    });
    let plc = Plc::new(&plant, "native");
    plc.pass(&plant, 1);
    let (_, usual) = plc.outcome(1);
    let usual_ms = u32::try_from(usual.elapsed_ms).unwrap();
    plc.wait_ready();
    plant.scan(2, &plant.images[0]);
    // Less than the twice that the network may take.
    plc.trigger(2, usual_ms * 3 / 2);
    plc.wait_accepted(2);
    std::thread::sleep(Duration::from_millis(u64::from(usual_ms) / 3));
    assert_eq!(plc.seen().outcomes.len(), 1, "the network is at work");
    let start = Instant::now();
    let frozen = Frozen::new(plant.appliance.as_ref().unwrap(), "judge");
    let (decided, outcome) = plc.outcome(2);
    assert_eq!(outcome.decision.verdict(), Verdict::Reject, "{outcome:?}");
    assert!(outcome.elapsed_ms <= u64::from(usual_ms) * 3 / 2, "the device's own, before the PLC gave up: {outcome:?}");
    assert_eq!(plant.ended(|| frozen.reap()), Some(70));
    let (beat, _) = *plc.seen().beats.last().unwrap();
    let after = |moment: Instant| moment.saturating_duration_since(start);
    println!("network {usual_ms} ms: REJECT {:?} after the fault, last heartbeat {:?}", after(decided), after(beat));
    assert!(beat.elapsed() > Duration::from_secs(1), "the heartbeat stopped long before the end");
    drop(frozen);
    plant.start();
    plc.pass(&plant, 3);
    let rows = plant.rows();
    assert_eq!((&rows[1]["verdict"], &rows[1]["reason"]), (&"REJECT".into(), &"TIMEOUT".into()), "{rows:?}");
    plc.seen().agrees_with(&rows, 3);
}
