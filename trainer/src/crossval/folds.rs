//! Makes the folds that leave out one bundle each, and reads the files of finished folds.

use super::CrossvalError;
use crate::dataset::{Dataset, Label};
use cellgate_models::conversion::{ConversionSpec, Method};
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::policy::{OperatingPoint, Reference};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// One fold: a bundle to test on, and all other bundles to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Number of the fold, from 1, in the order of [`Dataset::bundles`].
    pub number: usize,
    /// Name of the test bundle.
    pub bundle: String,
    /// The parts of the test bundle, as indices into the data set.
    pub test: Vec<usize>,
    /// All other parts, as indices into the data set.
    pub training: Vec<usize>,
}

/// The folds of `dataset`, one per bundle.
#[must_use]
pub fn leave_one_bundle_out(dataset: &Dataset) -> Vec<Fold> {
    dataset
        .bundles()
        .into_iter()
        .enumerate()
        .map(|(index, bundle)| {
            let (test, training) =
                (0..dataset.parts.len()).partition(|&part| dataset.parts[part].bundle == bundle.name);
            Fold { number: index + 1, bundle: bundle.name, test, training }
        })
        .collect()
}

/// The results of a finished fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishedFold {
    /// Name of the test bundle.
    pub bundle: String,
    /// The conversion, with the bounds or the distribution of this fold.
    pub conversion: ConversionSpec,
    /// Parts from the reject threshold on are called abnormal. Calibration, threshold and largest distance were chosen without the test
    /// bundle.
    pub operating_point: OperatingPoint,
    /// The thresholds and the numbers for the offset of the test bundle, one entry for each number of reference parts in the
    /// configuration.
    pub with_reference: Vec<FoldReference>,
    /// One entry for each part of the test bundle.
    pub parts: Vec<FoldPart>,
}

/// The thresholds of a fold for a bundle with reference parts, and the numbers for its offset. They were computed without the test
/// bundle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldReference {
    /// The operating point for logits less the bundle's offset.
    pub operating_point: OperatingPoint,
    /// The numbers that the offset is computed from.
    pub reference: Reference,
}

/// The raw logit of a part by a head that was trained without the part's bundle, and its features by a whitening that was fitted without
/// the bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldPart {
    /// The image's path relative to the data set.
    pub image: String,
    /// The part's label.
    pub label: Label,
    /// The raw logit.
    pub logit: f32,
    /// The whitened features, a list of numbers in the file.
    #[serde(serialize_with = "write_features", deserialize_with = "read_features")]
    pub features: WhitenedFeatures,
}

fn write_features<S: Serializer>(features: &WhitenedFeatures, to: S) -> Result<S::Ok, S::Error> {
    features.components().as_slice().serialize(to)
}

fn read_features<'de, D: Deserializer<'de>>(from: D) -> Result<WhitenedFeatures, D::Error> {
    let components = <[f32; WhitenedFeatures::COUNT]>::try_from(Vec::<f32>::deserialize(from)?);
    components
        .map(WhitenedFeatures::new)
        .map_err(|found| serde::de::Error::invalid_length(found.len(), &"64 whitened features"))
}

impl FinishedFold {
    /// The path of the fold's file in the folder of the results.
    #[must_use]
    pub fn path(folder: &Path, method: Method, fold: &Fold) -> PathBuf {
        folder.join("folds").join(method.to_string()).join(format!("{:03}.json", fold.number))
    }

    /// Reads the results of `fold` from `path`. `None` if the file does not exist.
    ///
    /// # Errors
    /// The file can't be read, is damaged, or does not belong to `fold` of `dataset` with `conversion` and `reference_parts`.
    pub fn load(
        path: &Path,
        dataset: &Dataset,
        fold: &Fold,
        conversion: &ConversionSpec,
        reference_parts: &[NonZeroU32],
    ) -> Result<Option<Self>, CrossvalError> {
        let Some(found) = read::<Self>(path)? else { return Ok(None) };
        found.check(dataset, fold, conversion, reference_parts).map_err(|fault| damaged(path, fault))?;
        Ok(Some(found))
    }

    /// Checks that `self` holds the results of `fold`. The error describes the first fault.
    pub(super) fn check(
        &self,
        dataset: &Dataset,
        fold: &Fold,
        conversion: &ConversionSpec,
        reference_parts: &[NonZeroU32],
    ) -> Result<(), String> {
        let ensure = |holds: bool, found: String| if holds { Ok(()) } else { Err(found) };
        ensure(self.bundle == fold.bundle, format!("found bundle {}, expected {}", self.bundle, fold.bundle))?;
        ensure(self.conversion == *conversion, "found a conversion that is not this fold's".into())?;
        let found: Vec<u32> = self.with_reference.iter().map(|fold| fold.reference.parts()).collect();
        let expected: Vec<u32> = reference_parts.iter().map(|parts| parts.get()).collect();
        ensure(found == expected, format!("found thresholds for {found:?} reference parts, expected {expected:?}"))?;
        let (found, expected) = (self.parts.len(), fold.test.len());
        ensure(found == expected, format!("found {found} parts, expected {expected}"))?;
        for (found, part) in self.parts.iter().zip(fold.test.iter().map(|&part| &dataset.parts[part])) {
            let is_the_part = found.image == part.image && found.label == part.label;
            ensure(
                is_the_part,
                format!("found {} ({}), expected {} ({})", found.image, found.label, part.image, part.label),
            )?;
            let logit = found.logit;
            ensure(logit.is_finite(), format!("{}: found the logit {logit}, expected a finite number", part.image))?;
        }
        Ok(())
    }
}

