//! Tests a bundle on the line: reference parts, their confirmations, the offset, and kills of the appliance in between and meanwhile.

use crate::plant::{Plant, wait_for};
use crate::plc::Plc;
use crate::support::*;
use cellgate_models::policy::{Calibration, OperatingPoint, Policy, Reference};
use cellgate_protocol::bundle::{BundleState, Confirm, ConfirmResult, StepCode};
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::version::Schema;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Needs two reference parts. Good parts of the training bundles are about as dark as the dark image.
pub(crate) fn with_reference(folder: &Path) -> PathBuf {
    let dark = f64::from(mean_logit(DARK));
    let bundles: Vec<[f64; 2]> =
        (-3..=3).map(|bundle| dark + f64::from(bundle) / 4.0).map(|mean| [mean - 0.1, mean + 0.1]).collect();
    let point = |thresholds| OperatingPoint::new(thresholds, Calibration::IDENTITY).unwrap();
    let reference = Reference::estimate(&bundles, 2).unwrap();
    let policy = Policy::with_reference(point([-0.85, 0.85]), point([1.0, 3.0]), reference);
    let mut contents = contents("mean.onnx", mean_logit(DARK));
    contents.policy = policy;
    model(folder, &contents)
}

/// Judges `image` as a part of this bundle. Checks the verdict's reason at the PLC and returns the row.
pub(crate) fn judged(plant: &Plant, plc: &Plc, (part, bundle): (u64, u32), image: &Path, reason: ReasonCode) -> Value {
    plc.wait_ready();
    plant.scan(part, image);
    plc.trigger_in_bundle(part, 5_000, bundle);
    let (_, outcome) = plc.outcome(part);
    assert_eq!(outcome.claim.unwrap().reason, reason, "{outcome:?}");
    let row = plant.rows().into_iter().find(|row| row["part"] == part).unwrap();
    assert_eq!((&row["bundle"], &row["reason"]), (&bundle.into(), &reason.name().unwrap().into()), "{row}");
    row
}

/// The PLC confirms the part of this row. Returns the answer.
pub(crate) fn confirm(plc: &Plc, row: &Value, bundle: u32) -> ConfirmResult {
    plc.confirm(confirmation(row, bundle))
}

fn confirmation(row: &Value, bundle: u32) -> Confirm {
    let number = |name: &str| row[name].as_u64().unwrap();
    Confirm { verdict_seq: number("seq"), part_id: number("part"), bundle }
}

/// Kills the appliance, starts it again, and waits until it is ready.
fn restart(plant: &mut Plant, plc: &Plc) {
    plant.kill();
    plc.wait_not_ready();
    plant.start();
    plc.wait_ready();
}

/// A file that is no image.
fn no_image(plant: &Plant) -> PathBuf {
    let path = plant.path("text.tif");
    fs::write(&path, "text").unwrap();
    path
}

/// Kind and bundle of each event in the journal.
fn events(plant: &Plant) -> Vec<String> {
    let events = run(&mut plant.program(&["journal", "export", "verdicts.sqlite", "--events", "--format", "jsonl"]), 0);
    lines(&events).iter().map(|event| format!("{} {}", event["kind"].as_str().unwrap(), event["bundle"])).collect()
}

