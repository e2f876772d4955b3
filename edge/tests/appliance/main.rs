//! The appliance as a line has it: the real program, a real ONNX Runtime, real TIFFs, and the simulated PLC at the other end
//! of a real pair of pseudo-terminals (socat, which scripts/setup installs).
#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

mod archive;
mod cable;
mod decoder;
mod engine;
mod folder;
mod foreign;
mod frozen;
mod linked;
mod metrics;
mod plant;
mod plc;
mod quiet;
mod rewritten;
mod service;
mod slow;
mod standstill;
mod stop;
mod unheard;

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

/// Each part has one row and one outcome, they say the same, and both are what the image is.
fn agree(rows: &[Value], outcomes: &[Value], first: u64) {
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

fn every_part_gets_its_verdict(mut plant: Plant, profile: &str, parts: u64) {
    let mut told = plant.tray(profile, parts, 1, 0);
    let summary = told.pop().unwrap();
    println!("{profile}: {summary}");
    assert_eq!((summary["parts"].as_u64(), summary["rejected_by_gate"].as_u64()), (Some(parts), Some(0)));
    assert_eq!(plant.stop(), Some(0), "a signal ends it in order");
    agree(&plant.rows(), &told, 1);
    assert_eq!(fs::read_dir(plant.path("scans")).unwrap().count(), 0, "judged images are in the archive");
}

#[test]
fn every_part_gets_its_verdict_over_native_frames() {
    every_part_gets_its_verdict(Plant::new("native", "part-id"), "native", 60);
}

#[test]
fn every_part_gets_its_verdict_over_modbus() {
    every_part_gets_its_verdict(Plant::new("modbus", "part-id"), "modbus", 60);
}

/// Acceptance: `cargo test --release -p cellgate-edge --test appliance -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn every_one_of_500_parts_gets_its_verdict_over_both_profiles() {
    for profile in ["native", "modbus"] {
        every_part_gets_its_verdict(Plant::on_disk(profile), profile, 500);
    }
}

#[test]
fn what_is_no_image_or_does_not_come_is_a_reject_with_its_reason() {
    let plant = Plant::new("native", "part-id");
    let scan = |part: u64, bytes: &[u8]| {
        fs::write(plant.path(&format!(".{part}")), bytes).unwrap();
        fs::rename(plant.path(&format!(".{part}")), plant.path(&format!("scans/{part}.tif"))).unwrap();
    };
    // The appliance must be watching before the first image comes.
    wait_for("readiness", || plant.log().contains("golden images"));
    scan(1, b"not a radiograph");
    scan(2, &fs::read(&plant.images[0]).unwrap()[..60]);
    let told = lines(&run(plant.plc("native", 3, 1).args(["--deadline-ms", "600"]), 0));
    let reasons: Vec<_> = told[..3].iter().map(|outcome| outcome["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["IMAGE_MALFORMED", "IMAGE_MALFORMED", "NO_IMAGE"]);
    let rows = plant.rows();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["verdict"] == "REJECT"), "{rows:?}");
    // Who looks for warnings finds each with what went wrong.
    let log = plant.log();
    let told = |line: &&str| line.contains("WARN") && line.contains("judged") && line.contains("detail=\"");
    assert_eq!(log.lines().filter(told).count(), 3, "{log}");
}

#[test]
fn a_model_that_is_not_on_the_gate_s_list_lets_nothing_pass() {
    let plant = Plant::new("native", "part-id");
    let mut plc =
        plant.program(&["plc-sim", "--port", "plc", "--json", "--model-digest", "0123456789abcdef", "--parts", "1"]);
    let told = lines(&run(plc.args(["--into", "scans", "--images"]).arg(&plant.images[0]), 1));
    assert_eq!((&told[0]["device"], &told[0]["gate"]), (&Value::from("PASS"), &Value::from("REJECT")));
    assert_eq!(told[0]["reason"], "MODEL_NOT_ALLOWED");
}

#[test]
fn a_pulled_cable_and_a_killed_appliance_cost_no_part_its_one_record() {
    let mut plant = Plant::on_disk("native");
    let mut outcomes = plant.tray("native", 3, 1, 0);
    outcomes.truncate(3);
    for round in 0..3 {
        plant.pull_out();
        plant.plug_in();
        let first = 4 + 3 * round;
        outcomes.extend_from_slice(&plant.tray("native", 3, first, 0)[..3]);
    }
    plant.kill();
    plant.start();
    outcomes.extend_from_slice(&plant.tray("native", 3, 13, 0)[..3]);
    agree(&plant.rows(), &outcomes, 1);
}

/// A pause after which the order of images and triggers holds.
const ORDER_PAUSE: Duration = Duration::from_millis(6_000);
/// Until the appliance has seen a new image.
const SEEN: Duration = Duration::from_millis(500);

