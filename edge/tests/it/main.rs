//! Tests of the library's public modules and of the real program. They are one program, because linking a program takes as long as
//! most of the tests. A test that needs a process of its own starts this program again with the name of an ignored test.
//!
//! | module | tests |
//! |---|---|
//! | `help` | the help of each command |
//! | `commands` | the output and errors of `doctor`, `journal`, `plc-sim` and `run --check` |
//! | `inspect` | `cellgate-edge inspect` on real files with a real ONNX Runtime |
//! | `metrics` | the metrics for Prometheus and their server |
//! | `protections`, `sandbox` | each protection of the decoder alone; the real worker, and faulty workers |
//! | `kernels`, `cuda_driver` | feature `cuda`: the kernels compiled for all kinds of GPU; the run-time with a fake driver |
//! | `gpu_check`, `plan`, `without_tensorrt` | feature `tensorrt`, without a GPU |
#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

mod commands;
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
