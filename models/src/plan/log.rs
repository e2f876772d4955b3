//! TensorRT's log lines, as ours.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trtx::{LogHandler, Severity};

/// The target of TensorRT's lines among our own; its errors and warnings have these levels, its information is `debug`,
/// the rest `trace`.
pub const LOG_TARGET: &str = "cellgate::tensorrt";

/// Most error lines that are kept.
const MAX_ERRORS: usize = 4;
/// Most characters of a line that are kept: a hostile network chooses some of them.
const MAX_CHARACTERS: usize = 500;

/// Takes TensorRT's lines. Those of errors are held back: as a rule they become the returned error.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn errors(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The errors so far as a text, which takes them away; else `other`.
    pub(super) fn take_errors(&self, other: &str) -> String {
        let errors = std::mem::take(&mut *self.errors());
        if errors.is_empty() { clean(other) } else { errors.join("; ") }
    }

    /// Logs the errors that did not keep TensorRT from doing its work.
    pub(super) fn flush(&self) {
        for line in self.errors().drain(..) {
            tracing::error!(target: LOG_TARGET, "{line}");
        }
    }
}

impl LogHandler for Log {
    fn log(&self, severity: Severity, message: &str) {
        let line = clean(message);
        match severity {
            Severity::InternalError | Severity::Error => {
                let mut errors = self.errors();
                // The first ones name the cause. A parser repeats itself at every level.
                if errors.len() < MAX_ERRORS && !errors.contains(&line) {
                    errors.push(line);
                }
            }
            Severity::Warning => tracing::warn!(target: LOG_TARGET, "{line}"),
            Severity::Info => tracing::debug!(target: LOG_TARGET, "{line}"),
            Severity::Verbose => tracing::trace!(target: LOG_TARGET, "{line}"),
        }
    }
}

/// One line without control characters, of limited length.
fn clean(text: &str) -> String {
    let characters = text.trim().chars().map(|character| if character.is_control() { ' ' } else { character });
    characters.take(MAX_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_errors_are_kept_once_and_cleaned() {
        let log = Log::default();
        assert_eq!(log.take_errors("nothing\n said"), "nothing  said");
        for line in ["one", "one", "two\u{1b}[31m", &"x".repeat(9000), "four", "five"] {
            log.log(Severity::Error, line);
        }
        log.log(Severity::Warning, "a warning is no error");
        assert_eq!(log.take_errors(""), format!("one; two [31m; {}; four", "x".repeat(500)));
        assert_eq!(log.take_errors("none left"), "none left");
    }
}
