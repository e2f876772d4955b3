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
use tracing_subscriber::EnvFilter;

/// What is logged where RUST_LOG is not set. The bindings to TensorRT (`trtx`) say nothing that ours don't.
const LOGGED: &str = "info,trtx=warn";

/// What is logged: `wanted`, the value of RUST_LOG, or the default where that is not set, empty or malformed.
fn filter(wanted: Option<&str>) -> EnvFilter {
    // An empty filter would leave out everything but errors.
    let wanted = wanted.filter(|wanted| !wanted.trim().is_empty());
    wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or_else(|| LOGGED.into())
}

/// Logs on stderr: lines for people and journald, coloured for a terminal only, or JSON.
pub(crate) fn start_logging(json: bool) {
    let filter = filter(std::env::var(EnvFilter::DEFAULT_ENV).ok().as_deref());
    // A line that can't be written is left out. Told of on stderr, which is where it can't be written, it would be a panic.
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
    fn an_empty_filter_is_none() {
        let logged = |wanted| filter(wanted).to_string();
        for empty in [Some(""), Some(" "), Some("cellgate=noise"), None] {
            assert_eq!(logged(empty), EnvFilter::from(LOGGED).to_string(), "{empty:?}");
        }
        assert_eq!(logged(Some("warn")), "warn");
    }
}
