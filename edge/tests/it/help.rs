//! Compares with a snapshot the help of each command that exists in every build. `tensorrt::plan` tests the help of `plan` and
//! `gpu-check`.

use cellgate_test_support::help_texts;

/// The snapshot of the list of commands. Builds with TensorRT list more commands.
const OVERVIEW: &str = if cfg!(feature = "tensorrt") { "help_with_tensorrt" } else { "help" };

#[test]
fn the_help_of_each_command_equals_its_snapshot_and_has_an_example() {
    for (command, text) in help_texts(env!("CARGO_BIN_EXE_cellgate-edge")) {
        let name = match command.as_str() {
            "" => OVERVIEW.to_owned(),
            command if command.starts_with("plan") || command == "gpu-check" => continue,
            command => format!("help_{command}").replace([' ', '-'], "_"),
        };
        let has_example = text.contains("  cellgate-edge ");
        assert!(command.is_empty() || command == "journal" || has_example, "{command}: expected an example");
        insta::assert_snapshot!(name, text);
    }
}
