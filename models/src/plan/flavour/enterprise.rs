//! Names, versions and targets of TensorRT 11.

use crate::plan::{ComputeCapability, Flavour, Target};
use trtx::Logger;
use trtx::builder::BuilderConfig;

/// The TensorRT that this program was built for.
pub const FLAVOUR: Flavour = Flavour::Enterprise;
/// The compute capabilities that a plan can be built for on a machine without a matching GPU. The list is empty, because TensorRT
/// 11 times candidate kernels on this machine's GPU.
pub const CAPABILITIES: &[ComputeCapability] = &[];
pub(crate) const BUILDER: &str = "libnvinfer.so";
pub(crate) const PARSER: &str = "libnvonnxparser.so";
pub(crate) const WHEEL: &str = "tensorrt_libs";
pub(crate) const INSTALL: &str = "JetPack 7.2.2 or later (AGX Orin and AGX Thor; `apt install tensorrt-libs`; JetPack 6 has TensorRT 10.3, \
                                  which can't be used), or TensorRT 11 from NVIDIA";
/// Major and minor version of the headers that this program was built with. The program accepts libraries of the same major version
/// and of this or a later minor version.
pub(crate) const OLDEST: (u16, u16) = (11, 4);

/// Sets the target. Returns `None` if TensorRT can't build for `target`.
pub(crate) fn set_target(_: &mut BuilderConfig<'_>, target: Target) -> Option<trtx::Result<()>> {
    (target == Target::Device).then_some(Ok(()))
}

/// Returns no faults, because TensorRT 11 can't check a header without deserialising the plan.
#[expect(clippy::unnecessary_wraps, reason = "the other flavour can fail")]
pub(crate) fn header_faults(_: &[u8], _: &Logger) -> trtx::Result<Vec<&'static str>> {
    Ok(Vec::new())
}
