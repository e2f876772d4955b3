//! Compares the help texts of all commands with snapshots.

use cellgate_test_support::transcript;
use std::path::Path;
use std::process::Command;

#[test]
fn help() {
    let commands = [
        "", "check", "convert", "bounds", "levels", "features", "crossval", "report", "train", "export", "audit",
        "synth", "pretrain",
    ];
    for command in commands {
        let mut program = Command::new(env!("CARGO_BIN_EXE_cellgate-trainer"));
        // Outside a terminal, clap wraps at 100 columns unless COLUMNS is set.
        let output = program.args(command.split_whitespace()).arg("--help").env_remove("COLUMNS").output().unwrap();
        let name = format!("help {command}").trim_end().replace(' ', "_");
        insta::assert_snapshot!(name, transcript(&output, Path::new("/no folder")));
    }
}
