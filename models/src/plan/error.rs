//! Errors of building and loading plans.

use super::names::{LIBRARY_ENV, Library};
use super::{ComputeCapability, Flavour, Target, TensorRt, Version};
use crate::model::Precision;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::PathBuf;

/// Why a plan could not be built, loaded or run. No field holds an error value of a library, so a child process can send the error
/// to its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PlanError {
    /// One of TensorRT's libraries is not on this machine.
    #[error(
        "{library} was not found. Looked for:\n{looked_for}\
         Install {install}, and if it lies elsewhere, set {LIBRARY_ENV} to the folder with its libraries"
    )]
    LibraryMissing {
        /// Which library.
        library: Library,
        /// Every place that was tried, each followed by a line feed.
        looked_for: String,
        /// The package that contains the library.
        install: Cow<'static, str>,
    },
    /// The file is not one of TensorRT's libraries.
    #[error("{}: not usable as {library}: {message}", path.display())]
    LibraryUnusable {
        /// Which library was expected.
        library: Library,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// This program can't use TensorRT of this version.
    #[error("{}: found {library} {found}, expected {expected}; install {install}", path.display())]
    LibraryVersion {
        /// Which library.
        library: Library,
        /// The file.
        path: PathBuf,
        /// The library's version.
        found: Version,
        /// The versions that can be used.
        expected: String,
        /// The package that contains the library.
        install: Cow<'static, str>,
    },
    /// Another TensorRT was requested than the one that this process has loaded for its life.
    #[error("{} was asked for, but this process already runs {}", asked.display(), loaded.display())]
    LibraryOther {
        /// The library that was requested.
        asked: PathBuf,
        /// The library that is loaded.
        loaded: PathBuf,
    },
    /// This TensorRT can't build for the requested compute capability.
    #[error("{flavour} builds no plan for {asked}; it builds for: {expected}")]
    Target {
        /// The target that was requested.
        asked: ComputeCapability,
        /// Which TensorRT.
        flavour: Flavour,
        /// The targets that it builds for.
        expected: String,
    },
    /// The ONNX file can't be read.
    #[error("the network could not be read: {message}")]
    Network {
        /// What is wrong with it.
        message: String,
    },
    /// The inputs or outputs of the network or plan break the contract of [`engine`](crate::engine).
    #[error("the network's {side}: found {found}, expected {expected}")]
    Contract {
        /// `inputs` or `outputs`.
        side: Cow<'static, str>,
        /// The network's inputs or outputs.
        found: String,
        /// The inputs or outputs that the contract demands.
        expected: String,
    },
    /// The network computes in another precision than requested.
    #[error("the network computes in {found}, expected {expected}")]
    Precision {
        /// The network's precision.
        found: Precision,
        /// The requested precision.
        expected: Precision,
    },
    /// TensorRT built no plan.
    #[error("{flavour} built no plan for {target}: {message}")]
    Build {
        /// Which TensorRT.
        flavour: Flavour,
        /// The GPU that it should build for.
        target: Target,
        /// TensorRT's message.
        message: String,
    },
    /// The child process that builds the plan ended without a result.
    #[error("the process that builds plans failed: {how}; the network or the installation of TensorRT may be damaged")]
    Crashed {
        /// How the process ended.
        how: String,
    },
    /// TensorRT's files were replaced, while this process still runs with the old TensorRT.
    #[error(
        "{found} built the plan, expected {expected}: TensorRT was replaced while this program ran; restart the program"
    )]
    Changed {
        /// The TensorRT that built the plan.
        found: TensorRt,
        /// The TensorRT that this process found before.
        expected: TensorRt,
    },
    /// TensorRT refuses to load a plan.
    #[error("TensorRT refuses the plan: {message}")]
    Refused {
        /// TensorRT's message.
        message: String,
    },
    /// The caller stopped the build.
    #[error("building the plan was stopped")]
    Cancelled,
    /// Another error of TensorRT.
    #[error("TensorRT: {message}")]
    TensorRt {
        /// TensorRT's message.
        message: String,
    },
}

/// Converts an error of the bindings.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn of(error: trtx::Error) -> PlanError {
    PlanError::TensorRt { message: error.to_string() }
}
