//! Measures the training images, and estimates the envelope of the model.

use super::TrainingError;
use crate::crossval::CrossvalError;
use crate::dataset::Dataset;
use crate::dataset::images::read;
use crate::progress;
use cellgate_models::envelope::{Envelope, Measures};
use rayon::prelude::*;

/// Reads every image of `dataset` once, on all cores. Returns the envelope, and for each part whether its image is inside.
///
/// # Errors
/// [`TrainingError::Conversion`] if an image can't be read. [`TrainingError::OneBundle`] if the data set has fewer than two bundles.
pub(super) fn envelope(dataset: &Dataset) -> Result<(Envelope, Vec<bool>), TrainingError> {
    let bar = progress::bar(dataset.parts.len() as u64, "envelope");
    let measured = dataset.parts.par_iter().map(|part| {
        let measures = Measures::of(&read(&part.path)?);
        bar.inc(1);
        Ok(measures)
    });
    let measures = measured.collect::<Result<Vec<Measures>, CrossvalError>>()?;
    bar.finish_and_clear();
    let bundles = dataset.bundles();
    let of_bundle = |parts: &[usize]| parts.iter().map(|&part| measures[part]).collect::<Vec<_>>();
    let by_bundle: Vec<Vec<Measures>> = bundles.iter().map(|bundle| of_bundle(&bundle.parts)).collect();
    let envelope = Envelope::of(&by_bundle)
        .ok_or_else(|| TrainingError::OneBundle { root: dataset.root.clone(), bundles: bundles.len() })?;
    let is_inside = measures.iter().map(|measures| envelope.outside(measures).is_none()).collect();
    Ok((envelope, is_inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Label, Part};
    use cellgate_models::digest::Digest;
    use cellgate_models::envelope::{Measure, Range};
    use cellgate_models::radiograph::{self, Radiograph};

    /// Eight bundles of five images with levels around 2,000. One image of the last bundle has half of the levels.
    #[test]
    fn an_image_unlike_the_others_is_outside() {
        let folder = tempfile::tempdir().unwrap();
        let part = |index: usize| {
            let (bundle, path) = (index / 5, folder.path().join(format!("{index}.tif")));
            let level = if index == 39 { 1000 } else { 2000 + 3 * (index % 5) as u16 + 10 * (bundle % 3) as u16 };
            let levels = (0..200).map(|pixel| level + pixel % 2).collect();
            radiograph::write(&path, &Radiograph::new(10, 20, levels).unwrap()).unwrap();
            let digest = Digest::of_file(&path).unwrap();
            let (image, bundle) = (index.to_string(), format!("b{bundle}"));
            Part { image, path, digest, bundle, label: Label::Normal, anomalies: vec![], experts: vec![] }
        };
        let dataset = Dataset::from_parts(folder.path().to_owned(), (0..40).map(part).collect());
        let (envelope, is_inside) = envelope(&dataset).unwrap();
        assert_eq!(envelope.range(Measure::Height), Range { low: 18, high: 22 });
        assert!(envelope.range(Measure::LevelP50).contains(2010), "{envelope:?}");
        assert_eq!(is_inside.iter().position(|inside| !inside), Some(39), "{envelope:?}");
        std::fs::remove_file(&dataset.parts[7].path).unwrap();
        let error = super::envelope(&dataset).unwrap_err().to_string();
        assert!(error.contains("7.tif"), "{error}");
    }
}
