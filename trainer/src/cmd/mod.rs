//! Runs the subcommands, one file each. This file holds what they share: output, errors of arguments, and logging.

pub(crate) mod audit;
pub(crate) mod backbone;
pub(crate) mod bounds;
pub(crate) mod check;
pub(crate) mod convert;
pub(crate) mod crossval;
pub(crate) mod dataset;
pub(crate) mod export;
pub(crate) mod features;
pub(crate) mod leaks;
pub(crate) mod levels;
pub(crate) mod localize;
pub(crate) mod network;
pub(crate) mod out;
pub(crate) mod pretrain;
pub(crate) mod recipe;
pub(crate) mod report;
pub(crate) mod synth;
pub(crate) mod train;
pub(crate) mod unreadable;

use cellgate_trainer::stats::Rate;
use std::fmt;
use std::io::{ErrorKind, IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// Writes `text` to stdout. A closed pipe is not an error: a reader such as `head` may stop early.
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

/// Writes `text` and a newline to stderr. Ignores errors: stderr may be closed.
pub(crate) fn note(text: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// `rate` in percent, with its interval and counts.
pub(crate) fn percent(Rate { count, of, rate, interval95: [lo, hi] }: Rate) -> String {
    format!("{:5.1} % ({:.1} to {:.1}), {count} of {of}", 100.0 * rate, 100.0 * lo, 100.0 * hi)
}

/// Arguments that contradict each other or are out of range. Exit status 2, as for clap's own errors.
#[derive(Debug)]
pub(crate) struct Misuse(String);

impl fmt::Display for Misuse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// Makes a [`Misuse`] error.
pub(crate) fn misuse(text: impl Into<String>) -> anyhow::Error {
    Misuse(text.into()).into()
}

/// The log filter if RUST_LOG is not set. At `info`, TensorRT's bindings (`trtx`) would repeat our own log lines.
const LOGGED: &str = "info,trtx=warn";

/// The log filter: `wanted`, the value of RUST_LOG. If this value is missing, empty or malformed, the filter is [`LOGGED`].
fn filter(wanted: Option<&str>) -> EnvFilter {
    // An empty filter would log errors only.
    let wanted = wanted.filter(|wanted| !wanted.trim().is_empty());
    wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or_else(|| LOGGED.into())
}

/// Starts logging to stderr, with colours if it is a terminal.
pub(crate) fn start_logging() {
    tracing_subscriber::fmt()
        .with_env_filter(filter(std::env::var(EnvFilter::DEFAULT_ENV).ok().as_deref()))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // By default, a log line that can't be written is reported with `eprintln!`, which panics if stderr is closed. A long
        // command shall continue without its log.
        .log_internal_errors(false)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_malformed_filter_becomes_the_default() {
        let logged = |wanted| filter(wanted).to_string();
        for empty in [Some(""), Some(" "), Some("cellgate=noise"), None] {
            assert_eq!(logged(empty), EnvFilter::from(LOGGED).to_string(), "{empty:?}");
        }
        assert_eq!(logged(Some("warn")), "warn");
    }
}