#[test]
fn by_order_a_stray_image_is_no_part_s_and_after_a_pause_each_part_gets_its_own() {
    let plant = Plant::new("native", "trigger-first");
    wait_for("readiness", || plant.log().contains("golden images"));
    std::thread::sleep(ORDER_PAUSE);
    let tray = |first: u64| {
        let mut plc = plant.plc("native", 4, first);
        lines(&run(plc.args(["--scan-after", "150", "--into", "scans", "--images"]).args(&plant.images), 0))
    };
    plant.scan(99, &plant.images[0]);
    let told = tray(100);
    assert!(told[..4].iter().all(|outcome| outcome["reason"] == "IMAGE_MISMATCH"), "{told:?}");
    assert_eq!(plant.log().matches("the order of images and triggers is not known").count(), 2, "{}", plant.log());
    assert!(plant.log().contains("scans/99.tif why=the order of images and triggers was lost"), "{}", plant.log());
    std::thread::sleep(ORDER_PAUSE);
    let told = tray(200);
    assert_eq!(told[0]["gate"], "PASS");
    assert_eq!(plant.log().matches("the order of images and triggers holds").count(), 2, "{}", plant.log());
    agree(&plant.rows()[4..], &told[..4], 200);
}

#[test]
fn by_order_a_refused_trigger_s_image_is_no_other_part_s() {
    let plant = Plant::new("native", "image-first");
    wait_for("readiness", || plant.log().contains("golden images"));
    std::thread::sleep(ORDER_PAUSE);
    let refused = plant.plc("native", 1, 1).args(["--deadline-ms", "4000000000"]).output().unwrap();
    assert_eq!(lines(&refused)[0]["reason"], "DEADLINE_INVALID");
    // Its image comes only now; that of the next part does not.
    plant.scan(1, &plant.images[0]);
    std::thread::sleep(SEEN);
    let told = lines(&run(&mut plant.plc("native", 1, 2), 0));
    assert_eq!(told[0]["reason"], "IMAGE_MISMATCH", "{told:?}");
}

#[test]
fn by_order_an_image_may_come_before_its_trigger() {
    let plant = Plant::new("native", "image-first");
    wait_for("readiness", || plant.log().contains("golden images"));
    std::thread::sleep(ORDER_PAUSE);
    for (part, verdict) in [(41, "PASS"), (42, "REVIEW"), (43, "REJECT")] {
        plant.scan(part, &plant.images[part as usize - 41]);
        std::thread::sleep(SEEN);
        let told = lines(&run(&mut plant.plc("native", 1, part), 0));
        assert_eq!(told[0]["device"], verdict, "{told:?}");
    }
}

#[test]
fn free_running_each_image_is_recorded_and_nothing_is_told_to_act_on() {
    let plant = Plant::new("native", "free-running");
    wait_for("readiness", || plant.log().contains("the port is open") && plant.log().contains("golden images"));
    for (index, image) in plant.images.iter().enumerate() {
        fs::copy(image, plant.path(".image.tif")).unwrap();
        fs::rename(plant.path(".image.tif"), plant.path(&format!("scans/any{index}.tif"))).unwrap();
    }
    wait_for("three rows", || plant.log().matches("judged").count() >= 3);
    let rows = plant.rows();
    let verdicts: Vec<_> = rows.iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["PASS", "REVIEW", "REJECT"]);
    assert!(rows.iter().all(|row| row["kind"] == "FREE_RUNNING"), "{rows:?}");
}

#[test]
fn free_running_a_trigger_gets_its_reject_and_no_image() {
    let plant = Plant::new("native", "free-running");
    wait_for("readiness", || plant.log().contains("golden images"));
    for part in [7, 8] {
        let told = lines(&run(&mut plant.plc("native", 1, part), 0));
        assert_eq!((&told[0]["device"], &told[0]["reason"]), (&"REJECT".into(), &"NO_IMAGE".into()), "{told:?}");
        // Of that name, and nobody's all the same.
        plant.scan(part, &plant.images[0]);
        wait_for("its row", || plant.log().matches("judged").count() as u64 == 2 * (part - 6));
    }
    let rows = plant.rows();
    let said: Vec<_> =
        rows.iter().map(|row| (row["kind"].as_str().unwrap(), row["verdict"].as_str().unwrap())).collect();
    let pair = [("PLC", "REJECT"), ("FREE_RUNNING", "PASS")];
    assert_eq!(said, [pair, pair].concat());
}

#[test]
fn free_running_images_that_came_while_it_was_down_are_judged_after_the_start() {
    let mut plant = Plant::new("native", "free-running");
    wait_for("readiness", || plant.log().contains("golden images"));
    assert_eq!(plant.stop(), Some(0));
    for (index, image) in plant.images.iter().enumerate() {
        plant.scan(index as u64, image);
    }
    plant.start();
    wait_for("three rows", || plant.log().matches("judged").count() >= 3);
    let rows = plant.rows();
    let verdicts: Vec<_> = rows.iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["PASS", "REVIEW", "REJECT"]);
    wait_for("three images in the archive", || plant.archived().len() == 3);
    assert!(plant.archived().iter().all(|name| name.contains("-free-")), "{:?}", plant.archived());
}

