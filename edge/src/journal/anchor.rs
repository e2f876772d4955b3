//! Defines the anchor, which takes the place of removed rows in the chain.

use cellgate_models::digest::Digest;
use std::num::NonZeroU64;

/// What is stored about one removal of rows by retention, so that the chain of the rows that were kept can still be
/// verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The anchor's number: 1, 2, 3, ...
    pub number: u64,
    /// Hash of the previous anchor; for the first anchor a hash of the journal's identity.
    pub previous: Digest,
    /// The oldest row that was kept.
    pub first_kept: NonZeroU64,
    /// Hash of the newest row that was removed.
    pub last_pruned: Digest,
    /// Number of rows that were removed.
    pub pruned_rows: u64,
    /// When the rows were removed, in milliseconds since 1970, UTC.
    pub pruned_unix_ms: i64,
    /// Hash of this anchor.
    pub hash: Digest,
}
