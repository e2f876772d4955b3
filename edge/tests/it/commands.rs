//! Compares the output and errors of `doctor`, `run --check`, `journal`, `plc-sim` and `bundle` with snapshots. `control` tests
//! `bundle` with a socket that answers.

use cellgate_edge::config::Config;
use cellgate_edge::journal::{Journal, JournalOptions};
use cellgate_test_support::transcript;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs the program in `folder` and compares its output, without times and sizes of this machine, with a snapshot.
fn assert_text(name: &str, folder: &Path, arguments: &[&str]) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
    let output = program.current_dir(folder).args(arguments).env("COLUMNS", "100").output().unwrap();
    let filters =
        vec![(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"), (r"\d+ MiB", "N MiB"), (r"─+", "─"), (r"═+", "═")];
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!(name, transcript(&output, folder)) });
}

/// Writes the example configuration as `edge.toml`, with `changes` and local paths.
fn configure(folder: &Path, changes: &[(&str, &str)]) {
    let port = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0";
    let text = Config::EXAMPLE.replace(port, "port").replace("engine = \"auto\"", "engine = \"onnxruntime\"");
    let text = changes.iter().fold(text, |text, (old, new)| text.replace(old, new));
    fs::write(folder.join("edge.toml"), text).unwrap();
}

#[test]
fn the_findings_of_doctor_equal_the_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let in_missing_folder = ("path = \"verdicts.sqlite\"", "path = \"missing/verdicts.sqlite\"");
    configure(folder.path(), &[in_missing_folder, ("min_free_mib = 2048", "min_free_mib = 0")]);
    fs::write(folder.path().join("port"), "").unwrap();
    assert_text("doctor", folder.path(), &["doctor", "--config", "edge.toml"]);
    assert_text("doctor_json", folder.path(), &["doctor", "--config", "edge.toml", "--json"]);
    assert_text("doctor_without_configuration", folder.path(), &["doctor", "--config", "missing.toml"]);
}

#[test]
fn the_output_of_run_check_equals_the_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), &[]);
    assert_text("run_check", folder.path(), &["run", "--config", "edge.toml", "--check"]);
    configure(folder.path(), &[("baud = 115200", "baud = 1")]);
    assert_text("run_check_refused", folder.path(), &["run", "--config", "edge.toml", "--check"]);
}

#[test]
fn the_output_of_journal_equals_the_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    drop(Journal::open(&folder.path().join("empty.sqlite"), JournalOptions::default()).unwrap());
    assert_text("journal_list_empty", folder.path(), &["journal", "list", "empty.sqlite"]);
    assert_text("journal_export_empty", folder.path(), &["journal", "export", "empty.sqlite", "--format", "csv"]);
    assert_text("journal_list_missing", folder.path(), &["journal", "list", "missing.sqlite"]);
    assert_text("journal_list_verdict", folder.path(), &["journal", "list", "empty.sqlite", "--verdict", "OK"]);
    assert_text("journal_list_since", folder.path(), &["journal", "list", "empty.sqlite", "--since", "yesterday"]);
}

#[test]
fn the_errors_of_plc_sim_equal_the_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let mut models = vec!["plc-sim", "--port", "port"];
    // With the 64 repetitions there are more models than the PLC's allow-list can have.
    models.extend(["--model-digest", "9f2c41d200a1b3c4"].repeat(64));
    for (name, arguments) in [
        ("plc_sim_into_missing_folder", &["plc-sim", "--port", "port", "--images", "1.tif", "--into", "missing"][..]),
        ("plc_sim_without_port", &["plc-sim", "--port", "port", "--patience", "1"]),
        ("plc_sim_short_digest", &["plc-sim", "--port", "port", "--model-digest", "9f2c"]),
        ("plc_sim_rate", &["plc-sim", "--port", "port", "--rate", "0"]),
        ("plc_sim_many_models", &models),
        ("plc_sim_bundle_zero", &["plc-sim", "--port", "port", "--bundle", "0"]),
        ("plc_sim_confirm_without_bundle", &["plc-sim", "--port", "port", "--confirm", "1"]),
        ("plc_sim_confirm_other_part", &["plc-sim", "--port", "port", "--bundle", "7", "--confirm", "1", "11"]),
    ] {
        assert_text(name, folder.path(), arguments);
    }
}

#[test]
fn the_errors_of_bundle_without_an_appliance_equal_the_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), &[]);
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("dead")).unwrap());
    for (name, arguments) in [
        ("bundle_status_without_appliance", &["status", "--socket", "control"][..]),
        ("bundle_end_dead_appliance", &["end", "--socket", "dead"]),
        ("bundle_status_without_socket", &["status", "--config", "edge.toml"]),
        ("bundle_start_zero", &["start", "0"]),
        ("bundle_start_no_reference_part", &["start", "7", "--reference", "0"]),
        ("bundle_confirm_nothing", &["confirm"]),
        ("bundle_status_two_places", &["status", "--socket", "control", "--config", "edge.toml"]),
    ] {
        assert_text(name, folder.path(), &[&["bundle"], arguments].concat());
    }
}

/// A build with TensorRT has the command `plan`, so this test is only for builds without TensorRT.
#[cfg(not(feature = "tensorrt"))]
#[test]
fn the_error_and_the_help_of_commands_without_tensorrt_equal_the_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    assert_text("plan_without_tensorrt", folder.path(), &["plan", "list"]);
    assert_text("plan_without_tensorrt", folder.path(), &["plan", "list", "--plans", "plans"]);
    assert_text("plan_help_without_tensorrt", folder.path(), &["plan", "--help"]);
    assert_text("gpu_check_help_without_tensorrt", folder.path(), &["gpu-check", "--help"]);
}
