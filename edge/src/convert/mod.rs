//! The conversion on a GPU: from a radiograph's levels to the network's input without a way back to the host.
//!
//! [`sequence`] says which [`kernel`] runs when and on what memory, as plain data that is the same for whoever executes it:
//! the feature `cuda` on a GPU, the tests of the workspace on a processor. The CPU's way,
//! [`Converter`](cellgate_models::conversion::Converter), is the reference of both.

#[cfg(feature = "cuda")]
pub mod cuda;
pub mod kernel;
pub mod sequence;

pub use kernel::Kernel;
pub use sequence::{Argument, Launch, LaunchSequence, LaunchStep, SequenceError};
