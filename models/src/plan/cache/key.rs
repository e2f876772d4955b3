//! Defines what identifies a plan: the model, the precision, the GPU and TensorRT.

use crate::digest::Digest;
use crate::model::Precision;
use crate::plan::{ComputeCapability, Flavour, TensorRt};
use std::fmt;

/// Maximum length of a GPU's name in bytes. An entry stores the length in one byte.
pub const MAX_GPU_NAME_BYTES: usize = 255;

/// Bytes of a [`PlanKey`] in an entry, without the GPU's name: model, precision, flavour, version, capability, length of the
/// name.
pub(super) const KEY_BYTES: usize = 32 + 1 + 1 + 8 + 2 + 1;

/// The GPU that a plan was built for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gpu {
    name: String,
    capability: ComputeCapability,
}

impl Gpu {
    /// A GPU by its name, which is truncated to [`MAX_GPU_NAME_BYTES`]. The name is any text that tells kinds of GPUs apart. `None`
    /// means any GPU of this compute capability; only TensorRT for RTX builds plans for any GPU.
    #[must_use]
    pub fn new(name: Option<&str>, capability: ComputeCapability) -> Self {
        let mut name = name.unwrap_or_default();
        while name.len() > MAX_GPU_NAME_BYTES {
            name = name.char_indices().next_back().map_or("", |(end, _)| &name[..end]);
        }
        Self { name: name.to_owned(), capability }
    }

    /// The GPU's name; `None` means any GPU of the compute capability.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        Some(self.name.as_str()).filter(|name| !name.is_empty())
    }

    /// The GPU's compute capability.
    #[must_use]
    pub fn capability(&self) -> ComputeCapability {
        self.capability
    }

    /// Whether a plan for this GPU can run on `other` too.
    #[must_use]
    pub fn serves(&self, other: &Self) -> bool {
        self.capability == other.capability && (self.name.is_empty() || self.name == other.name)
    }
}

impl fmt::Display for Gpu {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.name().unwrap_or("any GPU").escape_debug(), self.capability)
    }
}

/// What identifies a plan. If any field differs, it is another plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlanKey {
    /// The model's digest.
    pub model: Digest,
    /// Which of the model's networks.
    pub precision: Precision,
    /// The GPU that the plan was built for.
    pub gpu: Gpu,
    /// The TensorRT that built the plan.
    pub tensorrt: TensorRt,
}

impl PlanKey {
    /// The file name of the plan's entry without the suffix: the first 32 hexadecimal digits of the digest of all fields.
    #[must_use]
    pub(super) fn file_stem(&self) -> String {
        let mut text = Digest::of_fields(&[&self.to_bytes()]).to_string();
        text.truncate(32);
        text
    }

    /// The fields as an entry stores them.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Self { model, precision, gpu, tensorrt: TensorRt { flavour, version } } = self;
        let name = gpu.name().unwrap_or_default();
        let mut bytes = Vec::with_capacity(KEY_BYTES + name.len());
        bytes.extend(model.as_bytes());
        bytes.push(match precision {
            Precision::F32 => 1,
            Precision::F16 => 2,
        });
        bytes.push(match flavour {
            Flavour::Rtx => 1,
            Flavour::Enterprise => 2,
        });
        for number in [version.major, version.minor, version.patch, version.build] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([gpu.capability().major, gpu.capability().minor]);
        bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        bytes.extend(name.as_bytes());
        bytes
    }
}

impl fmt::Display for PlanKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, precision, gpu, tensorrt } = self;
        write!(out, "model {model}, {precision}, {gpu}, {tensorrt}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_truncated_between_characters() {
        let capability = ComputeCapability::new(8, 6);
        let name = format!("{}é", "x".repeat(MAX_GPU_NAME_BYTES - 1));
        assert_eq!(Gpu::new(Some(&name), capability).name().unwrap().len(), MAX_GPU_NAME_BYTES - 1);
        assert_eq!(Gpu::new(Some(""), capability), Gpu::new(None, capability));
    }

    #[test]
    fn a_plan_for_any_gpu_serves_every_gpu_of_its_compute_capability_only() {
        let gpu = |name, minor| Gpu::new(name, ComputeCapability::new(8, minor));
        assert!(gpu(None, 6).serves(&gpu(Some("A"), 6)) && gpu(Some("A"), 6).serves(&gpu(Some("A"), 6)));
        assert!(!gpu(None, 6).serves(&gpu(Some("A"), 9)) && !gpu(Some("A"), 6).serves(&gpu(Some("B"), 6)));
        assert!(!gpu(Some("A"), 6).serves(&gpu(None, 6)));
    }
}
