//! Errors of exporting a model.

use super::{Margins, TrainingRunError};
use crate::network::onnx::OnnxError;
use crate::network::weights::WeightsError;
use cellgate_models::conversion::ConversionError;
use cellgate_models::digest::Digest;
use cellgate_models::engine::EngineError;
use cellgate_models::model::{ModelError, Precision};
use cellgate_models::policy::Verdict;
use cellgate_models::radiograph::ReadError;
use std::path::PathBuf;

/// Error of exporting a model. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The training run can't be read.
    #[error(transparent)]
    TrainingRun(#[from] TrainingRunError),
    /// The backbone's weights can't be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The weights file is not the one that the head was trained with.
    #[error(
        "{}: found a backbone with SHA-256 {found}, expected {expected}, which the head was trained with; name that file with \
         --backbone",
        path.display()
    )]
    Backbone {
        /// The weights file.
        path: PathBuf,
        /// The file's digest.
        found: Digest,
        /// The digest that the training run recorded.
        expected: Digest,
    },
    /// The conversion keeps the size of each image, but a network has one input size.
    #[error(
        "the training run's conversion keeps the size of each image, expected one size for all images: train with --size"
    )]
    NoSize,
    /// The training run has no candidates for golden images.
    #[error(
        "the training run has no candidates for golden images, expected at least one to prove the network with: train again"
    )]
    NoCandidates,
    /// No candidate keeps the margins of a golden image.
    #[error(
        "found {candidates} candidate(s) for golden images, none of which is suitable: expected one whose logit differs from both \
         thresholds by more than {:.4}, twice the tolerance of {precision} (the largest difference found is {farthest:.4}), and, if the \
         logit is that of a PASS, whose distance differs from the largest distance by more than {:.1} %; no model was written; {} with more images or \
         other thresholds",
        margins.logit,
        100.0 * margins.distance,
        advice(*precision)
    )]
    NoneSuitable {
        /// The number of candidates.
        candidates: usize,
        /// The precision with the largest tolerances.
        precision: Precision,
        /// The margins of a golden image.
        margins: Margins,
        /// The largest difference of a candidate's logit from the nearer threshold.
        farthest: f64,
    },
    /// The emulation of f16 deviates too much from libtorch.
    #[error(
        "{precision}: {output} deviates from libtorch by {deviation:.1e}, as an emulation of {precision} shows. The tolerance would be \
         {tolerance:.1e}, three times that; expected at most {limit:.1e}, since a larger tolerance would prove nothing; no model was \
         written; {}",
        advice(*precision)
    )]
    Deviation {
        /// The network's precision.
        precision: Precision,
        /// The output, in words.
        output: &'static str,
        /// The largest deviation on the candidates.
        deviation: f32,
        /// The tolerance that follows.
        tolerance: f32,
        /// The largest tolerance of a model.
        limit: f32,
    },
    /// A candidate for a golden image is missing, or its bytes are not the same as at training.
    #[error(
        "{}: found {found}, expected the candidate for a golden image with SHA-256 {expected}: restore the image, or train again",
        path.display()
    )]
    Golden {
        /// The image.
        path: PathBuf,
        /// The system's error, or the digest found.
        found: String,
        /// The image's digest at training.
        expected: Digest,
    },
    /// libtorch computes another logit for a golden image than at training.
    #[error(
        "{}: found the logit {found}, expected {expected} as at training: the head, the trainer or libtorch has changed; \
         train again",
        path.display()
    )]
    GoldenLogitChanged {
        /// The image.
        path: PathBuf,
        /// The logit now.
        found: f32,
        /// The logit at training.
        expected: f32,
    },
    /// libtorch computes another distance for a golden image than at training.
    #[error(
        "{}: found the distance {found:.4}, expected {expected:.4} as at training: the whitening, the trainer or libtorch has changed; \
         train again",
        path.display()
    )]
    GoldenDistanceChanged {
        /// The image.
        path: PathBuf,
        /// The distance now.
        found: f64,
        /// The distance at training.
        expected: f64,
    },
    /// A golden image can't be decoded.
    #[error(transparent)]
    Radiograph(#[from] ReadError),
    /// The conversion can't be applied.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// The network can't be written as ONNX.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// ONNX Runtime failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// libtorch and ONNX Runtime disagree on a golden image.
    #[error(
        "{}: the {precision} network does not match libtorch: found the logit {onnx} ({onnx_verdict}) from ONNX Runtime, \
         expected {torch} ({torch_verdict}) as from libtorch, within {tolerance} and with the same verdict; no model was written",
        path.display()
    )]
    Parity {
        /// The network's precision.
        precision: Precision,
        /// The golden image.
        path: PathBuf,
        /// ONNX Runtime's logit.
        onnx: f32,
        /// The verdict for ONNX Runtime's logit.
        onnx_verdict: Verdict,
        /// libtorch's logit.
        torch: f32,
        /// The verdict for libtorch's logit.
        torch_verdict: Verdict,
        /// The largest difference allowed.
        tolerance: f32,
    },
    /// The map of a golden image does not sum to its logit.
    #[error(
        "{}: the map of the {precision} network sums to {sum} with {engine}, expected the logit {logit} within {tolerance}; \
         no model was written; this is a defect of the trainer, please report it",
        path.display()
    )]
    MapSum {
        /// The network's precision.
        precision: Precision,
        /// The golden image.
        path: PathBuf,
        /// The library that computed the map.
        engine: &'static str,
        /// The sum of the shares.
        sum: f64,
        /// The logit of the same library.
        logit: f32,
        /// The largest difference allowed.
        tolerance: f32,
    },
    /// libtorch and ONNX Runtime disagree on the map of a golden image.
    #[error(
        "{}: the map of the {precision} network does not match libtorch: a share differs by {found}, expected at most {tolerance} \
         for a largest share of {largest_share}; no model was written; {}",
        path.display(),
        advice(*precision)
    )]
    MapParity {
        /// The network's precision.
        precision: Precision,
        /// The golden image.
        path: PathBuf,
        /// The largest difference of a share. NaN if a share is NaN.
        found: f32,
        /// The largest difference allowed.
        tolerance: f32,
        /// The largest share of libtorch's map.
        largest_share: f32,
    },
    /// libtorch and ONNX Runtime disagree on the whitened features of a golden image.
    #[error(
        "{}: the whitened features of the {precision} network do not match libtorch: they lie {found:.4} apart, expected at most \
         {tolerance}; no model was written; {}",
        path.display(),
        advice(*precision)
    )]
    FeaturesParity {
        /// The network's precision.
        precision: Precision,
        /// The golden image.
        path: PathBuf,
        /// The distance between the features. NaN or infinite if a component is.
        found: f64,
        /// The largest distance allowed.
        tolerance: f32,
    },
    /// The model can't be written.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// What to do if no model can be exported in this precision.
