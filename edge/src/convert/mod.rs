//! Converts a radiograph's levels to the network's input on a GPU, without a copy back to the host.
//!
//! [`sequence`] lists the launches of each [`kernel`] and their memory as plain data. The feature `cuda` executes the list on a
//! GPU, the tests of the workspace execute it on a processor. Both must give the same tensors as the CPU's
//! [`Converter`](cellgate_models::conversion::Converter).

#[cfg(feature = "cuda")]
pub mod cuda;
pub mod kernel;
pub mod sequence;

pub use kernel::Kernel;
pub use sequence::{Argument, Launch, LaunchSequence, LaunchStep, SequenceError};