fn a_bundle(profile: &str) {
    let mut plant = Plant::with_model(profile, "part-id", with_reference);
    let plc = Plc::new(&plant, profile);
    let (dark, text) = (plant.images[0].clone(), no_image(&plant));
    let first = judged(&plant, &plc, (1, 7), &dark, ReasonCode::REFERENCE_PART);
    let unreadable = judged(&plant, &plc, (2, 7), &text, ReasonCode::IMAGE_MALFORMED);
    assert_eq!(confirm(&plc, &first, 8), ConfirmResult::NOT_IN_BUNDLE);
    assert_eq!(confirm(&plc, &unreadable, 7), ConfirmResult::REFUSED);
    assert_eq!(confirm(&plc, &first, 7), ConfirmResult::CONFIRMED);
    restart(&mut plant, &plc);
    let second = judged(&plant, &plc, (3, 7), &dark, ReasonCode::REFERENCE_PART);
    assert_eq!(plc.seen().bundle, BundleState { bundle: 7, step: StepCode::REFERENCE, confirmed: 1, missing: 1 });
    assert_eq!(confirm(&plc, &first, 7), ConfirmResult::CONFIRMED, "again, after the restart");
    assert_eq!(confirm(&plc, &second, 7), ConfirmResult::CONFIRMED);
    let passed = judged(&plant, &plc, (4, 7), &dark, ReasonCode::SCORE_BELOW_REVIEW);
    assert_eq!(plc.outcome(4).1.decision.verdict(), WireVerdict::Pass);
    assert!(passed["offset"].as_f64().unwrap() < -1.0, "{passed}");
    restart(&mut plant, &plc);
    let after = judged(&plant, &plc, (5, 7), &dark, ReasonCode::SCORE_BELOW_REVIEW);
    assert_eq!(after["offset"], passed["offset"]);
    assert_eq!(plc.seen().bundle, BundleState { bundle: 7, step: StepCode::OFFSET, confirmed: 2, missing: 0 });
    judged(&plant, &plc, (6, 8), &dark, ReasonCode::REFERENCE_PART);
    assert_eq!(confirm(&plc, &second, 7), ConfirmResult::NOT_IN_BUNDLE, "another bundle is running");
    let without = judged(&plant, &plc, (7, 0), &dark, ReasonCode::SCORE_BELOW_REVIEW);
    assert_eq!(without["offset"], 0.0);
    plc.seen().assert_agrees_with(&plant.rows(), 7);
    let expected = [
        "BUNDLE_STARTED 7",
        "REFERENCE_CONFIRMED 7",
        "REFERENCE_CONFIRMED 7",
        "OFFSET 7",
        "BUNDLE_ENDED 7",
        "BUNDLE_STARTED 8",
        "BUNDLE_ENDED 8",
    ];
    assert_eq!(events(&plant), expected);
    run(&mut plant.program(&["journal", "verify", "verdicts.sqlite", "--verdicts"]), 0);
    for (event, count) in [("bundle_started", 2), ("reference_confirmed", 2), ("bundle_offset", 1), ("bundle_ended", 2)]
    {
        assert_eq!(plant.events(event), count, "{event}");
    }
}

#[test]
fn a_bundle_gets_its_offset_on_the_native_link_and_goes_on_after_each_kill() {
    a_bundle("native");
}

#[test]
fn a_bundle_gets_its_offset_over_modbus_and_goes_on_after_each_kill() {
    a_bundle("modbus");
}

/// How long after a message of the PLC the appliance is killed. The appliance has stored what the message asks for after about 10 ms.
const KILLED_AFTER_MS: [u64; 4] = [0, 4, 8, 40];

/// Kills the appliance while a trigger starts a bundle, while a reference part is confirmed, and while the last one is, which gives the
/// offset. The PLC repeats what was not answered.
fn bundles_through_kills(profile: &str) {
    let mut plant = Plant::with_model(profile, "part-id", with_reference);
    let plc = Plc::new(&plant, profile);
    let dark = plant.images[0].clone();
    let (mut expected, mut started) = (Vec::new(), 0);
    for (index, killed_after) in KILLED_AFTER_MS.map(Duration::from_millis).into_iter().enumerate() {
        let (bundle, part) = (index as u32 + 1, 4 * index as u64 + 1);
        let shows = |step, confirmed, missing| {
            let expected = BundleState { bundle, step, confirmed, missing };
            wait_for("the bundle", || plc.seen().bundle == expected);
        };
        plc.wait_ready();
        plc.trigger_in_bundle(part, 5_000, bundle);
        std::thread::sleep(killed_after);
        restart(&mut plant, &plc);
        assert_eq!(plc.outcome(part).1.decision.verdict(), WireVerdict::Reject, "restarted");
        // An appliance that was killed before the acceptance was stored has not started the bundle. The next part does it.
        if plant.rows().iter().any(|row| row["part"] == part) {
            shows(StepCode::REFERENCE, 0, 2);
            started += 1;
        }
        for (confirmed, (step, missing)) in (1..).zip([(StepCode::REFERENCE, 1), (StepCode::OFFSET, 0)]) {
            let row = judged(&plant, &plc, (part + u64::from(confirmed), bundle), &dark, ReasonCode::REFERENCE_PART);
            let answer = plc.confirm_through(confirmation(&row, bundle), || {
                std::thread::sleep(killed_after);
                restart(&mut plant, &plc);
            });
            assert_eq!(answer, ConfirmResult::CONFIRMED);
            shows(step, confirmed, missing);
        }
        let passed = judged(&plant, &plc, (part + 3, bundle), &dark, ReasonCode::SCORE_BELOW_REVIEW);
        assert!(passed["offset"].as_f64().unwrap() < -1.0, "{passed}");
        if bundle > 1 {
            expected.push(format!("BUNDLE_ENDED {}", bundle - 1));
        }
        let kinds = ["BUNDLE_STARTED", "REFERENCE_CONFIRMED", "REFERENCE_CONFIRMED", "OFFSET"];
        expected.extend(kinds.map(|kind| format!("{kind} {bundle}")));
    }
    assert!(started > 0, "no kill came after a start");
    assert_eq!(events(&plant), expected);
    plc.seen().assert_agrees_with(&plant.rows(), 4 * KILLED_AFTER_MS.len() as u64);
}

