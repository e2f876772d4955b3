//! Tests the whole appliance: the real program with a real ONNX Runtime and real TIFFs, and a simulated PLC at the other end of a
//! pair of pseudo-terminals (socat, which scripts/setup installs).
#![expect(clippy::unwrap_used, reason = "clippy allows it in tests, but not in their helpers")]

mod archive;
mod bundles;
mod cable;
mod closed_log;
mod control;
mod decoder;
mod distance;
mod engine;
mod flipped;
mod frozen;
mod gate;
mod gpu;
mod hard_links;
mod idle;
mod lost_folder;
mod metrics;
mod modbus_clients;
mod plant;
mod plc;
mod rewritten;
mod service_manager;
mod slow_network;
mod standstill;
mod stop;

use cellgate_test_support::models as support;
use cellgate_test_support::{exposition, memory, process};
use plant::{Plant, signal, wait_for};
use plc::Plc;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::*;

/// Checks that each part from `first` on has one row in the journal and one outcome at the PLC, both with the verdict of the part's
/// image: PASS, REVIEW, REJECT in turn.
fn assert_agree(rows: &[Value], outcomes: &[Value], first: u64) {
    assert_eq!(rows.len(), outcomes.len());
    let expected = ["PASS", "REVIEW", "REJECT"];
    for (index, (row, outcome)) in rows.iter().zip(outcomes).enumerate() {
        let part = first + index as u64;
        assert_eq!((row["part"].as_u64(), outcome["part"].as_u64()), (Some(part), Some(part)));
        assert_eq!(
            (&row["verdict"], &outcome["gate"]),
            (&outcome["device"], &Value::from(expected[index % 3])),
            "{outcome}"
        );
        assert_eq!(row["verdict"], outcome["gate"], "{row} {outcome}");
    }
}

/// Runs `parts` parts, and checks that journal and PLC agree about them and that the archive has all images.
fn check_every_part_gets_its_verdict(mut plant: Plant, profile: &str, parts: u64) {
    let mut outcomes = plant.run_parts(profile, parts, 1, 0);
    let summary = outcomes.pop().unwrap();
    println!("{profile}: {summary}");
    assert_eq!((summary["parts"].as_u64(), summary["rejected_by_gate"].as_u64()), (Some(parts), Some(0)));
    assert_eq!(plant.stop(), Some(0), "SIGTERM ends the appliance with status 0");
    assert_agree(&plant.rows(), &outcomes, 1);
    assert_eq!(fs::read_dir(plant.path("scans")).unwrap().count(), 0, "judged images are in the archive");
}

#[test]
fn every_part_gets_its_verdict_over_native_frames() {
    check_every_part_gets_its_verdict(Plant::new("native", "part-id"), "native", 60);
}

#[test]
fn every_part_gets_its_verdict_over_modbus() {
    check_every_part_gets_its_verdict(Plant::new("modbus", "part-id"), "modbus", 60);
}

/// Full run: `cargo test --release -p cellgate-edge --test appliance -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn every_one_of_500_parts_gets_its_verdict_over_both_profiles() {
    for profile in ["native", "modbus"] {
        check_every_part_gets_its_verdict(Plant::on_disk(profile), profile, 500);
    }
}

#[test]
fn a_malformed_or_missing_image_is_rejected_with_its_reason() {
    let plant = Plant::new("native", "part-id");
    let scan = |part: u64, bytes: &[u8]| {
        fs::write(plant.path(&format!(".{part}")), bytes).unwrap();
        fs::rename(plant.path(&format!(".{part}")), plant.path(&format!("scans/{part}.tif"))).unwrap();
    };
    // The appliance must watch the folder before the first image arrives.
    plant.wait_for_events("engine_proven", 1);
    scan(1, b"not a radiograph");
    scan(2, &fs::read(&plant.images[0]).unwrap()[..60]);
    let outcomes = lines(&run(plant.plc("native", 3, 1).args(["--deadline-ms", "600"]), 0));
    let reasons: Vec<_> = outcomes[..3].iter().map(|outcome| outcome["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["IMAGE_MALFORMED", "IMAGE_MALFORMED", "NO_IMAGE"]);
    let rows = plant.rows();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["verdict"] == "REJECT"), "{rows:?}");
    // Each REJECT without a score is logged as a warning with its detail.
    let judged = plant.log_lines("judged");
    let is_warning = |line: &String| line.contains(" WARN ") && line.contains("detail=\"");
    assert!(judged.len() == 3 && judged.iter().all(is_warning), "{judged:?}");
}

