//! Tests that can't run here say so.

use std::io::Write as _;

/// Says that the running test, or a part of it, is skipped, and why. What a test prints is shown only where it fails; this goes
/// past that to stderr, so that whoever runs the tests sees it.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let why = why.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let line = format!("SKIPPED: {}: {why}\n", thread.name().unwrap_or("a test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
}
