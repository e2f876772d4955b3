//! Prints a message for tests that can't run on this machine.

use std::io::Write as _;

/// Prints that the running test, or some of its checks, are skipped, and why. `cargo test` captures `println!` of tests that pass.
/// This function writes to stderr directly, so that the message is always visible.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let why = why.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let line = format!("SKIPPED: {}: {why}\n", thread.name().unwrap_or("a test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
}
