//! A file's statement that it holds more planes than one.

use super::directory::Tag;
use super::error::Refusal;

/// A statement that there are more planes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planes {
    /// How many, at least 2; `None` where the text cannot be understood.
    pub(super) count: Option<u64>,
    /// The place where this is said, and how.
    pub(super) said_by: String,
    /// The others may lie in other files, so it only counts where this one has room for another plane.
    pub(super) maybe_elsewhere: bool,
}

impl Planes {
    /// `count` planes, said by the value of `tag`.
    pub(super) fn of_tag(tag: Tag, count: u64, how: &str) -> Self {
        let said_by = format!("tag {} ({}): {how}", tag.0, tag.1);
        Self { count: Some(count), said_by, maybe_elsewhere: false }
    }

    pub(super) fn refusal(&self) -> Refusal {
        let found = match self.count {
            Some(count) => format!("{count} planes by {}", self.said_by),
            None => format!("maybe several planes by {}", self.said_by),
        };
        Refusal::unsupported(found, "one plane: save each as a TIFF of its own")
    }
}
