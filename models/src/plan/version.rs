//! Names the products and versions of TensorRT.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The two products that NVIDIA calls TensorRT. Neither can run the other's plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Flavour {
    /// TensorRT for RTX: compiles for a named architecture, and completes the compilation on the GPU.
    Rtx,
    /// TensorRT of JetPack and data centres: times candidate kernels on this machine's GPU while it builds.
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

/// A version of TensorRT, as the library reports it.
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

/// Product and version of TensorRT. A plan runs only with the product and the version that built it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TensorRt {
    /// Which of the two products.
    pub flavour: Flavour,
    /// Its version.
    pub version: Version,
}

impl fmt::Display for TensorRt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.flavour, self.version)
    }
}
