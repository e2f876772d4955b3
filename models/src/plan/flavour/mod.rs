//! Chooses between TensorRT for RTX and TensorRT 11, which differ in names, versions, and how a target is set.

#[cfg(feature = "enterprise")]
mod enterprise;
#[cfg(not(feature = "enterprise"))]
mod rtx;

#[cfg(feature = "enterprise")]
use enterprise as chosen;
#[cfg(not(feature = "enterprise"))]
use rtx as chosen;

pub(super) use chosen::{BUILDER, INSTALL, OLDEST, PARSER, WHEEL, header_faults, set_target};
pub use chosen::{CAPABILITIES, FLAVOUR};
