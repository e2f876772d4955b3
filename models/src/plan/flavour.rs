//! What differs between TensorRT for RTX and TensorRT 11: names, versions, and how a target is chosen.

use super::{ComputeCapability, Flavour, PlanError, Target};
use trtx::Logger;
use trtx::builder::BuilderConfig;

pub(super) use chosen::{BUILDER, INSTALL, OLDEST, PARSER, WHEEL, header_faults, set_target};
pub use chosen::{CAPABILITIES, FLAVOUR};

/// TensorRT for RTX.
#[cfg(not(feature = "enterprise"))]
mod chosen {
    use super::super::error::of;
    use super::{BuilderConfig, ComputeCapability, Flavour, Logger, PlanError, Target};
    use trtx::ComputeCapability as Trt;
    use trtx::{EngineInvalidityDiagnostics as Diagnostics, EngineValidity, Runtime};

    /// The TensorRT that this program was built for.
    pub const FLAVOUR: Flavour = Flavour::Rtx;
    /// The compute capabilities that can be named.
    pub const CAPABILITIES: &[ComputeCapability] = &{
        let mut known = [ComputeCapability::new(0, 0); TARGETS.len()];
        let mut at = 0;
        while at < known.len() {
            known[at] = TARGETS[at].0;
            at += 1;
        }
        known
    };
    /// The same, with TensorRT's own names.
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
    /// Major and minor number of the headers that it was built with; the same major, and this minor or later, is taken.
    pub(crate) const OLDEST: (u16, u16) = (1, 7);

    pub(crate) fn set_target(config: &mut BuilderConfig<'_>, target: Target) -> Result<(), PlanError> {
        let capability = match target {
            Target::Device => Trt::kCURRENT,
            Target::Named(asked) => match TARGETS.iter().find(|(known, _)| *known == asked) {
                Some((_, capability)) => *capability,
                None => return asked.check_named(),
            },
        };
        config.set_nb_compute_capabilities(1).and_then(|()| config.set_compute_capability(capability, 0)).map_err(of)
    }

    /// What TensorRT finds wrong with a plan's header.
    pub(crate) fn header_faults(plan: &[u8], logger: &Logger) -> Result<Vec<&'static str>, PlanError> {
        let runtime = Runtime::new(logger).map_err(of)?;
        if plan.len() < runtime.engine_header_size() {
            return Ok(vec!["it is shorter than a plan's header"]);
        }
        let (validity, diagnostics) = runtime.engine_validity(plan).map_err(of)?;
        let faults = [
            (Diagnostics::MALFORMED_ENGINE, "it is no plan"),
            (Diagnostics::VERSION_MISMATCH, "another version of TensorRT built it"),
            (Diagnostics::UNSUPPORTED_CC, "it is for another compute capability"),
            (Diagnostics::OLD_CUDA_DRIVER, "the CUDA driver is older than at its building"),
            (Diagnostics::OLD_CUDA_RUNTIME, "the CUDA run time is older than at its building"),
            (Diagnostics::INSUFFICIENT_GPU_MEMORY, "the GPU's memory is too small for its weights"),
            (Diagnostics::CUDA_ERROR, "CUDA driver or run time are not installed rightly"),
        ];
        // Without a GPU it says "invalid" of a sound header too, and gives no reason.
        let is_invalid = validity == EngineValidity::kINVALID;
        let has = |fault| is_invalid && diagnostics.contains(fault);
        Ok(faults.into_iter().filter(|&(fault, _)| has(fault)).map(|(_, words)| words).collect())
    }
}

/// TensorRT 11.
#[cfg(feature = "enterprise")]
mod chosen {
    use super::{BuilderConfig, ComputeCapability, Flavour, Logger, PlanError, Target};

    /// The TensorRT that this program was built for.
    pub const FLAVOUR: Flavour = Flavour::Enterprise;
    /// The compute capabilities that can be named: none, it measures on the GPU at hand.
    pub const CAPABILITIES: &[ComputeCapability] = &[];
    pub(crate) const BUILDER: &str = "libnvinfer.so";
    pub(crate) const PARSER: &str = "libnvonnxparser.so";
    pub(crate) const WHEEL: &str = "tensorrt_libs";
    pub(crate) const INSTALL: &str = "JetPack 7.2.2 or later (`apt install tensorrt-libs`), or TensorRT 11 from NVIDIA";
    /// Major and minor number of the headers that it was built with; the same major, and this minor or later, is taken.
    pub(crate) const OLDEST: (u16, u16) = (11, 4);

    pub(crate) fn set_target(_: &mut BuilderConfig<'_>, target: Target) -> Result<(), PlanError> {
        match target {
            Target::Device => Ok(()),
            Target::Named(asked) => asked.check_named(),
        }
    }

    /// TensorRT 11 doesn't say without deserialising.
    #[expect(clippy::unnecessary_wraps, reason = "the other flavour can fail")]
    pub(crate) fn header_faults(_: &[u8], _: &Logger) -> Result<Vec<&'static str>, PlanError> {
        Ok(Vec::new())
    }
}
