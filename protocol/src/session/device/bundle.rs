//! Defines what a session knows about bundles: the running one, and the confirmation that waits for its answer.

use crate::bundle::{BundleState, Confirm};

/// The session's part in bundles. The session's caller keeps the bundle.
#[derive(Debug)]
pub(super) struct BundleSide {
    /// The running bundle, as the caller set it.
    pub(super) state: BundleState,
    /// The confirmation that the caller must answer.
    pub(super) asked: Option<Confirm>,
}

impl BundleSide {
    pub(super) const fn new() -> Self {
        Self { state: BundleState::NONE, asked: None }
    }
}
