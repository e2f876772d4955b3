//! Compares radiographs with the model's envelope before they are judged.

use super::NoScore;
use cellgate_models::envelope::{Envelope, Measurer, Measures, OutsideEnvelope};
use cellgate_models::radiograph::RadiographView;
use std::path::Path;

/// The model's envelope, with memory to measure radiographs.
pub(super) struct ImageCheck {
    envelope: Envelope,
    measurer: Measurer,
}

impl ImageCheck {
    pub(super) fn new(envelope: Envelope) -> Self {
        Self { envelope, measurer: Measurer::default() }
    }

    /// Measures the radiograph of the file `path`. Returns its measures, and what is outside of a soft range.
    /// An image outside of a hard range is [`NoScore::OutsideEnvelope`].
    pub(super) fn check(
        &mut self,
        path: &Path,
        radiograph: RadiographView<'_>,
    ) -> (Measures, Result<Option<OutsideEnvelope>, NoScore>) {
        let measures = self.measurer.measure(radiograph);
        let outside = match self.envelope.outside(&measures) {
            Some(outside) if outside.is_hard() => Err(NoScore::OutsideEnvelope { path: path.to_owned(), outside }),
            outside => Ok(outside),
        };
        (measures, outside)
    }
}
