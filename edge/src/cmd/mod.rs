//! Defines the subcommands, one per file: their arguments and what they print. Also starts the logging.

pub(crate) mod bundle;
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
use tracing_subscriber::EnvFilter;

/// The default log filter. TensorRT's bindings (`trtx`) log only warnings and errors, as their other messages repeat ours.
const LOGGED: &str = "info,trtx=warn";

/// Returns the log filter `wanted`, the value of RUST_LOG, or the default if it is unset, empty or malformed.
fn filter(wanted: Option<&str>) -> EnvFilter {
    // An empty filter would hide everything but errors.
    let wanted = wanted.filter(|wanted| !wanted.trim().is_empty());
    wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or_else(|| LOGGED.into())
}

/// Starts logging to stderr: as JSON objects if `json` is true, else as text. Only a terminal gets colours.
pub(crate) fn start_logging(json: bool) {
    let filter = filter(std::env::var(EnvFilter::DEFAULT_ENV).ok().as_deref());
    // A log line that can't be written is dropped. By default tracing would report that on stderr, which can't be written
    // either, and panic.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    if json {
        log.json().init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).init();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_malformed_filter_is_the_default() {
        let logged = |wanted| filter(wanted).to_string();
        for empty in [Some(""), Some(" "), Some("cellgate=noise"), None] {
            assert_eq!(logged(empty), EnvFilter::from(LOGGED).to_string(), "{empty:?}");
        }
        assert_eq!(logged(Some("warn")), "warn");
    }
}