#[test]
fn a_kill_at_the_start_of_a_bundle_at_a_confirmation_and_at_the_offset_loses_nothing_on_the_native_link() {
    bundles_through_kills("native");
}

#[test]
fn a_kill_at_the_start_of_a_bundle_at_a_confirmation_and_at_the_offset_loses_nothing_over_modbus() {
    bundles_through_kills("modbus");
}

/// Parts 1 and 3 of the bundle are good, part 2 has no readable image: its confirmation is refused, and with the third part the bundle is judged.
fn the_simulated_plc_runs_a_bundle(profile: &str) {
    let plant = Plant::with_model(profile, "part-id", with_reference);
    let (dark, text_file) = (&plant.images[0], &no_image(&plant));
    let mut plc = plant.plc(profile, 4, 1);
    plc.args(["--bundle", "7", "--confirm", "1", "2", "3", "--into", "scans", "--images"]);
    let output = lines(&run(plc.args([dark, text_file, dark, dark]), 1));
    let said: Vec<_> =
        output.iter().map(|line| (&line["part"], &line["gate"], &line["reason"], &line["confirmation"])).collect();
    let (part, text, none) = (|part: u64| Value::from(part), |text: &str| Value::from(text), Value::Null);
    assert_eq!(
        said,
        [
            (&part(1), &text("REVIEW"), &text("REFERENCE_PART"), &none),
            (&part(1), &none, &none, &text("CONFIRMED")),
            (&part(2), &text("REJECT"), &text("IMAGE_MALFORMED"), &none),
            (&part(2), &none, &none, &text("REFUSED")),
            (&part(3), &text("REVIEW"), &text("REFERENCE_PART"), &none),
            (&part(3), &none, &none, &text("CONFIRMED")),
            (&part(4), &text("PASS"), &text(""), &none),
            (&none, &none, &none, &none),
        ]
    );
    let bundle = serde_json::json!({ "bundle": 7, "step": "OFFSET", "confirmed": 2, "missing": 0 });
    assert_eq!(output.last().unwrap()["bundle"], bundle);
    assert!(plant.rows().iter().all(|row| row["bundle"] == 7));
}

#[test]
fn the_simulated_plc_runs_a_bundle_on_the_native_link() {
    the_simulated_plc_runs_a_bundle("native");
}

#[test]
fn the_simulated_plc_runs_a_bundle_over_modbus() {
    the_simulated_plc_runs_a_bundle("modbus");
}

/// A PLC of schema 1 names no bundle and can't confirm a part. A person starts the bundle.
#[test]
fn an_old_plc_gets_the_verdicts_of_the_bundle_that_a_person_started() {
    for profile in ["native", "modbus"] {
        let mut plant = Plant::with_model(profile, "part-id", with_reference);
        plant.stop();
        let config = fs::read_to_string(plant.path("edge.toml")).unwrap() + "[control]\nsocket = \"control\"\n";
        fs::write(plant.path("edge.toml"), config).unwrap();
        plant.start();
        let plc = Plc::of_schema(Schema::One, &plant, profile);
        let dark = plant.images[0].clone();
        let judge = |part, reason| {
            plc.wait_ready();
            plant.scan(part, &dark);
            plc.trigger(part, 5_000);
            assert_eq!(plc.outcome(part).1.claim.unwrap().reason, reason);
        };
        let bundle = |arguments: &[&str]| {
            run(&mut plant.program(&[&["bundle"], arguments, &["--socket", "control"]].concat()), 0)
        };
        judge(1, ReasonCode::SCORE_BELOW_REVIEW);
        bundle(&["start", "7"]);
        judge(2, ReasonCode::REFERENCE_PART);
        judge(3, ReasonCode::REFERENCE_PART);
        bundle(&["confirm", "--bundle", "7", "2", "3"]);
        judge(4, ReasonCode::SCORE_BELOW_REVIEW);
        assert_eq!(plc.seen().bundle, BundleState::NONE, "an old PLC does not see bundles");
        let bundles: Vec<_> = plant.rows().iter().map(|row| row["bundle"].as_u64().unwrap()).collect();
        assert_eq!(bundles, [0, 7, 7, 7]);
        plc.seen().assert_agrees_with(&plant.rows(), 4);
    }
}
