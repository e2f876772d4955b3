//! The help of each command that every build has.

use cellgate_test_support::transcript;
use std::path::Path;
use std::process::Command;

#[test]
fn help() {
    let commands =
        ["", "run", "inspect", "journal", "journal list", "journal verify", "journal export", "doctor", "plc-sim"];
    for command in commands {
        let mut program = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
        let output = program.args(command.split_whitespace()).arg("--help").output().unwrap();
        let name = format!("help {command}").trim_end().replace([' ', '-'], "_");
        insta::assert_snapshot!(name, transcript(&output, Path::new("/no folder")));
    }
}
