//! Compares radiographs with the model's envelope before the network sees them.

use super::NoScore;
use cellgate_models::envelope::{Envelope, Measures, OutsideEnvelope};
use std::path::Path;

/// Compares the measures of the radiograph in the file `path` with `envelope`. Returns what is outside of a soft range.
///
/// # Errors
/// [`NoScore::OutsideEnvelope`]: the image is outside of a hard range.
pub(super) fn check(envelope: &Envelope, measures: &Measures, path: &Path) -> Result<Option<OutsideEnvelope>, NoScore> {
    match envelope.outside(measures) {
        Some(outside) if outside.is_hard() => Err(NoScore::OutsideEnvelope { path: path.to_owned(), outside }),
        outside => Ok(outside),
    }
}
