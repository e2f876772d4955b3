//! Runs the CUDA kernels on the processor, for tests.

pub mod kernels;
