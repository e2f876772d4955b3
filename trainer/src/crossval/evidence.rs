//! Computes the maps of the images that the report shows as possibly mislabelled.

use super::method::MethodRun;
use super::{CrossvalError, CrossvalInputs, FinishedFold, Fold};
use crate::dataset::images::limits;
use crate::network::Head;
use crate::progress;
use crate::report::Suspect;
use crate::results::SuspectMap;
use cellgate_models::conversion::Converter;
use cellgate_models::radiograph;
use std::path::Path;

/// Largest difference between a logit and the sum of its map that counts as rounding, for a logit of 1.
const LARGEST_ROUNDING: f32 = 1e-3;

/// A method with the results of all folds.
pub(super) struct JudgedMethod<'a> {
    pub(super) runner: MethodRun<'a>,
    pub(super) finished: Vec<FinishedFold>,
    /// The head of each fold. `None` if the results of the fold were read from a file.
    pub(super) heads: Vec<Option<Head>>,
    /// For each fold, its results without each kind of anomaly that is left out.
    pub(super) without_kinds: Vec<Vec<FinishedFold>>,
}

/// Writes the maps of `suspects` to `evidence.json` in `out`, and returns them. Keeps maps that the file has already. A suspect whose
/// image can't be read gets no map; the report says why.
pub(super) fn write(
    inputs: &CrossvalInputs<'_>,
    folds: &[Fold],
    methods: &mut [JudgedMethod<'_>],
    suspects: &[Suspect],
    out: &Path,
) -> Result<Vec<SuspectMap>, CrossvalError> {
    // A damaged file is written again.
    let there = SuspectMap::read_all(out).unwrap_or_default();
    let bar = progress::bar(suspects.len() as u64, "evidence");
    let mut maps = Vec::new();
    for suspect in suspects {
        let method = methods.iter_mut().find(|judged| judged.runner.method.name() == suspect.method);
        if let Some(judged) = method
            && let Some((fold, part)) = judged.place(suspect)
        {
            match there.iter().find(|map| judged.has_current(map, suspect, fold, part)) {
                Some(map) => maps.push(map.clone()),
                None => maps.extend(judged.map(inputs, (&folds[fold], fold), part, out)?),
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if maps != there {
        SuspectMap::write_all(&maps, out)?;
    }
    Ok(maps)
}

impl JudgedMethod<'_> {
    /// The index of the fold that tests the suspect, and the index of the suspect among the fold's parts.
    fn place(&self, suspect: &Suspect) -> Option<(usize, usize)> {
        let part = |fold: &FinishedFold| fold.parts.iter().position(|part| part.image == suspect.image);
        self.finished.iter().enumerate().find_map(|(index, fold)| Some((index, part(fold)?)))
    }

    /// Whether `map` is that of the suspect, with the conversion, threshold and logit of its fold.
    fn has_current(&self, map: &SuspectMap, suspect: &Suspect, fold: usize, part: usize) -> bool {
        let fold = &self.finished[fold];
        let logit = fold.parts[part].logit;
        map.image == suspect.image
            && map.method == suspect.method
            && map.conversion == fold.conversion
            && map.threshold.to_bits() == fold.operating_point.reject_from().to_bits()
            && map.map().is_some_and(|map| map.sums_to(logit, LARGEST_ROUNDING * logit.abs().max(1.0)))
    }

    /// The map of a test part of `fold`. Reads the fold's head from `out` or trains it again if it is missing. `None` if the image can't
    /// be read.
    fn map(
        &mut self,
        inputs: &CrossvalInputs<'_>,
        (fold, index): (&Fold, usize),
        part: usize,
        out: &Path,
    ) -> Result<Option<SuspectMap>, CrossvalError> {
        let FinishedFold { conversion, operating_point, .. } = &self.finished[index];
        let part = &inputs.dataset.parts[fold.test[part]];
        let Ok(radiograph) = radiograph::read(&part.path, &limits()) else { return Ok(None) };
        let head = match &mut self.heads[index] {
            Some(head) => head,
            missing => missing.insert(self.runner.head(fold, conversion, out)?),
        };
        let size = inputs.config.size;
        let mut tensor = vec![0.0; 3 * size.pixels()];
        Converter::new(conversion)?.to_tensor(&radiograph, &mut tensor)?;
        let (_, map) = inputs.backbone.with_head(head)?.logit_and_map(&tensor, size)?;
        Ok(Some(SuspectMap {
            image: part.image.clone(),
            method: self.runner.method.name().to_owned(),
            conversion: conversion.clone(),
            threshold: operating_point.reject_from(),
            shares: map.shares().to_vec(),
        }))
    }
}
