//! Freezes the judge's thread while it runs a network that takes several hundred milliseconds. A network that hangs looks like one
//! that still computes, so the heartbeat continues for as long as the network may take. No part can pass in this time, because the
//! frozen thread is the one that judges.

use crate::frozen::Frozen;
use crate::plant::Plant;
use crate::plc::Plc;
use crate::support::*;
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::reason::ReasonCode;
use std::time::{Duration, Instant};

#[test]
fn a_frozen_slow_network_gives_a_timeout_at_the_deadline_and_then_ends_the_appliance() {
    let mut plant =
        Plant::with_model("native", "part-id", |folder| model(folder, &contents("slow_mean.onnx", mean_logit(DARK))));
    let plc = Plc::new(&plant, "native");
    // On a busy machine one part may take much longer than the next. Then the device's TIMEOUT may come too late, or the freeze may
    // miss the network. So several parts are tried.
    let first = (1..20).step_by(2).find(|&first| freeze_next_part(&mut plant, &plc, first));
    let frozen = first.expect("no part was frozen in the network and concluded in time") + 1;
    plc.pass(&plant, frozen + 1);
    let rows = plant.rows();
    let row = &rows[frozen as usize - 1];
    assert_eq!((&row["verdict"], &row["reason"]), (&"REJECT".into(), &"TIMEOUT".into()), "{rows:?}");
    plc.seen().assert_agrees_with(&rows, frozen + 1);
}

/// Lets part `first` pass, freezes the judge while it should run the network for the next part, and restarts the appliance after it
/// has ended. Returns whether the part was a TIMEOUT that the device reported before the deadline.
fn freeze_next_part(plant: &mut Plant, plc: &Plc, first: u64) -> bool {
    plc.pass(plant, first);
    let part = first + 1;
    let usual_ms = u32::try_from(plc.outcome(first).1.elapsed_ms).unwrap();
    // Less than the time that the appliance allows the network, which is twice its usual time.
    let deadline_ms = usual_ms * 3 / 2;
    plc.wait_ready();
    plant.scan(part, &plant.images[0]);
    plc.trigger(part, deadline_ms);
    plc.wait_accepted(part);
    std::thread::sleep(Duration::from_millis(u64::from(usual_ms) / 3));
    let start = Instant::now();
    let frozen = Frozen::new(plant.appliance.as_ref().unwrap(), "judge");
    let (decided, outcome) = plc.outcome(part);
    let was_decided_before = decided < start + Duration::from_millis(300);
    assert!(outcome.decision.verdict() == WireVerdict::Reject || was_decided_before, "{outcome:?}");
    assert_eq!(plant.wait_for_exit(|| frozen.reap()), Some(70));
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
    let is_timeout = outcome.claim.is_some_and(|claim| claim.reason == ReasonCode::TIMEOUT);
    is_timeout && outcome.elapsed_ms <= u64::from(deadline_ms)
}
