//! Compares the help of each command that every build has with a snapshot.

use cellgate_test_support::transcript;
use std::path::Path;
use std::process::Command;

/// The snapshot of the overview. Builds with TensorRT list more commands.
const OVERVIEW: &str = if cfg!(feature = "tensorrt") { "help_with_tensorrt" } else { "help" };

#[test]
fn help() {
    let commands =
        ["", "run", "inspect", "journal", "journal list", "journal verify", "journal export", "doctor", "plc-sim"];
    for command in commands {
        let mut program = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
        // The text is wrapped to the terminal's width, or to COLUMNS without a terminal.
        program.env("COLUMNS", "100");
        let output = program.args(command.split_whitespace()).arg("--help").output().unwrap();
        let name = match command {
            "" => OVERVIEW.to_owned(),
            command => format!("help_{command}").replace([' ', '-'], "_"),
        };
        insta::assert_snapshot!(name, transcript(&output, Path::new("/no folder")));
    }
}