#[test]
fn no_part_passes_with_a_model_that_the_gate_does_not_allow() {
    let plant = Plant::new("native", "part-id");
    let mut plc =
        plant.program(&["plc-sim", "--port", "plc", "--json", "--model-digest", "0123456789abcdef", "--parts", "1"]);
    let outcomes = lines(&run(plc.args(["--into", "scans", "--images"]).arg(&plant.images[0]), 1));
    assert_eq!((&outcomes[0]["device"], &outcomes[0]["gate"]), (&Value::from("PASS"), &Value::from("REJECT")));
    assert_eq!(outcomes[0]["reason"], "MODEL_NOT_ALLOWED");
}

#[test]
fn each_part_has_one_record_after_a_disconnected_cable_and_a_killed_appliance() {
    let mut plant = Plant::on_disk("native");
    let mut outcomes = plant.run_parts("native", 3, 1, 0);
    outcomes.truncate(3);
    for round in 0..3 {
        plant.disconnect_cable();
        plant.connect_cable();
        let first = 4 + 3 * round;
        outcomes.extend_from_slice(&plant.run_parts("native", 3, first, 0)[..3]);
    }
    plant.kill();
    plant.start();
    outcomes.extend_from_slice(&plant.run_parts("native", 3, 13, 0)[..3]);
    assert_agree(&plant.rows(), &outcomes, 1);
}

/// A pause after which images can be assigned to triggers by order: longer than `lead_ms` in the plant's configuration.
const ORDER_PAUSE: Duration = Duration::from_millis(6_000);
/// The time until the appliance has noticed a new image.
const SEEN: Duration = Duration::from_millis(500);

#[test]
fn by_order_a_stray_image_goes_to_no_part_and_a_pause_restores_the_order() {
    let plant = Plant::new("native", "trigger-first");
    plant.wait_for_events("engine_proven", 1);
    std::thread::sleep(ORDER_PAUSE);
    let run_parts = |first: u64| {
        let mut plc = plant.plc("native", 4, first);
        lines(&run(plc.args(["--scan-after", "150", "--into", "scans", "--images"]).args(&plant.images), 0))
    };
    plant.scan(99, &plant.images[0]);
    let outcomes = run_parts(100);
    assert!(outcomes[..4].iter().all(|outcome| outcome["reason"] == "IMAGE_MISMATCH"), "{outcomes:?}");
    assert_eq!(plant.events("order_lost"), 2, "{}", plant.log());
    let is_stray = |line: &String| line.contains("scans/99.tif ") && line.contains("why=\"out_of_order\"");
    assert!(plant.log_lines("image_set_aside").iter().any(is_stray), "{}", plant.log());
    std::thread::sleep(ORDER_PAUSE);
    let outcomes = run_parts(200);
    assert_eq!(outcomes[0]["gate"], "PASS");
    assert_eq!(plant.events("order_restored"), 2, "{}", plant.log());
    assert_agree(&plant.rows()[4..], &outcomes[..4], 200);
}

