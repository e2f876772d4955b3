//! Why there is no plan.

use super::names::{LIBRARY_ENV, Library};
use super::{ComputeCapability, Flavour, Target, TensorRt, Version};
use crate::model::Precision;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::PathBuf;

/// Why there is no plan. Plain text throughout: making one of these never calls into a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PlanError {
    /// One of TensorRT's libraries is not on this machine.
    #[error(
        "{library} was not found. Looked for:\n{looked_for}\
         Install {install}, and name the folder with its libraries in {LIBRARY_ENV} if it lies elsewhere"
    )]
    LibraryMissing {
        /// Which one.
        library: Library,
        /// Every place that was looked at, one a line, each ended.
        looked_for: String,
        /// The package that brings it.
        install: Cow<'static, str>,
    },
    /// The file is none of TensorRT's libraries.
    #[error("{}: not usable as {library}: {message}", path.display())]
    LibraryUnusable {
        /// Which one was expected.
        library: Library,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A TensorRT of another version than this program can use.
    #[error("{}: found {library} {found}, expected {expected}; install {install}", path.display())]
    LibraryVersion {
        /// Which one.
        library: Library,
        /// The file.
        path: PathBuf,
        /// Its version.
        found: Version,
        /// What can be used.
        expected: String,
        /// The package that brings it.
        install: Cow<'static, str>,
    },
    /// A process holds one TensorRT for its life.
    #[error("{} was asked for, but this process already runs {}", asked.display(), loaded.display())]
    LibraryOther {
        /// The library that was asked for.
        asked: PathBuf,
        /// The library that is loaded.
        loaded: PathBuf,
    },
    /// This TensorRT can't build for that GPU from here.
    #[error("{flavour} builds no plan for {asked}; it builds for: {expected}")]
    Target {
        /// What was asked for.
        asked: ComputeCapability,
        /// Which TensorRT.
        flavour: Flavour,
        /// What there is.
        expected: String,
    },
    /// The ONNX file can't be read.
    #[error("the network could not be read: {message}")]
    Network {
        /// What is wrong with it.
        message: String,
    },
    /// The network has other inputs or outputs than the contract wants.
    #[error("the network's {side}: found {found}, expected {expected}")]
    Contract {
        /// `inputs` or `outputs`.
        side: Cow<'static, str>,
        /// What it has.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// The network computes in another precision than asked for.
    #[error("the network computes in {found}, expected {expected}")]
    Precision {
        /// What it computes in.
        found: Precision,
        /// What was asked for.
        expected: Precision,
    },
    /// TensorRT built no plan.
    #[error("{flavour} built no plan for {target}: {message}")]
    Build {
        /// Which TensorRT.
        flavour: Flavour,
        /// What it was to be for.
        target: Target,
        /// What TensorRT said.
        message: String,
    },
    /// The process that builds ended without an answer.
    #[error("the process that builds plans ended by {how}; the network is damaged, or TensorRT is")]
    Crashed {
        /// How it ended.
        how: String,
    },
    /// TensorRT was exchanged while a process that knows the old one is at work.
    #[error("{found} has built the plan, expected {expected}: was it exchanged just now? Start this program again")]
    Changed {
        /// Who has built it.
        found: TensorRt,
        /// Who was asked before.
        expected: TensorRt,
    },
    /// TensorRT does not take a plan that it was to run.
    #[error("TensorRT refuses the plan: {message}")]
    Refused {
        /// What it said.
        message: String,
    },
    /// The caller stopped it.
    #[error("building the plan was stopped")]
    Cancelled,
    /// TensorRT refused something else.
    #[error("TensorRT: {message}")]
    TensorRt {
        /// What it said.
        message: String,
    },
}

/// An error of the bindings.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn of(error: trtx::Error) -> PlanError {
    PlanError::TensorRt { message: error.to_string() }
}
