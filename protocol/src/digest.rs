//! Holds the first bytes of a digest. They tell models and images apart on the link.

use core::fmt;
use serde::{Deserialize, Serialize};

/// The first 8 bytes of a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DigestStart(pub [u8; 8]);

impl DigestStart {
    /// Stands for no model or no image.
    pub const NONE: Self = Self([0; 8]);

    /// The first 8 bytes of a complete digest.
    #[must_use]
    pub const fn of(digest: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *digest;
        Self([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for DigestStart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for DigestStart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
