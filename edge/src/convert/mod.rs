//! Converts a radiograph's levels to the network's input on a GPU.
//!
//! [`sequence`] lists the launches of the kernels of one conversion, and the memory that they use, as plain data. The module
//! `cuda`, behind the feature `cuda`, executes the list on a GPU. `tests/offline/kernels.rs` executes the list on the CPU,
//! without a GPU. Both must give the same tensors as the CPU's [`Converter`](cellgate_models::conversion::Converter).

#[cfg(feature = "cuda")]
pub mod cuda;
pub mod kernel;
pub mod sequence;

pub use kernel::Kernel;
pub use sequence::{Argument, Launch, LaunchSequence, LaunchStep, SequenceError};
