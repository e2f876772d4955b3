//! TensorRT plans: built from a model's ONNX, inspected, and cached on the device that made them.
//!
//! A plan is the network compiled for one kind of GPU by one version of TensorRT. It is executable code, so the edge runs
//! only what it built itself: see [`cache`].
//!
//! TensorRT is loaded at run time. There are two of it, chosen when Cellgate is built:
//!
//! | feature | library | builds for |
//! |---|---|---|
//! | `tensorrt` | TensorRT for RTX 1.7 or later | a named compute capability, no GPU needed; or the GPU at hand |
//! | `enterprise` | TensorRT 11.4 or later (JetPack 7.2.2 and later) | the GPU at hand |
//!
//! What differs between them stands in `flavour`. Both know strongly typed networks only: the precision of a plan is that
//! of its ONNX file. A plan of f32 computes in f32, not in TF32, which TensorRT would take by itself and whose 10 bits of
//! mantissa a golden image's tolerance has no room for; and a NaN is not optimised away, so that it reaches the policy.
//!
//! An ONNX file that is cut or keeps weights elsewhere is refused before TensorRT's parser sees it. That parser is C++, and some
//! damaged networks make it crash: programs build with [`build_in_child`], where a crash is an error like others.

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

pub use build::{Built, Request, build};
pub use capability::{ComputeCapability, ParseCapabilityError, Target};
pub use engine::PlanEngine;
pub use error::PlanError;
pub use flavour::{CAPABILITIES, FLAVOUR};
pub use inspect::{ElementType, Network, Tensor};
pub use library::{Found, probe};
pub use log::LOG_TARGET;
pub use names::{LIBRARY_ENV, Library};
pub use progress::{Progress, Step};
pub use validity::faults;
pub use version::{Flavour, TensorRt, Version};
pub use worker::{SUBCOMMAND, build_in_child, serve};
