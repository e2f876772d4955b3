//! Reads the named images and compares them with the model's envelope.

use super::{GpuCheckOptions, Row};
use crate::finding::FindingState;
use cellgate_models::envelope::Measurer;
use cellgate_models::model::Model;
use cellgate_models::radiograph::{self, Radiograph, RadiographLimits};
use std::time::{Duration, Instant};

/// Reads the named images. If one of them can't be read, returns no image.
pub(super) fn read(options: &GpuCheckOptions) -> (Row, Vec<Radiograph>) {
    let what = "images";
    let read = options.images.iter().map(|path| radiograph::read(path, &RadiographLimits::default()));
    match read.collect::<Result<Vec<_>, _>>() {
        Ok(images) if images.is_empty() => (Row::skipped(what, "none were named"), images),
        Ok(images) => (Row::ok(what, format!("radiographs: {}", images.len())), images),
        Err(error) => (Row::failure(what, error.to_string()), Vec::new()),
    }
}

/// Measures the named images on the CPU and compares them with the model's envelope. `images` are those of `options`, decoded.
///
/// An image outside of a hard range is a failure, because the network never sees it, so there is no latency to measure.
pub(super) fn envelope(model: &Model, options: &GpuCheckOptions, images: &[Radiograph]) -> Row {
    let what = "envelope";
    if images.is_empty() {
        return Row::skipped(what, "no images were read");
    }
    let (mut measurer, mut longest) = (Measurer::default(), Duration::ZERO);
    let (mut outside, mut refused) = (Vec::new(), false);
    for (path, image) in options.images.iter().zip(images) {
        let start = Instant::now();
        let measures = measurer.measure(image.view());
        longest = longest.max(start.elapsed());
        if let Some(found) = model.envelope().outside(&measures) {
            refused |= found.is_hard();
            outside.push(format!("{}: {found}", path.display()));
        }
    }
    let ms = longest.as_secs_f64() * 1e3;
    let found = format!("radiographs: {}, outside: {}; measured in at most {ms:.2} ms", images.len(), outside.len());
    let found = outside.iter().fold(found, |found, text| format!("{found}; {text}"));
    let state = if refused { FindingState::Failure } else { FindingState::Ok };
    Row::new(what, state, found).with_figures([
        ("images", images.len() as f64),
        ("outside", outside.len() as f64),
        ("longest_ms", ms),
    ])
}
