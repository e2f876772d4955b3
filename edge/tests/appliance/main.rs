//! The appliance as a line has it: the real program, a real ONNX Runtime, real TIFFs, and the simulated PLC at the other end
//! of a real pair of pseudo-terminals (socat, which scripts/setup installs).
#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use support::*;

/// One line at a time: the gate's times are those of a device that has its machine for itself.
static ONE: Mutex<()> = Mutex::new(());

/// A line with its appliance; both end with it.
struct Plant {
    _one: MutexGuard<'static, ()>,
    folder: tempfile::TempDir,
    cable: Option<Child>,
    appliance: Option<Child>,
    images: Vec<PathBuf>,
}

impl Plant {
    /// The appliance of this profile, matching images to triggers in this way.
    fn new(profile: &str, matching: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        sound_bundle(folder.path());
        fs::create_dir(folder.path().join("scans")).unwrap();
        let config = format!(
            "[device]\nid = 1\n[model]\nbundle = \"model\"\nthreads = 1\n[acquire]\nfolder = \"scans\"\n\
             match = \"{matching}\"\nlead_ms = 500\narchive = \"archive\"\nmin_free_mib = 1\nlargest_pixels = 100000\n\
             allow_weaker_sandbox = true\n[plc]\nport = \"device\"\nprofile = \"{profile}\"\n[journal]\npath = \"verdicts.sqlite\"\n"
        );
        fs::write(folder.path().join("edge.toml"), config).unwrap();
        let levels = [("dark", DARK), ("middle", MIDDLE), ("bright", BRIGHT)];
        let images = levels.map(|(name, level)| image(folder.path(), name, level)).into();
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plant = Self { _one: one, folder, cable: None, appliance: None, images };
        plant.plug_in();
        plant.start();
        plant
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    fn plug_in(&mut self) {
        let end = |name: &str| format!("pty,raw,echo=0,link={}", self.path(name).display());
        let socat = Command::new("socat").args([end("plc"), end("device")]).stderr(Stdio::null()).spawn();
        self.cable = Some(socat.expect("these tests need socat, which scripts/setup installs"));
        wait_for("the cable", || self.path("plc").exists() && self.path("device").exists());
    }

    fn pull_out(&mut self) {
        end(self.cable.take());
        let _ = fs::remove_file(self.path("plc"));
        let _ = fs::remove_file(self.path("device"));
    }

    fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.program(&["run", "--config", "edge.toml"]);
        self.appliance = Some(command.stderr(log).spawn().unwrap());
    }

    /// Ends the appliance as a service manager does; its exit status.
    fn stop(&mut self) -> Option<i32> {
        let mut appliance = self.appliance.take().unwrap();
        signal(&appliance, Signal::TERM);
        wait_for("the appliance's end", || appliance.try_wait().unwrap().is_some());
        appliance.wait().unwrap().code()
    }

    /// The simulated PLC, to be given more arguments.
    fn plc(&self, profile: &str, parts: u64, first: u64) -> Command {
        let mut command = self.impatient_plc(profile, parts, first);
        command.args(["--patience", "20"]);
        command
    }

    fn impatient_plc(&self, profile: &str, parts: u64, first: u64) -> Command {
        let (parts, first) = (parts.to_string(), first.to_string());
        let mut command =
            self.program(&["plc-sim", "--port", "plc", "--profile", profile, "--json", "--bundle", "model"]);
        command.args(["--parts", &parts, "--first-part", &first]);
        command
    }

    /// Lets parts through with images in turn; a line a part, and the summary.
    fn tray(&self, profile: &str, parts: u64, first: u64, status: i32) -> Vec<Value> {
        let output =
            run(self.plc(profile, parts, first).args(["--into", "scans", "--images"]).args(&self.images), status);
        lines(&output)
    }

    /// The journal's rows, oldest first, after it was verified.
    fn rows(&self) -> Vec<Value> {
        run(&mut self.program(&["journal", "verify", "verdicts.sqlite"]), 0);
        lines(&run(&mut self.program(&["journal", "export", "verdicts.sqlite", "--format", "jsonl"]), 0))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        end(self.appliance.take());
        end(self.cable.take());
    }
}

fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// The processes that `parent` started.
fn children(parent: &Child) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{}/task", parent.id())).unwrap();
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let ids: Vec<i32> = tasks
        .flat_map(|task| of_task(task.unwrap()).split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>())
        .collect();
    ids.into_iter().filter_map(Pid::from_raw).collect()
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

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

