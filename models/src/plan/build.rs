//! Builds a plan from an ONNX file.

use super::error::of;
use super::flavour::{FLAVOUR, set_target};
use super::log::Log;
use super::progress::{BuildProgress, Monitor};
use super::{ParsedNetwork, PlanError, Target, TensorRt, library, onnx};
use crate::conversion::Size;
use crate::model::Precision;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use trtx::{Builder, BuilderFlag, Logger, OnnxParser};

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildRequest<'r> {
    /// The bytes of the ONNX file, including its weights.
    pub network: &'r [u8],
    /// The expected precision; a network of another precision is refused.
    pub precision: Precision,
    /// The GPU to build for.
    pub target: Target,
    /// The folder with TensorRT's libraries; `None` searches for it in the order of this crate's `README.md`.
    pub library: Option<PathBuf>,
}

/// A plan that was built just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The plan's bytes.
    pub plan: Vec<u8>,
    /// The network as TensorRT has parsed it.
    pub network: ParsedNetwork,
    /// Height and width of the network's input in pixels.
    pub size: Size,
    /// The TensorRT that built the plan.
    pub tensorrt: TensorRt,
}

/// Held while a plan is built. TensorRT for RTX 1.7 confuses the targets of concurrent builds for different GPUs: for example, a
/// build for sm75 fails with "Target SM 86 is not found in the accelerator list".
static BUILDING: Mutex<()> = Mutex::new(());

/// Builds a plan in this process. A damaged network can crash the process: see [`build_in_child`](super::build_in_child).
///
/// Concurrent calls wait for each other. A build takes a second with TensorRT for RTX, and minutes with TensorRT 11, which times
/// candidate kernels on the GPU.
///
/// # Errors
/// [`PlanError`]: TensorRT is missing or has another version; the ONNX file can't be read, breaks the contract of
/// [`engine`](crate::engine), or has another precision; TensorRT does not know the target; `progress` stopped the build; or
/// TensorRT failed.
pub fn build(request: &BuildRequest<'_>, progress: BuildProgress) -> Result<Built, PlanError> {
    onnx::check(request.network)?;
    let found = library::load(request.library.as_deref())?;
    library::open_resources(&found);
    let tensorrt = found.tensorrt;
    let log = Log::default();
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let result = build_with(request, progress, &log, tensorrt);
    log.flush();
    result
}

fn build_with(
    request: &BuildRequest<'_>,
    progress: BuildProgress,
    log: &Log,
    tensorrt: TensorRt,
) -> Result<Built, PlanError> {
    // Declared in this order, so that each value is dropped before the value that created it.
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
    let network = ParsedNetwork::of(definition)?;
    let size = network.check(request.precision)?;
    match builder.build_serialized_network(definition, &mut config) {
        _ if stopped.load(Ordering::Relaxed) => {
            // Discards TensorRT's message about the stop.
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