fn advice(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "train again",
        Precision::F16 => "export only `--precision f32`, or train again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_match_the_snapshot() {
        let path = || PathBuf::from("part.tif");
        let errors = [
            ExportError::NoSize,
            ExportError::NoCandidates,
            ExportError::NoneSuitable {
                candidates: 32,
                precision: Precision::F16,
                margins: Margins { logit: 0.5, distance: 0.125 },
                farthest: 0.25,
            },
            ExportError::NoneSuitable {
                candidates: 1,
                precision: Precision::F32,
                margins: Margins { logit: 0.5, distance: 0.125 },
                farthest: 0.75,
            },
            ExportError::Deviation {
                precision: Precision::F16,
                output: "the logit",
                deviation: 0.25,
                tolerance: 0.75,
                limit: 0.5,
            },
            ExportError::GoldenLogitChanged { path: path(), found: 0.25, expected: 0.5 },
            ExportError::GoldenDistanceChanged { path: path(), found: 9.75, expected: 7.5 },
            ExportError::Parity {
                precision: Precision::F16,
                path: path(),
                onnx: 0.75,
                onnx_verdict: Verdict::Reject,
                torch: 0.25,
                torch_verdict: Verdict::Pass,
                tolerance: 0.005,
            },
            ExportError::MapSum {
                precision: Precision::F32,
                path: path(),
                engine: "libtorch",
                sum: 0.75,
                logit: 0.25,
                tolerance: 0.005,
            },
            ExportError::MapParity {
                precision: Precision::F16,
                path: path(),
                found: 0.25,
                tolerance: 0.125,
                largest_share: 2.5,
            },
            ExportError::MapParity {
                precision: Precision::F32,
                path: path(),
                found: 0.25,
                tolerance: 0.125,
                largest_share: 2.5,
            },
            ExportError::FeaturesParity { precision: Precision::F16, path: path(), found: 1.25, tolerance: 1.0 },
            ExportError::FeaturesParity { precision: Precision::F32, path: path(), found: 1.25, tolerance: 1.0 },
            ExportError::Onnx(OnnxError::NotFinite { tensor: "conv1.weight".into() }),
            ExportError::Onnx(OnnxError::OutOfRange { tensor: "conv1.weight".into() }),
            ExportError::Onnx(OnnxError::Unsound("two values called score".into())),
        ];
        insta::assert_snapshot!("errors", errors.map(|error| format!("{error}\n")).concat());
    }
}
