//! Tests what an appliance reports whose machine has a GPU that does not judge. Needs root.

use crate::metrics::{served_address, start_with_metrics, wait_for_metric};
use crate::plant::Plant;
use cellgate_test_support::skipped;
use serde_json::Value;
use std::fs;
use std::process::Command;

/// `cellgate-edge` in the line's folder, with the folder `pci` in place of the devices on the PCI bus.
fn program(plant: &Plant, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount --bind pci /sys/bus/pci/devices && exec \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_cellgate-edge")).args(arguments).current_dir(plant.folder.path());
    command
}

#[test]
fn a_gpu_that_does_not_judge_is_a_warning_in_log_metrics_and_doctor() {
    let (mut plant, _) = start_with_metrics("native");
    plant.kill();
    let card = plant.path("pci/0000:01:00.0");
    fs::create_dir_all(&card).unwrap();
    fs::write(card.join("vendor"), "0x10de\n").unwrap();
    fs::write(card.join("class"), "0x030200\n").unwrap();
    if !program(&plant, &["--version"]).output().is_ok_and(|output| output.status.success()) {
        return skipped("this user can't mount a folder in place of /sys/bus/pci/devices");
    }

    let log = fs::File::create(plant.path("log")).unwrap();
    plant.appliance = Some(program(&plant, &["run", "--config", "edge.toml"]).stderr(log).spawn().unwrap());
    plant.wait_for_events("engine_fallback", 1);
    let line = plant.log_lines("engine_fallback").concat();
    assert!(line.contains(" WARN ") && line.contains(" gpu=") && !line.contains("none found"), "{line}");
    assert_eq!(plant.events("engine_chosen"), 0);
    wait_for_metric(served_address(&plant), "cellgate_engine_is_fallback", &[], 1.0);

    let output = program(&plant, &["doctor", "--config", "edge.toml", "--json"]).output().unwrap();
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let state = |what: &str| findings.iter().find(|finding| finding["what"] == what).map(|finding| &finding["state"]);
    assert_eq!(state("model and engine").unwrap(), "warning", "{findings:?}");
    assert_ne!(state("GPU's files"), None, "{findings:?}");
}
