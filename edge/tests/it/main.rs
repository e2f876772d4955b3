//! Tests the library's public modules and the real program. All these tests are one test program, because linking takes as
//! long as most of the tests. A test that needs a process of its own starts the test program again with the name of an
//! ignored test.
//!
//! | module | tests |
//! |---|---|
//! | `help` | the help of each command |
//! | `commands` | the output and errors of `bundle`, `doctor`, `journal`, `plc-sim` and `run --check` |
//! | `control` | the control socket with the command `bundle`, and with slow, greedy and hostile clients |
//! | `flipped_weight` | a network with one flipped bit in a weight |
//! | `gpu_check_small` | `scripts/gpu-check pack --small`, and the run of the packed folder, with scripts instead of the programs |
//! | `inspect` | `cellgate-edge inspect` on real files with a real ONNX Runtime |
//! | `inspect_distance` | the distance in the output of `inspect`, and the reason UNLIKE_TRAINING |
//! | `inspect_envelope` | images unlike the training images: verdict, reason and text of each |
//! | `inspect_evidence` | the evidence in the output of `inspect`, and its overlays |
//! | `metrics` | the metrics for Prometheus and their server |
//! | `protections`, `sandbox` | each protection of the decode worker alone; the sandbox with the real worker and with faulty workers |
//! | `kernels`, `cuda_driver` | feature `cuda`: the CUDA kernels, compiled for all kinds of GPU; the calls of CUDA's driver, with a simulated driver |
//! | `lazy_driver` | feature `cuda`: conversions with a simulated driver that does queued work as late as a GPU may |
//! | `tensorrt` | feature `tensorrt`: the commands `plan` and `gpu-check`, and which engine judges, all without a GPU |
#![expect(clippy::unwrap_used, reason = "clippy allows it in tests, but not in their helpers")]

mod commands;
mod control;
#[cfg(feature = "cuda")]
mod cuda_driver;
mod flipped_weight;
mod gpu_check_small;
mod help;
mod inspect;
mod inspect_distance;
mod inspect_envelope;
mod inspect_evidence;
#[cfg(feature = "cuda")]
mod kernels;
#[cfg(feature = "cuda")]
mod lazy_driver;
mod metrics;
mod protections;
mod sandbox;
// Not with the feature `enterprise`: TensorRT 11 can't build plans on a machine without a GPU.
#[cfg(all(feature = "tensorrt", not(feature = "enterprise")))]
mod tensorrt;

use cellgate_test_support::models as support;
use cellgate_test_support::{exposition, process};
