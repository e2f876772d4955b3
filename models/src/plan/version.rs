//! Which TensorRT.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The two products of this name. Their plans are not each other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Flavour {
    /// TensorRT for RTX: compiles for a named architecture, finishes on the GPU.
    Rtx,
    /// TensorRT, as JetPack and data centres have it: builds by measuring on the GPU at hand.
    Enterprise,
}

impl Flavour {
    /// The name: `rtx` or `enterprise`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rtx => "rtx",
            Self::Enterprise => "enterprise",
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Rtx => "TensorRT for RTX",
            Self::Enterprise => "TensorRT",
        })
    }
}

/// A version of TensorRT, as the library itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Major number.
    pub major: u16,
    /// Minor number.
    pub minor: u16,
    /// Patch number.
    pub patch: u16,
    /// Build number.
    pub build: u16,
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}.{}", self.major, self.minor, self.patch, self.build)
    }
}

/// A TensorRT that plans belong to: another build of it makes and takes other plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TensorRt {
    /// Which of the two.
    pub flavour: Flavour,
    /// Its version.
    pub version: Version,
}

impl fmt::Display for TensorRt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.flavour, self.version)
    }
}
