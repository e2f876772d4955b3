//! Computes the figures and the predictions of a method from its finished folds.

use super::{CrossvalConfig, FinishedFold, FoldReference, ReferenceSetting};
use crate::dataset::Label;
use crate::fit::{Draw, reference_draws};
use crate::results::{
    BundleReference, BundleResults, DrawScores, MethodResults, Prediction, ReferenceResults, ScoredDraws,
};
use crate::stats::{BundleBootstrap, BundleRanks, Scored};
use cellgate_models::conversion::Method;
use cellgate_models::policy::{Calibration, OperatingPoint, Reference};
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
    results.references = config
        .reference_parts()
        .into_iter()
        .enumerate()
        .map(|(setting, parts)| with_reference(folds, setting, parts, config.seed, &bootstrap))
        .collect();
    results
}

/// The reject threshold as a score.
fn score_threshold(point: OperatingPoint) -> f64 {
    point.score_thresholds()[1]
}

fn without_reference(fold: &FinishedFold) -> Vec<Scored> {
    let calibration = fold.operating_point.calibration();
    fold.parts.iter().map(|part| scored(part.logit, 0.0, part.label, calibration)).collect()
}

fn scored(logit: f32, offset: f64, label: Label, calibration: Calibration) -> Scored {
    Scored { score: calibration.score(f64::from(logit) - offset), label }
}

/// A draw of reference parts, and the offset that they give.
struct OffsetDraw {
    draw: Draw,
    offset: f64,
    /// Whether the guard refuses the reference parts.
    is_refused: bool,
}

/// The draws of the test bundle of `fold`, which is at `index` in the list of folds, with the offsets by `reference`. The draws are
/// the same for all methods.
fn draws(fold: &FinishedFold, index: usize, reference: &Reference, parts: NonZeroU32, seed: u64) -> Vec<OffsetDraw> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(index as u64 + 1);
    let labels: Vec<Label> = fold.parts.iter().map(|part| part.label).collect();
    let draws = reference_draws(&labels, parts, DRAWS as usize, &mut random).into_iter().map(|draw| {
        let logits: Vec<f64> = draw.reference.iter().map(|&part| f64::from(fold.parts[part].logit)).collect();
        let is_refused = reference.unlike_training(&logits).is_some();
        OffsetDraw { offset: reference.offset(&logits), is_refused, draw }
    });
    draws.collect()
}

