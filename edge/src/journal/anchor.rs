//! What stays of removed rows in the chain.

use cellgate_models::digest::Digest;
use std::num::NonZeroU64;

/// What is left of rows that retention removed: enough to go on verifying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// 1, 2, 3, ...
    pub number: u64,
    /// Hash of the anchor before, of the journal's identity for the first.
    pub previous: Digest,
    /// The oldest row that was kept.
    pub first_kept: NonZeroU64,
    /// Hash of the newest row that was removed.
    pub last_pruned: Digest,
    /// Rows removed at this time.
    pub pruned_rows: u64,
    /// When: milliseconds since 1970, UTC.
    pub pruned_unix_ms: i64,
    /// Hash of this anchor.
    pub hash: Digest,
}
