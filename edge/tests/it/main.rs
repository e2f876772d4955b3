//! The parts of the appliance from outside, and the real program, in one program of tests: linking one takes as long as most of
//! them. A test that needs a process of its own starts this program again, with the name of an ignored test.
//!
//! | module | shows |
//! |---|---|
//! | `help` | the help of each command |
//! | `inspect` | `cellgate-edge inspect` on real files with a real ONNX Runtime |
//! | `metrics` | the figures for Prometheus and their server |
//! | `protections`, `sandbox` | each protection of the decoder alone; the real worker, and workers that go wrong |
//! | `kernels`, `cuda_driver` | feature `cuda`: the kernels compiled for all kinds of GPU; the run-time with a driver that only pretends |
//! | `gpu_check`, `plan`, `without_tensorrt` | feature `tensorrt`, without a GPU |
#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

#[cfg(feature = "cuda")]
mod cuda_driver;
mod help;
mod inspect;
#[cfg(feature = "cuda")]
mod kernels;
mod metrics;
mod protections;
mod sandbox;
// With TensorRT 11 there is no library to build plans with on a machine without a GPU.
#[cfg(all(feature = "tensorrt", not(feature = "enterprise")))]
mod tensorrt;

use cellgate_test_support::models as support;
use cellgate_test_support::{exposition, process};
