//! The subcommands, one a file.

pub(crate) mod doctor;
pub(crate) mod inspect;
pub(crate) mod journal;
pub(crate) mod plc_sim;
pub(crate) mod run;
#[cfg(feature = "tensorrt")]
pub(crate) mod tensorrt;
#[cfg(not(feature = "tensorrt"))]
#[path = "without_tensorrt.rs"]
pub(crate) mod tensorrt;

use std::io::IsTerminal as _;

/// What is logged where RUST_LOG is not set. The bindings to TensorRT (`trtx`) say nothing that ours don't.
const LOGGED: &str = "info,trtx=warn";

/// Logs on stderr: lines for people and journald, coloured for a terminal only, or JSON.
pub(crate) fn start_logging(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| LOGGED.into());
    // A line that can't be written is left out. Told of on stderr, which is where it can't be written, it would be a panic.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    if json {
        log.json().init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).init();
    }
}
