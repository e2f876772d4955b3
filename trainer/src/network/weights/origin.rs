//! What is known of where weights come from, by the digest of their file.

use cellgate_models::digest::Digest;

/// This repository's own weights, `models/weights/resnet34-electrodes.safetensors`.
const ELECTRODES: &str = "8ee7ce443450b44d43a9cf3607d4d22e0738151df4957b95dd6d2721a92b3a87";
/// torchvision names a file of weights by the first eight digits of its SHA-256: `resnet34-b627a593.pth`.
const IMAGENET: &str = "b627a593";

/// What the weights of a file were trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightsOrigin {
    /// Synthetic electrodes alone, by this project.
    Electrodes,
    /// ImageNet, by torchvision: `ResNet34_Weights.IMAGENET1K_V1`.
    ImageNet,
    /// Any other file.
    Unknown,
}

impl WeightsOrigin {
    /// The origin of the file whose digest is `file`.
    #[must_use]
    pub fn of(file: Digest) -> Self {
        match file.to_string() {
            digest if digest == ELECTRODES => Self::Electrodes,
            digest if digest.starts_with(IMAGENET) => Self::ImageNet,
            _ => Self::Unknown,
        }
    }

    /// A sentence for people on what the weights were trained on, and their licence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Electrodes => {
                "The backbone was trained on synthetic electrodes alone, by the Cellgate project; see its card, \
                 models/weights/README.md there."
            }
            Self::ImageNet => {
                "The backbone is torchvision's, trained on ImageNet; its licence and that of its training images apply to \
                 the weights."
            }
            Self::Unknown => {
                "What the backbone was trained on is unknown here; its licence is that of where its file came from."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_digest_of_the_file_tells_the_origin() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/weights/resnet34-electrodes.safetensors");
        assert_eq!(WeightsOrigin::of(Digest::of_file(&own).unwrap()), WeightsOrigin::Electrodes);
        let named = |first: &str| format!("{first:0<64}").parse().unwrap();
        assert_eq!(WeightsOrigin::of(named("b627a593")), WeightsOrigin::ImageNet);
        assert_eq!(WeightsOrigin::of(named("b627a594")), WeightsOrigin::Unknown);
        assert!(WeightsOrigin::ImageNet.sentence().contains("ImageNet"));
        assert!(
            ![WeightsOrigin::Electrodes, WeightsOrigin::Unknown]
                .iter()
                .any(|origin| origin.sentence().contains("ImageNet"))
        );
    }
}
