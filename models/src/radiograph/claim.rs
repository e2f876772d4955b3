//! [`Planes`] is a claim of a file's metadata that the file has more than one plane. It also makes the error that quotes the
//! claim.

use super::directory::Tag;
use super::error::Refusal;

/// A claim that the file has more than one plane.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planes {
    /// The claimed number of planes; `None` if the metadata does not state a number, or can't be understood.
    pub(super) count: Option<u64>,
    /// The source and the wording of the claim, for the error.
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

    /// The error for a file with this claim.
    pub(super) fn refusal(&self) -> Refusal {
        let found = match self.count {
            Some(count) => format!("{count} planes according to {}", self.said_by),
            None => format!("possibly several planes according to {}", self.said_by),
        };
        Refusal::unsupported(found, "one plane: save each plane as a separate TIFF")
    }
}
