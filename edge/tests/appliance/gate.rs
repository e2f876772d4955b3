//! Tests that the appliance shows the decision of the PLC's gate, if that differs from the verdict.

use crate::metrics::{scrape, start_with_metrics};
use crate::plant::wait_for;
use crate::plc::Plc;
use cellgate_protocol::code::VerdictCode;
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::reason::ReasonCode;

/// The gate does not allow the model. So it does not follow a PASS, but a REJECT.
fn a_gate_that_does_not_follow_a_verdict_is_logged_and_counted(profile: &str) {
    let (plant, address) = start_with_metrics(profile);
    let plc = Plc::with_allowed_model(&plant, profile, DigestStart([7; 8]));
    for (part, image, code, gate) in [
        (1, &plant.images[0], VerdictCode::PASS, ReasonCode::MODEL_NOT_ALLOWED),
        (2, &plant.images[2], VerdictCode::REJECT, ReasonCode::SCORE_FROM_REJECT),
    ] {
        plc.wait_ready();
        plant.scan(part, image);
        plc.trigger(part, 5_000);
        let (_, outcome) = plc.outcome(part);
        assert_eq!((outcome.claim.unwrap().code, outcome.reason()), (code, gate));
    }
    let value = |name: &str, labels: &[(&str, &str)]| scrape(address).sum(name, labels);
    wait_for("the acknowledgements", || value("cellgate_verdicts_unacknowledged", &[]) == 0.0);
    assert_eq!(value("cellgate_gate_differences_total", &[("reason", "MODEL_NOT_ALLOWED")]), 1.0);
    assert_eq!(value("cellgate_gate_differences_total", &[]), 1.0);
    let lines = plant.log_lines("gate_differs");
    let [line] = &lines[..] else { panic!("{lines:?}") };
    for field in ["seq=1", "part=1", "verdict=PASS", "reason=\"SCORE_BELOW_REVIEW\"", "gate=MODEL_NOT_ALLOWED"] {
        assert!(line.split_whitespace().any(|word| word == field), "{line}");
    }
}

#[test]
fn a_gate_that_does_not_follow_a_verdict_is_logged_and_counted_over_native_frames() {
    a_gate_that_does_not_follow_a_verdict_is_logged_and_counted("native");
}

#[test]
fn a_gate_that_does_not_follow_a_verdict_is_logged_and_counted_over_modbus() {
    a_gate_that_does_not_follow_a_verdict_is_logged_and_counted("modbus");
}
