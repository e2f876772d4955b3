//! Tests a part whose whitened features are far from those of normal parts, or not finite.

use crate::plant::Plant;
use crate::plc::Plc;
use crate::support::*;
use cellgate_models::policy::Policy;
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::reason::ReasonCode;
use serde_json::Value;
use std::path::Path;

/// Judges `image` as part `part` with `plant`, and checks verdict and reason at the PLC and in the journal. Returns the row.
fn judged(plant: &Plant, plc: &Plc, part: u64, image: &Path, verdict: WireVerdict, reason: ReasonCode) -> Value {
    plc.wait_ready();
    plant.scan(part, image);
    plc.trigger(part, 5_000);
    let (_, outcome) = plc.outcome(part);
    assert_eq!((outcome.decision.verdict(), outcome.claim.unwrap().reason), (verdict, reason), "{outcome:?}");
    let rows = plant.rows();
    let row = rows.into_iter().find(|row| row["part"] == part).unwrap();
    assert_eq!(row["verdict"], verdict.name(), "{row}");
    row
}

/// The distance of a dark image is about 2, that of a grey one about 1.
#[test]
fn a_part_beyond_the_largest_distance_is_reviewed_with_its_distance_in_the_journal() {
    let plant = Plant::with_model("native", "part-id", |folder| {
        let mut contents = contents("mean.onnx", mean_logit(DARK));
        contents.policy = Policy::without_reference(contents.policy.without().with_largest_distance(1.5).unwrap());
        model(folder, &contents)
    });
    let plc = Plc::new(&plant, "native");
    let grey = image(plant.folder.path(), "grey", 64 * 256);
    let passed = judged(&plant, &plc, 1, &grey, WireVerdict::Pass, ReasonCode::SCORE_BELOW_REVIEW);
    assert_eq!((&passed["reason"], &passed["detail"]), (&"SCORE_BELOW_REVIEW".into(), &"".into()));
    let row = judged(&plant, &plc, 2, &plant.images[0], WireVerdict::Review, ReasonCode::UNLIKE_TRAINING);
    assert_eq!(row["reason"], "UNLIKE_TRAINING");
    let distance = mean_logit(DARK).abs();
    let detail = format!("found distance {distance:.2} from normal parts, expected at most 1.50: a person decides");
    assert_eq!(row["detail"], detail);
    let numbers = ["raw_logit", "distance"].map(|name| row[name].as_f64().unwrap());
    let expected = [mean_logit(DARK), distance].map(f64::from);
    assert!(numbers.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-3), "{numbers:?}");
    assert_eq!((&row["offset"], &row["largest_distance"], &row["bundle"]), (&0.0.into(), &1.5.into(), &0.into()));
    assert!(row["regions"].is_array() && row["form"] == 2, "{row}");
    plc.seen().assert_agrees_with(&plant.rows(), 2);
}

/// The logit of a bright image is finite and that of a PASS.
#[test]
fn a_part_whose_features_are_not_finite_is_rejected() {
    let plant = Plant::with_model("native", "part-id", |folder| {
        let mut contents = contents("nan_features_when_bright.onnx", mean_logit(DARK));
        contents.golden[0].features = first_component((-mean_logit(DARK)).ln());
        contents.policy = policy([5.0, 6.0]);
        model(folder, &contents)
    });
    let plc = Plc::new(&plant, "native");
    plc.pass(&plant, 1);
    let row = judged(&plant, &plc, 2, &plant.images[2], WireVerdict::Reject, ReasonCode::SCORE_INVALID);
    assert_eq!(row["reason"], "SCORE_INVALID");
    assert!(row["distance"].is_null() && row["raw_logit"].is_number() && row["offset"].is_number(), "{row}");
    plc.pass(&plant, 3);
    plc.seen().assert_agrees_with(&plant.rows(), 3);
}
