//! Computes the logits that a head gives to parts.

use super::{FeatureError, FeatureTable, compute};
use crate::dataset::Part;
use crate::network::{Backbone, Head};
use crate::progress;
use cellgate_models::conversion::ConversionSpec;

/// The raw logits that `head` gives to `parts`, which are indices into `all`. `table` has the features of all of `all`, for images
/// converted by `spec`.
///
/// If the head has weights of stage 4, the logits do not follow from the table. The images then go through the whole network, because an
/// exported network must give these logits, and cached maps are rounded to f16.
///
/// # Errors
/// [`FeatureError`] for the first part that fails.
pub fn logits(
    (all, parts): (&[Part], &[usize]),
    table: &FeatureTable,
    (spec, backbone): (&ConversionSpec, &Backbone),
    head: &Head,
) -> Result<Vec<f32>, FeatureError> {
    if head.stage_4.is_none() {
        return Ok(parts.iter().map(|&part| table.logit(part, head)).collect());
    }
    let parts: Vec<&Part> = parts.iter().map(|&part| &all[part]).collect();
    let bar = progress::bar(parts.len() as u64, "logits");
    let mut logits = vec![0.0; parts.len()];
    let mut prepared = None;
    // The map of a logit is computed for one image, so a batch would only take memory.
    compute::each(
        &parts,
        spec,
        backbone,
        |_| 1,
        |batch| {
            let (index, image) = (batch.parts[0], &batch.images[0]);
            let path = || parts[index].path.clone();
            let torch = |source| FeatureError::Torch { path: path(), source };
            let with_head = match &mut prepared {
                Some(with_head) => with_head,
                missing => missing.insert(backbone.with_head(head).map_err(torch)?),
            };
            logits[index] = with_head.logit_and_map_of(image, batch.size).map_err(torch)?.0;
            if !logits[index].is_finite() {
                return Err(FeatureError::NotFinite { path: path() });
            }
            bar.inc(1);
            Ok(())
        },
    )?;
    bar.finish_and_clear();
    Ok(logits)
}