fn every_part_gets_its_verdict(profile: &str, parts: u64) {
    let mut plant = Plant::new(profile, "part-id");
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
    every_part_gets_its_verdict("native", 60);
}

#[test]
fn every_part_gets_its_verdict_over_modbus() {
    every_part_gets_its_verdict("modbus", 60);
}

/// Acceptance: `cargo test --release -p cellgate-edge --test appliance -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn every_one_of_500_parts_gets_its_verdict_over_both_profiles() {
    every_part_gets_its_verdict("native", 500);
    every_part_gets_its_verdict("modbus", 500);
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
}

#[test]
fn a_model_that_is_not_on_the_gate_s_list_lets_nothing_pass() {
    let plant = Plant::new("native", "part-id");
    let mut plc = plant.program(&["plc-sim", "--port", "plc", "--json", "--model", "0123456789abcdef", "--parts", "1"]);
    let told = lines(&run(plc.args(["--into", "scans", "--images"]).arg(&plant.images[0]), 1));
    assert_eq!((&told[0]["device"], &told[0]["gate"]), (&Value::from("PASS"), &Value::from("REJECT")));
    assert_eq!(told[0]["reason"], "MODEL_NOT_ALLOWED");
}

#[test]
fn a_pulled_cable_and_a_killed_appliance_cost_no_part_its_one_record() {
    let mut plant = Plant::new("native", "part-id");
    let mut outcomes = plant.tray("native", 3, 1, 0);
    outcomes.truncate(3);
    for round in 0..3 {
        plant.pull_out();
        plant.plug_in();
        let first = 4 + 3 * round;
        outcomes.extend_from_slice(&plant.tray("native", 3, first, 0)[..3]);
    }
    // Killed at once, without a chance to put anything in order.
    end(plant.appliance.take());
    plant.start();
    outcomes.extend_from_slice(&plant.tray("native", 3, 13, 0)[..3]);
    agree(&plant.rows(), &outcomes, 1);
}

#[test]
fn by_order_the_image_that_comes_for_a_trigger_is_its_own() {
    let plant = Plant::new("native", "order");
    let told = plant.tray("native", 6, 41, 0);
    agree(&plant.rows(), &told[..6], 41);
}

#[test]
fn free_running_each_image_is_recorded_and_nothing_is_told_to_act_on() {
    let plant = Plant::new("native", "free-running");
    wait_for("readiness", || plant.log().contains("the line is open") && plant.log().contains("golden images"));
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
fn a_killed_decoder_costs_its_image_and_no_other() {
    let plant = Plant::new("native", "part-id");
    plant.tray("native", 3, 1, 0);
    let decoders = children(plant.appliance.as_ref().unwrap());
    assert_eq!(decoders.len(), 1);
    kill_process(decoders[0], Signal::KILL).unwrap();
    let told = plant.tray("native", 4, 4, 0);
    let said = |index: usize| (told[index]["gate"].as_str().unwrap(), told[index]["reason"].as_str().unwrap());
    assert_eq!(said(0), ("REJECT", "DECODER_FAILED"));
    assert_eq!((said(1).0, said(2).0, said(3).0), ("REVIEW", "REJECT", "PASS"));
    assert_eq!(plant.rows().len(), 7);
}

#[test]
fn an_appliance_that_stands_still_is_not_ready_and_goes_on_afterwards() {
    let plant = Plant::new("native", "part-id");
    plant.tray("native", 3, 1, 0);
    signal(plant.appliance.as_ref().unwrap(), Signal::STOP);
    let output = run(plant.impatient_plc("native", 1, 4).args(["--patience", "1"]), 2);
    assert!(stderr(&output).contains("did not get ready within 1 s"), "{}", stderr(&output));
    signal(plant.appliance.as_ref().unwrap(), Signal::CONT);
    let told = plant.tray("native", 3, 4, 0);
    assert_eq!(told[0]["gate"], "PASS");
    assert_eq!(plant.rows().len(), 6);
}

#[test]
fn the_doctor_finds_a_sound_appliance_sound_and_names_what_a_broken_one_lacks() {
    let mut plant = Plant::new("native", "part-id");
    wait_for("readiness", || plant.log().contains("golden images"));
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
    assert!(stderr(&output).contains("the bundle was refused: "), "{}", stderr(&output));
    let missing = program(&["run", "--config", "none.toml"], 2);
    assert!(stderr(&missing).contains("none.toml: "), "{}", stderr(&missing));
    assert!(Path::new(&folder.path().join("edge.toml")).exists());
}