/// Nothing to act on is held up by waiting, and a row without a score would be all that is ever known of the image.
#[test]
fn free_running_images_wait_for_an_engine_that_is_proven() {
    let mut plant = Plant::with_model("native", "free-running", |folder| {
        model(folder, &contents("mean_sigmoid.onnx", 1.0 - mean_sigmoid(DARK)))
    });
    wait_for("the engine's refusal", || plant.log().contains("not ready: the engine was refused"));
    plant.images.iter().enumerate().for_each(|(index, image)| plant.scan(index as u64, image));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!((plant.rows().len(), plant.lying()), (0, 3));
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
fn an_appliance_that_stands_still_is_not_ready_and_goes_on_afterwards() {
    let plant = Plant::new("native", "part-id");
    let plc = Plc::new(&plant, "native");
    plc.pass(&plant, 1);
    plc.wait_ready();
    signal(plant.appliance.as_ref().unwrap(), Signal::STOP);
    plc.wait_not_ready();
    signal(plant.appliance.as_ref().unwrap(), Signal::CONT);
    plc.pass(&plant, 2);
    plc.seen().agrees_with(&plant.rows(), 2);
}

#[test]
fn a_plc_waits_for_an_appliance_as_long_as_is_set() {
    let mut plant = Plant::new("native", "part-id");
    plant.kill();
    let start = Instant::now();
    let output = run(plant.impatient_plc("native", 1, 1).args(["--patience", "1"]), 2);
    assert!(stderr(&output).contains("did not get ready within 1 s"), "{}", stderr(&output));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn the_doctor_finds_a_sound_appliance_sound_and_names_what_a_broken_one_lacks() {
    let mut plant = Plant::new("native", "part-id");
    wait_for("readiness", || plant.log().contains("golden images"));
    let beside = run(&mut plant.program(&["doctor", "--config", "edge.toml"]), 0);
    let text = String::from_utf8(beside.stdout).unwrap();
    assert!(text.contains("WARNING  journal") && text.contains("an appliance runs with it"), "{text}");
    assert_eq!(plant.stop(), Some(0));
    let output = plant.program(&["doctor", "--config", "edge.toml"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("FAILURE") && text.contains("the golden images got their scores"), "{text}");
    assert_eq!(output.status.code(), Some(0));
    fs::remove_dir_all(plant.path("model/golden")).unwrap();
    plant.pull_out();
    let output = run(&mut plant.program(&["doctor", "--config", "edge.toml", "--json"]), 1);
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let failed: Vec<_> = findings.iter().filter(|finding| finding["state"] == "failure").collect();
    let whats: Vec<_> = failed.iter().map(|finding| finding["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["model and engine", "serial port"], "{findings:?}");
}

#[cfg(not(feature = "tensorrt"))]
#[test]
fn what_needs_tensorrt_says_how_to_build_it() {
    for arguments in
        [&["plan", "build", "--model", "model"][..], &["plan", "--help"], &["gpu-check", "--json", "1.tif"]]
    {
        let output = run(Command::new(env!("CARGO_BIN_EXE_cellgate-edge")).args(arguments), 2);
        let text = stderr(&output);
        assert!(text.contains("was built without TensorRT: build it with --features tensorrt"), "{text}");
    }
}

#[test]
fn misuse_is_status_2_and_help_has_examples() {
    let folder = tempfile::tempdir().unwrap();
    let program = |arguments: &[&str], status| {
        run(Command::new(env!("CARGO_BIN_EXE_cellgate-edge")).current_dir(folder.path()).args(arguments), status)
    };
    for command in ["run", "plc-sim", "doctor"] {
        let help = program(&[command, "--help"], 0);
        assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:\n  "), "{command}");
    }
    let example = program(&["run", "--example"], 0);
    fs::write(folder.path().join("edge.toml"), &example.stdout).unwrap();
    program(&["run", "--config", "edge.toml", "--check"], 0);
    let output = program(&["run", "--config", "edge.toml"], 2);
    let text = stderr(&output);
    assert!(text.contains("the model was refused: ") && text.contains("set [model] path to"), "{text}");
    let missing = program(&["plc-sim", "--port", "none", "--images", "edge.toml", "--into", "scans"], 2);
    assert!(stderr(&missing).contains("--into scans: found no such folder"), "{}", stderr(&missing));
    let missing = program(&["run", "--config", "none.toml"], 2);
    assert!(stderr(&missing).contains("none.toml: "), "{}", stderr(&missing));
    assert!(Path::new(&folder.path().join("edge.toml")).exists());
}
