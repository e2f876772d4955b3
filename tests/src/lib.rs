//! The CUDA kernels run on the processor, for the tests and benches that need more than one crate.

pub mod kernels;
