//! The process that decodes images dies or stands still: at most the image that it has is lost, as a REJECT.

use crate::agree;
use crate::plant::Plant;
use crate::plc::Plc;
use crate::process::{children, has_ended, wait_for_end};
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::reason::ReasonCode;
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// The one process that the appliance started.
fn decoder(plant: &Plant) -> Pid {
    let mut decoders = children(plant.appliance.as_ref().unwrap());
    // One that was killed may not have been waited for.
    decoders.retain(|&decoder| !has_ended(decoder));
    assert_eq!(decoders.len(), 1);
    decoders[0]
}

#[test]
fn a_decoder_killed_while_idle_costs_no_image() {
    let plant = Plant::new("native", "part-id");
    let mut outcomes = plant.tray("native", 3, 1, 0)[..3].to_vec();
    let decoder = decoder(&plant);
    kill_process(decoder, Signal::KILL).unwrap();
    wait_for_end(decoder, Duration::from_secs(20));
    outcomes.extend_from_slice(&plant.tray("native", 4, 4, 0)[..4]);
    agree(&plant.rows(), &outcomes, 1);
    assert!(plant.log().contains("ended while it waited"), "{}", plant.log());
}

#[test]
fn a_decoder_killed_or_standing_still_with_an_image_costs_that_image_and_no_other() {
    let plant = Plant::new("native", "part-id");
    let plc = Plc::new(&plant, "native");
    let mut part = 1;
    // Whether the image is with the decoder just then can't be seen from outside; where it was not, it is a PASS.
    for (is_killed, expected) in [(true, ReasonCode::DECODER_FAILED), (false, ReasonCode::DECODER_TIMED_OUT)] {
        let mut met = false;
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
            met = reason == expected;
            if met {
                break;
            }
        }
        assert!(met, "never {expected}");
    }
    plc.pass(&plant, part);
    plc.seen().agrees_with(&plant.rows(), part);
}
