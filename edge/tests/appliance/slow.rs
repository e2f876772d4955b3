//! A network that takes a large part of a second. While it runs nobody can see whether it still does, so the heartbeat goes on
//! for as long as it may take; a PASS can't come of that, since the thread that stands still is the one that would judge.

use crate::frozen::Frozen;
use crate::plant::Plant;
use crate::plc::Plc;
use crate::support::*;
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::reason::ReasonCode;
use std::time::{Duration, Instant};

#[test]
fn a_slow_network_that_stands_still_is_a_timeout_at_the_deadline_and_then_a_restart() {
    let mut plant = Plant::with_model("native", "part-id", |folder| {
        model(folder, &contents("slow_mean_sigmoid.onnx", mean_sigmoid(DARK)))
    });
    let plc = Plc::new(&plant, "native");
    // On a busy machine a part may take much longer than the next one, and the device's own end of it may come too late.
    let first = (1..20).step_by(2).find(|&first| stands_still(&mut plant, &plc, first));
    let stopped = first.expect("the network is never met at work, or the PLC never told in time") + 1;
    plc.pass(&plant, stopped + 1);
    let rows = plant.rows();
    let row = &rows[stopped as usize - 1];
    assert_eq!((&row["verdict"], &row["reason"]), (&"REJECT".into(), &"TIMEOUT".into()), "{rows:?}");
    plc.seen().agrees_with(&rows, stopped + 1);
}

/// Part `first` is judged, the network stands still with the next one, and the appliance ends and is started again. Whether the
/// network was at work then, and the device told the PLC so before the deadline.
fn stands_still(plant: &mut Plant, plc: &Plc, first: u64) -> bool {
    plc.pass(plant, first);
    let part = first + 1;
    let usual_ms = u32::try_from(plc.outcome(first).1.elapsed_ms).unwrap();
    // Less than the twice that the network may take.
    let deadline_ms = usual_ms * 3 / 2;
    plc.wait_ready();
    plant.scan(part, &plant.images[0]);
    plc.trigger(part, deadline_ms);
    plc.wait_accepted(part);
    std::thread::sleep(Duration::from_millis(u64::from(usual_ms) / 3));
    let start = Instant::now();
    let frozen = Frozen::new(plant.appliance.as_ref().unwrap(), "judge");
    let (decided, outcome) = plc.outcome(part);
    let was_on_its_way = decided < start + Duration::from_millis(300);
    assert!(outcome.decision.verdict() == WireVerdict::Reject || was_on_its_way, "{outcome:?}");
    assert_eq!(plant.ended(|| frozen.reap()), Some(70));
    let (heartbeat, _) = *plc.seen().heartbeats.last().unwrap();
    let after = |moment: Instant| moment.saturating_duration_since(start);
    println!(
        "network {usual_ms} ms: {outcome:?} {:?} after the fault, last heartbeat {:?}",
        after(decided),
        after(heartbeat)
    );
    assert!(heartbeat.elapsed() > Duration::from_secs(1), "the heartbeat stopped long before the end");
    drop(frozen);
    plant.start();
    let is_its_own = outcome.claim.is_some_and(|claim| claim.reason == ReasonCode::TIMEOUT);
    is_its_own && outcome.elapsed_ms <= u64::from(deadline_ms)
}
