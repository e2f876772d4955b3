//! Forwards TensorRT's messages to this program's log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trtx::{LogHandler, Severity};

/// The `tracing` target under which TensorRT's messages are logged. Errors and warnings keep their severity, information becomes
/// `debug`, and verbose messages become `trace`.
pub const LOG_TARGET: &str = "cellgate::tensorrt";

/// Limit of error messages that are kept.
const MAX_ERRORS: usize = 4;
/// Limit of characters that are kept of a message. A hostile network could otherwise cause messages of any length.
const MAX_CHARACTERS: usize = 500;

/// Receives TensorRT's messages. Keeps error messages instead of logging them, because they usually become the text of the returned
/// error.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn errors(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the kept error messages and returns them as one text; returns `other` if no error message is kept.
    pub(super) fn take_errors(&self, other: &str) -> String {
        let errors = std::mem::take(&mut *self.errors());
        if errors.is_empty() { clean(other) } else { errors.join("; ") }
    }

    /// Logs and removes the kept error messages. They belong to a call that succeeded, so no error contains them.
    pub(super) fn flush(&self) {
        for line in self.errors().drain(..) {
            tracing::error!(target: LOG_TARGET, event = "tensorrt_message", line, "TensorRT reported an error");
        }
    }
}

impl LogHandler for Log {
    fn log(&self, severity: Severity, message: &str) {
        let line = clean(message);
        match severity {
            Severity::InternalError | Severity::Error => {
                let mut errors = self.errors();
                // The first messages name the cause. The parser repeats them at each level of nesting.
                if errors.len() < MAX_ERRORS && !errors.contains(&line) {
                    errors.push(line);
                }
            }
            Severity::Warning => {
                tracing::warn!(target: LOG_TARGET, event = "tensorrt_message", line, "TensorRT reported a warning");
            }
            Severity::Info => {
                tracing::debug!(target: LOG_TARGET, event = "tensorrt_message", line, "TensorRT reported");
            }
            Severity::Verbose => {
                tracing::trace!(target: LOG_TARGET, event = "tensorrt_message", line, "TensorRT reported");
            }
        }
    }
}

/// `text` with spaces instead of line feeds and other control characters, cut after [`MAX_CHARACTERS`].
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
        assert_eq!(log.take_errors("other\n text"), "other  text");
        for line in ["one", "one", "two\u{1b}[31m", &"x".repeat(9000), "four", "five"] {
            log.log(Severity::Error, line);
        }
        log.log(Severity::Warning, "a warning is not an error");
        assert_eq!(log.take_errors(""), format!("one; two [31m; {}; four", "x".repeat(500)));
        assert_eq!(log.take_errors("other"), "other");
    }
}