#[test]
fn by_order_the_image_of_a_refused_trigger_goes_to_no_other_part() {
    let plant = Plant::new("native", "image-first");
    plant.wait_for_events("engine_proven", 1);
    std::thread::sleep(ORDER_PAUSE);
    let refused = plant.plc("native", 1, 1).args(["--deadline-ms", "4000000000"]).output().unwrap();
    assert_eq!(lines(&refused)[0]["reason"], "DEADLINE_INVALID");
    // Only the image of the refused part arrives. The image of the next part does not.
    plant.scan(1, &plant.images[0]);
    std::thread::sleep(SEEN);
    let outcomes = lines(&run(&mut plant.plc("native", 1, 2), 0));
    assert_eq!(outcomes[0]["reason"], "IMAGE_MISMATCH", "{outcomes:?}");
}

#[test]
fn by_order_an_image_may_arrive_before_its_trigger() {
    let plant = Plant::new("native", "image-first");
    plant.wait_for_events("engine_proven", 1);
    std::thread::sleep(ORDER_PAUSE);
    for (part, verdict) in [(41, "PASS"), (42, "REVIEW"), (43, "REJECT")] {
        plant.scan(part, &plant.images[part as usize - 41]);
        std::thread::sleep(SEEN);
        let outcomes = lines(&run(&mut plant.plc("native", 1, part), 0));
        assert_eq!(outcomes[0]["device"], verdict, "{outcomes:?}");
    }
}

#[test]
fn free_running_each_image_is_recorded() {
    let plant = Plant::new("native", "free-running");
    plant.wait_for_events("port_opened", 1);
    plant.wait_for_events("engine_proven", 1);
    for (index, image) in plant.images.iter().enumerate() {
        fs::copy(image, plant.path(".image.tif")).unwrap();
        fs::rename(plant.path(".image.tif"), plant.path(&format!("scans/any{index}.tif"))).unwrap();
    }
    plant.wait_for_events("judged", 3);
    let rows = plant.rows();
    let verdicts: Vec<_> = rows.iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["PASS", "REVIEW", "REJECT"]);
    assert!(rows.iter().all(|row| row["kind"] == "FREE_RUNNING"), "{rows:?}");
}

#[test]
fn free_running_a_trigger_is_rejected_and_gets_no_image() {
    let plant = Plant::new("native", "free-running");
    plant.wait_for_events("engine_proven", 1);
    for part in [7, 8] {
        let outcomes = lines(&run(&mut plant.plc("native", 1, part), 0));
        assert_eq!(
            (&outcomes[0]["device"], &outcomes[0]["reason"]),
            (&"REJECT".into(), &"NO_IMAGE".into()),
            "{outcomes:?}"
        );
        // This image has the part's name, but is judged without a trigger.
        plant.scan(part, &plant.images[0]);
        plant.wait_for_events("judged", 2 * (part as usize - 6));
    }
    let rows = plant.rows();
    let verdicts: Vec<_> =
        rows.iter().map(|row| (row["kind"].as_str().unwrap(), row["verdict"].as_str().unwrap())).collect();
    let pair = [("PLC", "REJECT"), ("FREE_RUNNING", "PASS")];
    assert_eq!(verdicts, [pair, pair].concat());
}

#[test]
fn free_running_images_that_arrived_while_the_appliance_was_down_are_judged_after_the_start() {
    let mut plant = Plant::new("native", "free-running");
    plant.wait_for_events("engine_proven", 1);
    assert_eq!(plant.stop(), Some(0));
    for (index, image) in plant.images.iter().enumerate() {
        plant.scan(index as u64, image);
    }
    plant.start();
    plant.wait_for_events("judged", 3);
    let rows = plant.rows();
    let verdicts: Vec<_> = rows.iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["PASS", "REVIEW", "REJECT"]);
    wait_for("three images in the archive", || plant.archived().len() == 3);
    assert!(plant.archived().iter().all(|name| name.contains("-free-")), "{:?}", plant.archived());
}

