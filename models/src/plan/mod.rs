//! Builds TensorRT plans from a model's ONNX files, caches them on the device that built them, and runs them.
//!
//! A plan is the network, compiled for one kind of GPU by one version of TensorRT. It is executable code, so a device runs only
//! plans that it built itself: see [`cache`].
//!
//! TensorRT is loaded at run time. NVIDIA calls two products TensorRT; a feature chooses one when Cellgate is built:
//!
//! | feature | library | builds for |
//! |---|---|---|
//! | `tensorrt` | TensorRT for RTX 1.7 or later | a named compute capability, without a GPU; or this machine's GPU |
//! | `enterprise` | TensorRT 11.4 or later (JetPack 7.2.2 and later) | this machine's GPU |
//!
//! The module `flavour` contains their differences. Both accept strongly typed networks only: a plan has the precision of its ONNX
//! file. A plan of f32 computes in f32, not in TF32. TensorRT would use TF32 by default. With TF32's 10 bits of mantissa, the logit
//! of a golden image can differ from the expected logit by more than the tolerance. TensorRT must not optimise a NaN away: a logit
//! of NaN has to reach the policy, which rejects the part.
//!
//! An ONNX file that is truncated or keeps weights in another file is refused before TensorRT's parser sees it. Some
//! other damaged networks crash the parser, which is C++. So programs build with [`build_in_child`], which returns a crash as an
//! error.

mod build;
pub mod cache;
mod capability;
mod engine;
mod error;
mod flavour;
mod inspect;
mod library;
mod log;
mod names;
mod onnx;
mod progress;
mod target;
mod validity;
mod version;
mod worker;

pub use build::{BuildRequest, Built, build};
pub use capability::{ComputeCapability, ParseCapabilityError, Target};
pub use engine::{Addresses, PlanEngine};
pub use error::PlanError;
pub use flavour::{CAPABILITIES, FLAVOUR};
pub use inspect::{ElementType, ParsedNetwork, TensorInfo};
pub use library::{ProbedLibrary, probe};
pub use log::LOG_TARGET;
pub use names::{LIBRARY_ENV, Library};
pub use progress::{BuildProgress, BuildStep};
pub use validity::faults;
pub use version::{Flavour, TensorRt, Version};
pub use worker::{SUBCOMMAND, build_in_child, serve};
