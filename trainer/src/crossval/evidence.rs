//! Computes the maps of the images that the report shows as possibly mislabelled.

use super::run::MethodRun;
use super::{CrossvalError, CrossvalInputs, FinishedFold, Fold};
use crate::dataset::images::limits;
use crate::network::Head;
use crate::progress;
use crate::report::Suspect;
use crate::results::SuspectMap;
use cellgate_models::conversion::Converter;
use cellgate_models::radiograph;
use std::path::Path;

/// A method with the results of all folds.
pub(super) struct JudgedMethod<'a> {
    pub(super) runner: MethodRun<'a>,
    pub(super) finished: Vec<FinishedFold>,
    /// The head of each fold. `None` if the results of the fold were read from a file.
    pub(super) heads: Vec<Option<Head>>,
}

/// Writes the maps of `suspects` to `evidence.json` in `out`, and returns them. Keeps a file that has these maps already.
pub(super) fn write(
    inputs: &CrossvalInputs<'_>,
    folds: &[Fold],
    methods: &mut [JudgedMethod<'_>],
    suspects: &[Suspect],
    out: &Path,
) -> Result<Vec<SuspectMap>, CrossvalError> {
    // A damaged file is written again.
    let there = SuspectMap::read_all(out).unwrap_or_default();
    let is_there = |(map, suspect): (&SuspectMap, &Suspect)| map.image == suspect.image && map.method == suspect.method;
    if there.len() == suspects.len() && there.iter().zip(suspects).all(is_there) {
        return Ok(there);
    }
    let bar = progress::bar(suspects.len() as u64, "evidence");
    let mut maps = Vec::new();
    for suspect in suspects {
        let is_suspect = |&part: &usize| inputs.dataset.parts[part].image == suspect.image;
        let test = folds
            .iter()
            .enumerate()
            .find_map(|(at, fold)| Some((at, *fold.test.iter().find(|part| is_suspect(part))?)));
        let method = methods.iter_mut().find(|judged| judged.runner.method.name() == suspect.method);
        if let (Some((at, part)), Some(judged)) = (test, method) {
            maps.push(judged.map(inputs, &folds[at], at, part)?);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    SuspectMap::write_all(&maps, out)?;
    Ok(maps)
}

impl JudgedMethod<'_> {
    /// The map of a test part of `fold`, which is at index `at` in the list of folds. Trains the fold's head again if it is missing.
    fn map(
        &mut self,
        inputs: &CrossvalInputs<'_>,
        fold: &Fold,
        at: usize,
        part: usize,
    ) -> Result<SuspectMap, CrossvalError> {
        let FinishedFold { conversion, operating_point, .. } = &self.finished[at];
        let head = match &mut self.heads[at] {
            Some(head) => head,
            missing => missing.insert(self.runner.head(fold, conversion)?),
        };
        let part = &inputs.dataset.parts[part];
        let radiograph = radiograph::read(&part.path, &limits())?;
        let size = inputs.config.size;
        let mut tensor = vec![0.0; 3 * size.pixels()];
        Converter::new(conversion)?.to_tensor(&radiograph, &mut tensor)?;
        let output = inputs.backbone.output(&tensor, size, head)?;
        Ok(SuspectMap {
            image: part.image.clone(),
            method: self.runner.method.name().to_owned(),
            conversion: conversion.clone(),
            threshold: operating_point.reject_from(),
            shares: output.map.shares().to_vec(),
        })
    }
}