/// Reads the file of a finished fold. `None` if the file does not exist.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CrossvalError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CrossvalError::Io { path: path.to_owned(), source }),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| damaged(path, error.to_string()))
}

/// The error for a file of a finished fold that holds `found`.
pub(super) fn damaged(path: &Path, found: String) -> CrossvalError {
    CrossvalError::Malformed {
        path: path.to_owned(),
        expected: "expected a finished fold of this cross-validation; remove the file to compute the fold again",
        found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Part;
    use cellgate_models::conversion::Size;
    use cellgate_models::digest::Digest;
    use cellgate_models::policy::Calibration;

    fn dataset(parts: &[(&str, Label)]) -> Dataset {
        let part = |(index, &(bundle, label)): (usize, &(&str, Label))| Part {
            image: format!("{index}.tif"),
            path: PathBuf::from(format!("{index}.tif")),
            digest: Digest::of(&[index as u8]),
            bundle: bundle.into(),
            label,
            anomalies: Vec::new(),
            experts: Vec::new(),
        };
        Dataset::from_parts(PathBuf::new(), parts.iter().enumerate().map(part).collect())
    }

    #[test]
    fn every_part_is_tested_once_by_a_fold_that_leaves_out_its_bundle() {
        let (normal, abnormal) = (Label::Normal, Label::Abnormal);
        let dataset = dataset(&[("b", normal), ("a", abnormal), ("b", abnormal), ("c", normal)]);
        let folds = leave_one_bundle_out(&dataset);
        let mut tested: Vec<usize> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
        tested.sort_unstable();
        assert_eq!(tested, [0, 1, 2, 3]);
        for fold in &folds {
            assert!(fold.test.iter().all(|&part| dataset.parts[part].bundle == fold.bundle));
            assert!(fold.training.iter().all(|&part| dataset.parts[part].bundle != fold.bundle));
            assert_eq!(fold.test.len() + fold.training.len(), 4);
        }
    }

    #[test]
    fn a_damaged_fold_is_refused() {
        let dataset = dataset(&[("a", Label::Normal), ("a", Label::Abnormal), ("b", Label::Normal)]);
        let fold = &leave_one_bundle_out(&dataset)[0];
        let conversion = ConversionSpec::new(Method::Local).with_size(Size { height: 8, width: 8 });
        let part = |part: usize| FoldPart {
            image: dataset.parts[part].image.clone(),
            label: dataset.parts[part].label,
            logit: -0.25,
            features: WhitenedFeatures::new([0.5; WhitenedFeatures::COUNT]),
        };
        let finished = FinishedFold {
            bundle: "a".into(),
            conversion: conversion.clone(),
            operating_point: OperatingPoint::new([0.5, 0.5], Calibration::IDENTITY).unwrap(),
            with_reference: Vec::new(),
            parts: vec![part(0), part(1)],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = FinishedFold::path(folder.path(), Method::Local, fold);
        assert_eq!(FinishedFold::load(&path, &dataset, fold, &conversion, &[]).unwrap(), None);
        let load = |change: &dyn Fn(&mut FinishedFold)| {
            let mut changed = finished.clone();
            change(&mut changed);
            crate::files::write_json(&path, &changed).unwrap();
            FinishedFold::load(&path, &dataset, fold, &conversion, &[])
        };
        assert_eq!(load(&|_| ()).unwrap(), Some(finished.clone()));
        let changes: [fn(&mut FinishedFold); 6] = [
            |fold| fold.parts.truncate(1),
            |fold| fold.parts[1].label = Label::Normal,
            |fold| fold.parts.swap(0, 1),
            |fold| {
                let reference = Reference::estimate(&[[0.0, 1.0], [2.0, 3.0]], 5).unwrap();
                fold.with_reference.push(FoldReference { operating_point: fold.operating_point, reference });
            },
            |fold| fold.bundle = "b".into(),
            |fold| fold.conversion.method = Method::Naive,
        ];
        let errors = changes.iter().map(|change| {
            let error = load(change).unwrap_err();
            assert!(matches!(&error, CrossvalError::Malformed { path: found, .. } if *found == path), "{error}");
            format!("{error}\n").replace(&folder.path().display().to_string(), "FOLDER")
        });
        insta::assert_snapshot!("damaged_folds", errors.collect::<String>());
    }
}
