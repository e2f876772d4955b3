//! Tells what the weights in a file were trained on, from the digest of the file.

use cellgate_models::digest::Digest;

/// This repository's own weights, `models/weights/resnet34-electrodes.safetensors`.
const ELECTRODES: &str = "8ee7ce443450b44d43a9cf3607d4d22e0738151df4957b95dd6d2721a92b3a87";
/// The first eight digits of the SHA-256 of torchvision's file, which are part of its name: `resnet34-b627a593.pth`.
pub(super) const IMAGENET: &str = "b627a593";

/// The training data of the weights in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightsOrigin {
    /// Synthetic electrodes only. This project trained the weights.
    Electrodes,
    /// ImageNet. The weights are torchvision's `ResNet34_Weights.IMAGENET1K_V1`.
    ImageNet,
    /// Any other file.
    Unknown,
}

impl WeightsOrigin {
    /// The origin of the file with the digest `file`.
    #[must_use]
    pub fn of(file: Digest) -> Self {
        match file.to_string() {
            digest if digest == ELECTRODES => Self::Electrodes,
            digest if digest.starts_with(IMAGENET) => Self::ImageNet,
            _ => Self::Unknown,
        }
    }

    /// A sentence for people about the training data of the weights and their licence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Electrodes => {
                "The Cellgate project trained the backbone on synthetic electrodes only; see models/weights/README.md in its \
                 repository."
            }
            Self::ImageNet => {
                "The backbone comes from torchvision and was trained on ImageNet. torchvision's licence and the terms of \
                 ImageNet apply to its weights."
            }
            Self::Unknown => {
                "The training data of the backbone is unknown. Ask the source of its weights file for the licence."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_digest_of_the_file_gives_the_origin() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/weights/resnet34-electrodes.safetensors");
        assert_eq!(WeightsOrigin::of(Digest::of_file(&own).unwrap()), WeightsOrigin::Electrodes);
        let named = |first: &str| format!("{first:0<64}").parse().unwrap();
        assert_eq!(WeightsOrigin::of(named("b627a593")), WeightsOrigin::ImageNet);
        assert_eq!(WeightsOrigin::of(named("b627a594")), WeightsOrigin::Unknown);
        let origins = [WeightsOrigin::Electrodes, WeightsOrigin::ImageNet, WeightsOrigin::Unknown];
        let sentences = origins.map(|origin| format!("{origin:?}: {}\n", origin.sentence()));
        insta::assert_snapshot!("origins", sentences.concat());
    }
}
