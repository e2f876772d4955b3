//! Computes the logits of images with the whole network, for heads whose logits do not follow from cached features.

use super::{FeatureError, compute};
use crate::dataset::Part;
use crate::network::{Backbone, Head};
use cellgate_models::conversion::ConversionSpec;
use indicatif::ProgressBar;

/// The raw logit that `head` gives to each of `parts`, for images converted by `spec`. Advances `progress` by one for each part.
///
/// # Errors
/// [`FeatureError`] for the first part that fails.
pub fn logits(
    parts: &[&Part],
    spec: &ConversionSpec,
    backbone: &Backbone,
    head: &Head,
    progress: &ProgressBar,
) -> Result<Vec<f32>, FeatureError> {
    let mut logits = vec![0.0; parts.len()];
    compute::each(parts, spec, backbone.device(), |index, tensor, size| {
        let path = || parts[index].path.clone();
        let output = backbone.output(tensor, size, head);
        logits[index] = output.map_err(|source| FeatureError::Torch { path: path(), source })?.logit;
        if !logits[index].is_finite() {
            return Err(FeatureError::NotFinite { path: path() });
        }
        progress.inc(1);
        Ok(())
    })?;
    Ok(logits)
}
