//! Names, versions and targets of TensorRT for RTX.

use crate::plan::{ComputeCapability, Flavour, Target};
use trtx::ComputeCapability as Trt;
use trtx::builder::BuilderConfig;
use trtx::{EngineInvalidityDiagnostics as Diagnostics, EngineValidity, Logger, Runtime};

/// The TensorRT that this program was built for.
pub const FLAVOUR: Flavour = Flavour::Rtx;
/// The compute capabilities that a plan can be built for on a machine without a matching GPU.
pub const CAPABILITIES: &[ComputeCapability] = &{
    let mut known = [ComputeCapability::new(0, 0); TARGETS.len()];
    let mut at = 0;
    while at < known.len() {
        known[at] = TARGETS[at].0;
        at += 1;
    }
    known
};
/// The compute capabilities with TensorRT's names.
const TARGETS: [(ComputeCapability, Trt); 6] = [
    (ComputeCapability::new(7, 5), Trt::kSM75),
    (ComputeCapability::new(8, 0), Trt::kSM80),
    (ComputeCapability::new(8, 6), Trt::kSM86),
    (ComputeCapability::new(8, 9), Trt::kSM89),
    (ComputeCapability::new(12, 0), Trt::kSM120),
    (ComputeCapability::new(12, 1), Trt::kSM121),
];
pub(crate) const BUILDER: &str = "libtensorrt_rtx.so";
pub(crate) const PARSER: &str = "libtensorrt_onnxparser_rtx.so";
pub(crate) const WHEEL: &str = "tensorrt_rtx_libs";
pub(crate) const INSTALL: &str = "`pip install tensorrt-rtx-cu13-libs==1.7.1.116`";
/// Major and minor version of the headers that this program was built with. The program accepts libraries of the same major version
/// and of this or a later minor version.
pub(crate) const OLDEST: (u16, u16) = (1, 7);

/// Sets the target. Returns `None` if TensorRT can't build for `target`.
pub(crate) fn set_target(config: &mut BuilderConfig<'_>, target: Target) -> Option<trtx::Result<()>> {
    let capability = match target {
        Target::Device => Trt::kCURRENT,
        Target::Named(asked) => TARGETS.iter().find(|(known, _)| *known == asked)?.1,
    };
    Some(config.set_nb_compute_capabilities(1).and_then(|()| config.set_compute_capability(capability, 0)))
}

/// The faults that TensorRT finds in a plan's header.
pub(crate) fn header_faults(plan: &[u8], logger: &Logger) -> trtx::Result<Vec<&'static str>> {
    let runtime = Runtime::new(logger)?;
    if plan.len() < runtime.engine_header_size() {
        return Ok(vec!["it is shorter than a plan's header"]);
    }
    let (validity, diagnostics) = runtime.engine_validity(plan)?;
    let faults = [
        (Diagnostics::MALFORMED_ENGINE, "it is not a plan"),
        (Diagnostics::VERSION_MISMATCH, "another version of TensorRT built it"),
        (Diagnostics::UNSUPPORTED_CC, "it is for another compute capability"),
        (Diagnostics::OLD_CUDA_DRIVER, "the CUDA driver is older than the one at build time"),
        (Diagnostics::OLD_CUDA_RUNTIME, "the CUDA run time is older than the one at build time"),
        (Diagnostics::INSUFFICIENT_GPU_MEMORY, "the GPU's memory is too small for its weights"),
        (Diagnostics::CUDA_ERROR, "CUDA driver or run time are not installed correctly"),
    ];
    // Without a GPU TensorRT reports a sound header as invalid too, without a reason.
    let is_invalid = validity == EngineValidity::kINVALID;
    let has = |fault| is_invalid && diagnostics.contains(fault);
    Ok(faults.into_iter().filter(|&(fault, _)| has(fault)).map(|(_, words)| words).collect())
}
