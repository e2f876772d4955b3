//! One file a subcommand.

pub(crate) mod bounds;
pub(crate) mod check;
pub(crate) mod convert;
pub(crate) mod crossval;
pub(crate) mod export;
pub(crate) mod features;
pub(crate) mod report;
pub(crate) mod synth;
pub(crate) mod train;
