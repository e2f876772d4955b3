//! Collects the help texts of a program and of all its commands, for snapshots.

use crate::transcript;
use std::path::Path;
use std::process::Command;

/// The help of `program` and of each command that it lists, also of commands of commands. Each element is a pair: the words of
/// the command (empty for the program itself), and the transcript of its help, wrapped at 100 columns.
pub fn help_texts(program: &str) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(command) = pending.pop() {
        // Without a terminal, clap wraps at COLUMNS.
        let output = Command::new(program)
            .args(command.split_whitespace())
            .arg("--help")
            .env("COLUMNS", "100")
            .output()
            .unwrap();
        let text = transcript(&output, Path::new("/no folder"));
        let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        // A command's name is indented by two columns, its text by more.
        let names = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
        for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
            pending.push(format!("{command} {name}").trim_start().to_owned());
        }
        texts.push((command, text));
    }
    assert!(texts.len() > 1, "found no commands in the help of {program}");
    texts
}