/// No PLC waits for the verdicts on these images, so the images can wait. If they were judged without an engine, their rows would
/// have no score for ever.
#[test]
fn free_running_images_wait_for_a_proven_engine() {
    let mut plant =
        Plant::with_model("native", "free-running", |folder| model(folder, &contents("mean.onnx", -mean_logit(DARK))));
    plant.wait_for_events("engine_refused", 1);
    plant.images.iter().enumerate().for_each(|(index, image)| plant.scan(index as u64, image));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!((plant.rows().len(), plant.scan_count()), (0, 3));
    assert_eq!(plant.stop(), Some(0));
    fs::remove_dir_all(plant.path("model")).unwrap();
    sound_model(plant.folder.path());
    plant.start();
    wait_for("three images in the archive", || plant.archived().len() == 3);
    let rows = plant.rows();
    let verdicts: Vec<_> = rows.iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["PASS", "REVIEW", "REJECT"]);
}

#[test]
fn a_stopped_appliance_is_not_ready_and_continues_afterwards() {
    let plant = Plant::new("native", "part-id");
    let plc = Plc::new(&plant, "native");
    plc.pass(&plant, 1);
    plc.wait_ready();
    signal(plant.appliance.as_ref().unwrap(), Signal::STOP);
    plc.wait_not_ready();
    signal(plant.appliance.as_ref().unwrap(), Signal::CONT);
    plc.pass(&plant, 2);
    plc.seen().assert_agrees_with(&plant.rows(), 2);
}

#[test]
fn the_plc_waits_for_the_appliance_as_long_as_its_patience() {
    let mut plant = Plant::new("native", "part-id");
    plant.kill();
    let start = Instant::now();
    let output = run(plant.plc_without_patience("native", 1, 1).args(["--patience", "1"]), 2);
    assert!(stderr(&output).contains(" 1 s"), "{}", stderr(&output));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn doctor_finds_no_failure_in_a_good_appliance_and_reports_those_of_a_broken_one() {
    let mut plant = Plant::new("native", "part-id");
    plant.wait_for_events("engine_proven", 1);
    assert!(plant.doctor(0).contains(&"journal: warning".into()), "the running appliance holds the journal");
    assert_eq!(plant.stop(), Some(0));
    let findings = plant.doctor(0);
    assert!(findings.contains(&"journal: ok".into()), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.starts_with("model and engine: ")), "{findings:?}");
    fs::remove_dir_all(plant.path("model/golden")).unwrap();
    plant.disconnect_cable();
    let mut failures = plant.doctor(1);
    failures.retain(|finding| finding.ends_with(": failure"));
    assert_eq!(failures, ["model and engine: failure", "serial port: failure"]);
}

#[cfg(not(feature = "tensorrt"))]
#[test]
fn commands_that_need_tensorrt_name_the_feature_to_build_with() {
    for arguments in [&["plan", "build", "--model", "model"][..], &["plan", "list"], &["gpu-check", "--json", "1.tif"]]
    {
        let output = run(Command::new(env!("CARGO_BIN_EXE_cellgate-edge")).args(arguments), 2);
        assert!(stderr(&output).contains("--features tensorrt"), "{}", stderr(&output));
    }
}

#[test]
fn misuse_is_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let program = |arguments: &[&str], status| {
        run(Command::new(env!("CARGO_BIN_EXE_cellgate-edge")).current_dir(folder.path()).args(arguments), status)
    };
    let example = program(&["run", "--example"], 0);
    fs::write(folder.path().join("edge.toml"), &example.stdout).unwrap();
    program(&["run", "--config", "edge.toml", "--check"], 0);
    let output = program(&["run", "--config", "edge.toml"], 2);
    let text = stderr(&output);
    assert!(text.contains("[model] path"), "{text}");
    let missing = program(&["plc-sim", "--port", "none", "--images", "edge.toml", "--into", "scans"], 2);
    assert!(stderr(&missing).contains("--into scans"), "{}", stderr(&missing));
    let missing = program(&["run", "--config", "none.toml"], 2);
    assert!(stderr(&missing).contains("none.toml"), "{}", stderr(&missing));
    assert!(Path::new(&folder.path().join("edge.toml")).exists());
}
