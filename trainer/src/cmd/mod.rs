//! One file a subcommand.

pub(crate) mod bounds;
pub(crate) mod check;
pub(crate) mod convert;
pub(crate) mod crossval;
pub(crate) mod export;
pub(crate) mod features;
pub(crate) mod network;
pub(crate) mod recipe;
pub(crate) mod report;
pub(crate) mod synth;
pub(crate) mod train;

use std::io::{ErrorKind, Write};

/// Writes `text` to stdout. A reader that went away, such as `head`, is no error.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes `value` to stdout as indented JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(print(&text)?)
}