fn with_reference(
    folds: &[FinishedFold],
    setting: usize,
    parts: NonZeroU32,
    seed: u64,
    bootstrap: &BundleBootstrap,
) -> ReferenceResults {
    let (mut all, mut reference_parts) = (Vec::new(), Vec::new());
    for (index, fold) in folds.iter().enumerate() {
        let FoldReference { operating_point, reference } = fold.with_reference[setting];
        let draws = draws(fold, index, &reference, parts, seed);
        reference_parts.push(BundleReference {
            bundle: fold.bundle.clone(),
            parts: draws.first().map_or(0, |found| found.draw.reference.len() as u32),
            refused_draws: draws.iter().filter(|found| found.is_refused).count() as u32,
        });
        if draws.is_empty() {
            continue;
        }
        // The scores of all draws at `point`, less the offset of `offset_of`.
        let scores = |point: OperatingPoint, offset_of: fn(&OffsetDraw) -> f64| {
            let score = |found: &OffsetDraw| -> Vec<Scored> {
                let others = found.draw.others.iter().map(|&part| &fold.parts[part]);
                others.map(|part| scored(part.logit, offset_of(found), part.label, point.calibration())).collect()
            };
            DrawScores { threshold: score_threshold(point), draws: draws.iter().map(score).collect() }
        };
        all.push(ScoredDraws {
            bundle: fold.bundle.clone(),
            with: scores(operating_point, |found| found.offset),
            without: scores(fold.operating_point, |_| 0.0),
        });
    }
    let reference = ReferenceSetting::Good(parts).to_string();
    ReferenceResults::summarise(reference, [parts.get(), DRAWS], &all, reference_parts, bootstrap)
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
    for (setting, parts) in config.reference_parts().into_iter().enumerate() {
        let name = ReferenceSetting::Good(parts).to_string();
        for (index, fold) in folds.iter().enumerate() {
            let FoldReference { operating_point, reference } = fold.with_reference[setting];
            let calibration = operating_point.calibration();
            for (number, OffsetDraw { draw, offset, .. }) in
                (1..).zip(draws(fold, index, &reference, parts, config.seed))
            {
                draw.others.iter().for_each(|&part| push(fold, part, name.clone(), number, offset, calibration));
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crossval::{BoundsScope, FoldPart, Folds};
    use crate::fit::{Recipe, RecommendedRecipe};
    use cellgate_models::conversion::{ConversionSpec, Size};
    use cellgate_models::digest::Digest;

    fn config() -> CrossvalConfig {
        CrossvalConfig {
            trainer: "0".into(),
            dataset: Digest::of(b""),
            backbone: Digest::of(b""),
            methods: vec![Method::Naive, Method::Local],
            size: Size { height: 8, width: 8 },
            folds: Folds::Bundles,
            bounds: BoundsScope::Training,
            recipe: Recipe::Recommended(RecommendedRecipe::default()),
            references: vec![ReferenceSetting::Good(NonZeroU32::new(3).unwrap())],
            seed: 7,
            device: "cpu".into(),
            leaks: 0,
        }
    }

    /// Two bundles that are shifted by `shift` and by its negative. Normal parts have logits near the shift, abnormal parts lie 2 above.
    fn folds(shift: f32) -> Vec<FinishedFold> {
        let point = |threshold| OperatingPoint::new([threshold; 2], Calibration::IDENTITY).unwrap();
        let reference = Reference::estimate(&[[-2.1, -1.9], [-0.1, 0.1], [1.9, 2.1]], 3).unwrap();
        let fold = |(name, shift): (&str, f32)| FinishedFold {
            bundle: name.into(),
            conversion: ConversionSpec::new(Method::Naive),
            operating_point: point(0.5),
            with_reference: vec![FoldReference { operating_point: point(1.0), reference }],
            parts: (0..10)
                .map(|index| {
                    let label = if index < 7 { Label::Normal } else { Label::Abnormal };
                    let logit = shift + 0.01 * index as f32 + if label == Label::Abnormal { 2.0 } else { 0.0 };
                    FoldPart { image: format!("{name}/{index}.tif"), label, logit }
                })
                .collect(),
        };
        [("a", -shift), ("b", shift)].map(fold).into()
    }

    #[test]
    fn reference_parts_are_normal_never_scored_and_the_same_for_all_methods() {
        let rows = predictions(Method::Naive, &folds(1.5), &config());
        let (none, with): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.reference == Prediction::NO_REFERENCE);
        assert_eq!((none.len(), with.len()), (20, 20 * 14));
        for draw in 1..=20 {
            let of_draw = |bundle| with.iter().filter(move |row| row.draw == draw && row.bundle == bundle);
            for bundle in ["a", "b"] {
                let abnormal = of_draw(bundle).filter(|row| row.label == Label::Abnormal).count();
                assert_eq!((of_draw(bundle).count(), abnormal), (7, 3));
            }
        }
        let images = |method| -> Vec<String> {
            predictions(method, &folds(1.5), &config()).into_iter().map(|row| row.image).collect()
        };
        assert_eq!(images(Method::Naive), images(Method::Local));
    }

    #[test]
    fn an_offset_corrects_what_the_threshold_without_it_gets_wrong() {
        let results = of(Method::Naive, &folds(1.5), &config());
        let found = &results.references[0];
        assert_eq!((found.reference.as_str(), found.parts, found.draws), ("good:3", 3, 20));
        assert_eq!(found.overall.balanced_accuracy, Some(1.0));
        // Without an offset, the normal parts of bundle b are above the threshold 0.5.
        assert_eq!(found.none_on_same_parts.overall.balanced_accuracy, Some(0.75));
        assert_eq!(found.none_on_same_parts.bundles[0].threshold, Calibration::IDENTITY.score(0.5));
        assert!(found.reference_parts.iter().all(|bundle| bundle.parts == 3 && bundle.refused_draws == 0));
        // The offset of a bundle that is shifted beyond all training bundles is limited, and the guard refuses its reference parts.
        let far = of(Method::Naive, &folds(40.0), &config());
        assert!(far.references[0].reference_parts.iter().all(|bundle| bundle.refused_draws == 20));
    }
}
