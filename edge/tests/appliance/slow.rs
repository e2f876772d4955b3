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
    let mut part = 1;
    let usual_ms = loop {
        let usual_ms = u32::try_from(plc.outcome(part).1.elapsed_ms).unwrap();
        part += 1;
        plc.wait_ready();
        plant.scan(part, &plant.images[0]);
        // Less than the twice that the network may take.
        plc.trigger(part, usual_ms * 3 / 2);
        plc.wait_accepted(part);
        std::thread::sleep(Duration::from_millis(u64::from(usual_ms) / 3));
        // On a busy machine a part may take much longer than the next one.
        if plc.seen().outcomes.len() < part as usize {
            break usual_ms;
        }
        assert!(part < 10, "the network is never seen at work");
    };
    let start = Instant::now();
    let frozen = Frozen::new(plant.appliance.as_ref().unwrap(), "judge");
    let (decided, outcome) = plc.outcome(part);
    assert_eq!(outcome.decision.verdict(), Verdict::Reject, "{outcome:?}");
    assert_eq!(plant.ended(|| frozen.reap()), Some(70));
    let (beat, _) = *plc.seen().beats.last().unwrap();
    let after = |moment: Instant| moment.saturating_duration_since(start);
    println!("network {usual_ms} ms: REJECT {:?} after the fault, last heartbeat {:?}", after(decided), after(beat));
    assert!(beat.elapsed() > Duration::from_secs(1), "the heartbeat stopped long before the end");
    drop(frozen);
    plant.start();
    plc.pass(&plant, part + 1);
    let rows = plant.rows();
    let row = &rows[part as usize - 1];
    assert_eq!((&row["verdict"], &row["reason"]), (&"REJECT".into(), &"TIMEOUT".into()), "the device's own: {rows:?}");
    plc.seen().agrees_with(&rows, part + 1);
}
