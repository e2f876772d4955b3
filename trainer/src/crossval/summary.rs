//! Computes the figures and the predictions of a method from its finished folds.

use super::{CrossvalConfig, FinishedFold, FoldReference, ReferenceSetting};
use crate::dataset::Label;
use crate::fit::{Draw, reference_draws};
use crate::results::{
    BundleReference, BundleResults, DrawScores, MethodResults, Prediction, ReferenceResults, ScoredDraws,
};
use crate::stats::{BundleBootstrap, BundleRanks, Scored};
use cellgate_models::conversion::Method;
use cellgate_models::policy::{Calibration, OperatingPoint};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::num::NonZeroU32;

/// How often the reference parts of a test bundle are drawn.
const DRAWS: u32 = 20;

/// The figures of `method`.
pub(super) fn of(method: Method, folds: &[FinishedFold], config: &CrossvalConfig) -> MethodResults {
    let bootstrap = BundleBootstrap { seed: config.seed, ..BundleBootstrap::default() };
    let scored: Vec<Vec<Scored>> = folds.iter().map(without_reference).collect();
    let bundles = folds
        .iter()
        .zip(&scored)
        .map(|(fold, scored)| BundleResults::at_threshold(&fold.bundle, scored, score_threshold(fold.operating_point)));
    let ranks = BundleRanks::of(&scored);
    let mut results = MethodResults::summarise(&method.to_string(), bundles.collect(), &ranks, &bootstrap);
    results.references = (0..)
        .zip(good(config))
        .map(|(index, (setting, parts))| with_reference(folds, index, setting, parts, config.seed, &bootstrap))
        .collect();
    results
}

/// The configured numbers of reference parts, in the order of [`FinishedFold::with_reference`].
fn good(config: &CrossvalConfig) -> impl Iterator<Item = (ReferenceSetting, NonZeroU32)> + '_ {
    config.references.iter().filter_map(|&setting| Some((setting, setting.parts()?)))
}

/// The reject threshold as a score.
fn score_threshold(point: OperatingPoint) -> f64 {
    point.calibration().score(point.reject_from())
}

fn without_reference(fold: &FinishedFold) -> Vec<Scored> {
    let calibration = fold.operating_point.calibration();
    fold.parts.iter().map(|part| scored(part.logit, 0.0, part.label, calibration)).collect()
}

fn scored(logit: f32, offset: f64, label: Label, calibration: Calibration) -> Scored {
    Scored { score: calibration.score(f64::from(logit) - offset), label }
}

/// The draws of reference parts of the test bundle of `fold`, which is at `index` in the list of folds. The draws are the same for
/// all methods.
fn draws(fold: &FinishedFold, index: usize, parts: NonZeroU32, seed: u64) -> Vec<Draw> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(index as u64 + 1);
    let labels: Vec<Label> = fold.parts.iter().map(|part| part.label).collect();
    reference_draws(&labels, parts, DRAWS as usize, &mut random)
}

/// The logits of a draw's reference parts.
fn reference_logits(fold: &FinishedFold, draw: &Draw) -> Vec<f64> {
    draw.reference.iter().map(|&part| f64::from(fold.parts[part].logit)).collect()
}

fn with_reference(
    folds: &[FinishedFold],
    setting_index: usize,
    setting: ReferenceSetting,
    parts: NonZeroU32,
    seed: u64,
    bootstrap: &BundleBootstrap,
) -> ReferenceResults {
    let (mut all, mut reference_parts) = (Vec::new(), Vec::new());
    for (index, fold) in folds.iter().enumerate() {
        let FoldReference { operating_point, reference } = fold.with_reference[setting_index];
        let draws = draws(fold, index, parts, seed);
        let refused = draws.iter().filter(|draw| reference.unlike_training(&reference_logits(fold, draw)).is_some());
        reference_parts.push(BundleReference {
            bundle: fold.bundle.clone(),
            parts: draws.first().map_or(0, |draw| draw.reference.len() as u32),
            refused_draws: refused.count() as u32,
        });
        if draws.is_empty() {
            continue;
        }
        let score = |draw: &Draw, offset: f64, calibration: Calibration| -> Vec<Scored> {
            let others = draw.others.iter().map(|&part| &fold.parts[part]);
            others.map(|part| scored(part.logit, offset, part.label, calibration)).collect()
        };
        let offset = |draw: &Draw| reference.offset(&reference_logits(fold, draw));
        all.push(ScoredDraws {
            bundle: fold.bundle.clone(),
            with: DrawScores {
                threshold: score_threshold(operating_point),
                draws: draws.iter().map(|draw| score(draw, offset(draw), operating_point.calibration())).collect(),
            },
            without: DrawScores {
                threshold: score_threshold(fold.operating_point),
                draws: draws.iter().map(|draw| score(draw, 0.0, fold.operating_point.calibration())).collect(),
            },
        });
    }
    ReferenceResults::summarise(setting.to_string(), DRAWS, &all, reference_parts, bootstrap)
}

/// The rows of `predictions.csv` for `method`: first those without reference parts, then those of all draws for each number of
/// reference parts.
pub(super) fn predictions(method: Method, folds: &[FinishedFold], config: &CrossvalConfig) -> Vec<Prediction> {
    let mut rows = Vec::new();
    let mut push = |fold: &FinishedFold, part: usize, reference: String, draw: u32, offset: f64, calibration| {
        let found = &fold.parts[part];
        rows.push(Prediction {
            image: found.image.clone(),
            bundle: fold.bundle.clone(),
            label: found.label,
            method: method.to_string(),
            score: scored(found.logit, offset, found.label, calibration).score,
            reference,
            draw,
            raw_logit: found.logit.into(),
            offset,
        });
    };
    for fold in folds {
        let calibration = fold.operating_point.calibration();
        (0..fold.parts.len()).for_each(|part| push(fold, part, Prediction::NO_REFERENCE.into(), 0, 0.0, calibration));
    }
    for (setting_index, (setting, parts)) in good(config).enumerate() {
        for (index, fold) in folds.iter().enumerate() {
            let FoldReference { operating_point, reference } = fold.with_reference[setting_index];
            for (number, draw) in (1..).zip(draws(fold, index, parts, config.seed)) {
                let offset = reference.offset(&reference_logits(fold, &draw));
                let calibration = operating_point.calibration();
                draw.others.iter().for_each(|&part| push(fold, part, setting.to_string(), number, offset, calibration));
            }
        }
    }
    rows
}
