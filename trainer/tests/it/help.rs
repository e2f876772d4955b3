//! Compares the help texts of all commands with snapshots.

use cellgate_test_support::help_texts;

#[test]
fn help() {
    for (command, text) in help_texts(env!("CARGO_BIN_EXE_cellgate-trainer")) {
        let name = format!("help {command}").trim_end().replace(' ', "_");
        assert!(command.is_empty() || text.contains("  cellgate-trainer "), "{command}: expected an example");
        insta::assert_snapshot!(name, text);
    }
}
