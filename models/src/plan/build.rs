//! From the bytes of an ONNX file to those of a plan.

use super::error::of;
use super::flavour::{FLAVOUR, set_target};
use super::log::Log;
use super::progress::{Monitor, Progress};
use super::{Network, PlanError, Target, TensorRt, library, onnx};
use crate::model::Precision;
use crate::conversion::Size;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use trtx::{Builder, BuilderFlag, Logger, OnnxParser};

/// What to build.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    /// The bytes of the ONNX file, weights inside.
    pub network: &'r [u8],
    /// What it computes in; a network that doesn't is refused.
    pub precision: Precision,
    /// What for.
    pub target: Target,
    /// The folder with TensorRT's libraries; none searches for it in the order that the crate's README gives.
    pub library: Option<PathBuf>,
}

/// A plan, fresh from this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The plan's bytes.
    pub plan: Vec<u8>,
    /// The network as TensorRT has read it.
    pub network: Network,
    /// Height and width of its input in pixels.
    pub size: Size,
    /// Who built it.
    pub tensorrt: TensorRt,
}

/// Held while a plan is built: two builds at once for different GPUs mix up their targets inside TensorRT for RTX 1.7 ("Target
/// SM 86 is not found in the accelerator list", said to one that builds for 7.5).
static BUILDING: Mutex<()> = Mutex::new(());

/// Builds a plan in this process, which a damaged network can make crash: see [`build_in_child`](super::build_in_child). One at
/// a time, others wait. Takes a second for TensorRT for RTX, minutes for TensorRT 11, which measures on the GPU.
///
/// # Errors
/// [`PlanError`]: TensorRT is missing or another one, the ONNX file can't be read or breaks the contract, the target is none,
/// `progress` said to stop, or TensorRT failed.
pub fn build(request: &Request<'_>, progress: Progress) -> Result<Built, PlanError> {
    onnx::check(request.network)?;
    let tensorrt = library::load(request.library.as_deref())?.tensorrt;
    let log = Log::default();
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let result = build_with(request, progress, &log, tensorrt);
    log.flush();
    result
}

fn build_with(request: &Request<'_>, progress: Progress, log: &Log, tensorrt: TensorRt) -> Result<Built, PlanError> {
    // In this order, so that each is dropped before what it came from.
    let logger = Logger::new(log.clone()).map_err(of)?;
    let mut builder =
        Builder::new(&logger).map_err(|error| PlanError::TensorRt { message: log.take_errors(&error.to_string()) })?;
    let mut config = builder.create_config().map_err(of)?;
    if let Target::Named(capability) = request.target {
        capability.check_named()?;
    }
    let unknown = || PlanError::Build {
        flavour: FLAVOUR,
        target: request.target,
        message: "it knows no such compute capability".to_owned(),
    };
    set_target(&mut config, request.target).ok_or_else(unknown)?.map_err(of)?;
    config.clear_flag(BuilderFlag::kTF32);
    config.set_flag(BuilderFlag::kSTRICT_NANS);
    let (monitor, stopped) = Monitor::new(progress);
    config.set_progress_monitor(Box::new(monitor)).map_err(of)?;

    let definition = builder.create_network(0).map_err(of)?;
    let mut parser = OnnxParser::new(definition, &logger).map_err(of)?;
    parser
        .parse(request.network)
        .map_err(|error| PlanError::Network { message: log.take_errors(&error.to_string()) })?;
    let definition = parser.network_mut();
    let network = Network::of(definition)?;
    let size = network.check(request.precision)?;
    match builder.build_serialized_network(definition, &mut config) {
        _ if stopped.load(Ordering::Relaxed) => {
            // What it says of being stopped is no news.
            log.take_errors("");
            Err(PlanError::Cancelled)
        }
        Ok(plan) => Ok(Built { plan: plan.to_vec(), network, size, tensorrt }),
        Err(error) => Err(PlanError::Build {
            flavour: FLAVOUR,
            target: request.target,
            message: log.take_errors(&error.to_string()),
        }),
    }
}
