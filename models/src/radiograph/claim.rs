//! Holds a claim of a file's metadata that the file has more than one plane, and makes the error from the claim.

use super::directory::Tag;
use super::error::Refusal;

/// A claim that the file has more than one plane.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planes {
    /// The number of planes, at least 2; `None` if the text cannot be understood.
    pub(super) count: Option<u64>,
    /// The source of the claim and its wording, for the error.
    pub(super) said_by: String,
    /// Whether the other planes may lie in other files. If so, the claim counts only if this file has enough bytes for another
    /// plane.
    pub(super) maybe_elsewhere: bool,
}

impl Planes {
    /// A claim of `count` planes by the value of `tag`. `how` is the wording of the claim.
    pub(super) fn of_tag(tag: Tag, count: u64, how: &str) -> Self {
        let said_by = format!("tag {} ({}): {how}", tag.0, tag.1);
        Self { count: Some(count), said_by, maybe_elsewhere: false }
    }

    pub(super) fn refusal(&self) -> Refusal {
        let found = match self.count {
            Some(count) => format!("{count} planes according to {}", self.said_by),
            None => format!("possibly several planes according to {}", self.said_by),
        };
        Refusal::unsupported(found, "one plane: save each plane as a separate TIFF")
    }
}
