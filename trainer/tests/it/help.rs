//! Compares the help texts of all commands with snapshots.

use cellgate_test_support::help_texts;

#[test]
fn every_help_text_is_as_in_its_snapshot_and_has_an_example() {
    for (command, text) in help_texts(env!("CARGO_BIN_EXE_cellgate-trainer")) {
        let name = format!("help {command}").trim_end().replace(' ', "_");
        assert!(command.is_empty() || text.contains("  cellgate-trainer "), "{command}: expected an example");
        insta::assert_snapshot!(name, text);
    }
}
