//! Kills or stops the image decoder, which is the sandbox's process. At most the image that the decoder is working on is rejected.

use crate::assert_agree;
use crate::plant::Plant;
use crate::plc::Plc;
use crate::process::{children, has_ended, wait_for_end};
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::reason::ReasonCode;
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// The process id of the decoder, the only child of the appliance.
fn decoder(plant: &Plant) -> Pid {
    let mut decoders = children(plant.appliance.as_ref().unwrap());
    // A killed decoder may still be a zombie.
    decoders.retain(|&decoder| !has_ended(decoder));
    assert_eq!(decoders.len(), 1);
    decoders[0]
}

#[test]
fn a_decoder_killed_while_idle_costs_no_image() {
    let plant = Plant::new("native", "part-id");
    let mut outcomes = plant.run_parts("native", 3, 1, 0)[..3].to_vec();
    let killed = decoder(&plant);
    kill_process(killed, Signal::KILL).unwrap();
    wait_for_end(killed, Duration::from_secs(20));
    outcomes.extend_from_slice(&plant.run_parts("native", 4, 4, 0)[..4]);
    assert_agree(&plant.rows(), &outcomes, 1);
    assert_ne!(decoder(&plant), killed, "the decoder was replaced");
}

#[test]
fn a_decoder_killed_or_stopped_with_an_image_costs_only_that_image() {
    let plant = Plant::new("native", "part-id");
    let plc = Plc::new(&plant, "native");
    let mut part = 1;
    // The test can't see whether the decoder already has the image when it is killed. If the decoder does not have it yet, the part
    // passes, and the test tries again.
    for (is_killed, expected) in [(true, ReasonCode::DECODER_FAILED), (false, ReasonCode::DECODER_TIMED_OUT)] {
        let mut is_found = false;
        for _ in 0..10 {
            plc.pass(&plant, part);
            plc.wait_ready();
            let decoder = decoder(&plant);
            kill_process(decoder, Signal::STOP).unwrap();
            plant.scan(part + 1, &plant.images[0]);
            plc.trigger(part + 1, 5_000);
            plc.wait_accepted(part + 1);
            if is_killed {
                std::thread::sleep(Duration::from_millis(60));
                kill_process(decoder, Signal::KILL).unwrap();
            }
            let (_, outcome) = plc.outcome(part + 1);
            let reason = outcome.claim.unwrap().reason;
            part += 2;
            assert!(outcome.decision.verdict() == WireVerdict::Reject || is_killed, "{outcome:?}");
            is_found = reason == expected;
            if is_found {
                break;
            }
        }
        assert!(is_found, "{expected} did not occur");
    }
    plc.pass(&plant, part);
    plc.seen().assert_agrees_with(&plant.rows(), part);
}
