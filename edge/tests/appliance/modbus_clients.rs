//! Drives the appliance with independent Modbus clients: pymodbus, minimalmodbus and mbpoll, which scripts/setup installs.

use crate::plant::Plant;
use crate::support::*;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs six parts with this client, and checks that the registers that it read agree with the journal.
fn drive(client: &str) {
    let mut plant = Plant::new("modbus", "part-id");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = std::env::var_os("CELLGATE_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    let mut script = Command::new(&python);
    script.arg(root.join("tests/oracle/modbus_appliance.py")).arg(plant.path("plc")).args(["1", client]);
    script.arg(plant.path("scans")).args(plant.images.iter().cycle().take(6));
    assert!(python.exists(), "{}: run scripts/setup, or set CELLGATE_PYTHON", python.display());
    let outcomes = lines(&run(&mut script, 0));
    assert_eq!(plant.stop(), Some(0));
    let rows = plant.rows();
    assert_eq!((outcomes.len(), rows.len()), (6, 6));
    for (index, (outcome, row)) in outcomes.iter().zip(&rows).enumerate() {
        for field in ["part", "nonce", "boot_epoch", "seq", "verdict"] {
            assert_eq!(outcome[field], row[field], "{field}: {outcome} {row}");
        }
        assert_eq!(outcome["verdict"], ["PASS", "REVIEW", "REJECT"][index % 3]);
        assert_eq!(outcome["score_e4"].as_f64(), row["score"].as_f64().map(|score| (score * 1e4).floor()), "{row}");
        for digest in ["model", "image"] {
            assert!(row[digest].as_str().unwrap().starts_with(outcome[digest].as_str().unwrap()), "{outcome} {row}");
        }
    }
}

#[test]
fn pymodbus_drives_whole_cycles_of_the_appliance() {
    drive("pymodbus");
}

#[test]
fn minimalmodbus_drives_whole_cycles_of_the_appliance() {
    drive("minimalmodbus");
}

#[test]
fn mbpoll_drives_whole_cycles_of_the_appliance() {
    drive("mbpoll");
}
