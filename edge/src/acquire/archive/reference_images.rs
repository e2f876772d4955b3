//! Defines which images of the running bundle the archive keeps, whatever its limits are.

use std::collections::BTreeSet;

/// The images of the running bundle's reference parts, by the numbers of their rows in the journal. Without a bundle both are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferenceImages {
    /// The rows of the confirmed parts. Their images are never deleted.
    pub confirmed: BTreeSet<u64>,
    /// While reference parts are being judged, the first row whose part can still be confirmed. Images from this row on are deleted last.
    pub phase_from: Option<u64>,
}

/// Whether an image may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletion {
    /// As any image: the oldest first.
    Ordinary,
    /// Only if no ordinary image is left.
    Last,
    /// Never.
    Never,
}

impl ReferenceImages {
    /// Whether the image of this row may be deleted. `None`: an image that was not judged.
    pub(super) fn deletion(&self, row: Option<u64>) -> Deletion {
        match row {
            Some(row) if self.confirmed.contains(&row) => Deletion::Never,
            Some(row) if self.phase_from.is_some_and(|first| row >= first) => Deletion::Last,
            _ => Deletion::Ordinary,
        }
    }
}
