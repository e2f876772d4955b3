//! What is said of one thing that was looked at.

use rustix::fs::{Access, access};
use serde::Serialize;
use std::path::Path;

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// The appliance would run, with less than it should have.
    Warning,
    /// The appliance would not start, or judge nothing.
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// How it is.
    pub state: State,
    /// What was found; where it is not as it should be, with what to do.
    pub found: String,
}

pub(super) fn ok(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, state: State::Ok, found: found.into() }
}

pub(super) fn failure(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, state: State::Failure, found: found.into() }
}

pub(super) fn warning(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, state: State::Warning, found: found.into() }
}

pub(super) fn folder(what: &'static str, path: &Path) -> Finding {
    if !path.is_dir() {
        return failure(what, format!("{}: no such folder; make it, or name another", path.display()));
    }
    match access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => ok(what, path.display().to_string()),
        Err(error) => failure(what, format!("{}: {error}; let this user read and write there", path.display())),
    }
}

/// The path, where it is not the empty one that a relative path ends in.
pub(super) fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
