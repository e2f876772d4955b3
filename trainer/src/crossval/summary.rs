//! Computes the figures and the predictions of a method from its finished folds.

use super::unlike;
use super::{CrossvalConfig, FinishedFold, FoldReference, ReferenceSetting};
use crate::dataset::Label;
use crate::fit::{Draw, reference_draws};
use crate::results::{
    BundleReference, BundleResults, DrawScores, MethodResults, Prediction, ReferenceResults, ScoredDraws,
};
use crate::stats::{BundleBootstrap, BundleRanks, Scored};
use cellgate_models::conversion::Method;
use cellgate_models::engine::WhitenedFeatures;
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
    results.unlike_training = unlike::without_reference(folds);
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

/// A draw of reference parts, and what they give.
struct ReferenceDraw {
    draw: Draw,
    offset: f64,
    /// The median of their whitened features.
    centre: WhitenedFeatures,
    /// Whether the guard refuses the reference parts.
    is_refused: bool,
}

/// The draws of the test bundle of `fold`, which is at `index` in the list of folds, with what they give by `reference`. The draws are
/// the same for all methods.
fn draws(fold: &FinishedFold, index: usize, reference: &Reference, parts: NonZeroU32, seed: u64) -> Vec<ReferenceDraw> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(index as u64 + 1);
    let labels: Vec<Label> = fold.parts.iter().map(|part| part.label).collect();
    let draws = reference_draws(&labels, parts, DRAWS as usize, &mut random).into_iter().filter_map(|draw| {
        let logits: Vec<f64> = draw.reference.iter().map(|&part| f64::from(fold.parts[part].logit)).collect();
        let features: Vec<WhitenedFeatures> = draw.reference.iter().map(|&part| fold.parts[part].features).collect();
        let centre = WhitenedFeatures::median(&features)?;
        let is_refused = reference.refusal(&logits, &centre, fold.operating_point.largest_distance()).is_some();
        Some(ReferenceDraw { offset: reference.offset(&logits), centre, is_refused, draw })
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
    let (mut all, mut reference_parts, mut passed) = (Vec::new(), Vec::new(), Vec::new());
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
        for ReferenceDraw { draw, offset, centre, .. } in &draws {
            let others = draw.others.iter().map(|&part| &fold.parts[part]);
            passed.extend(others.filter_map(|part| unlike::passed(part, operating_point, *offset, centre)));
        }
        // The scores of all draws at `point`, less the offset of `offset_of`.
        let scores = |point: OperatingPoint, offset_of: fn(&ReferenceDraw) -> f64| {
            let score = |found: &ReferenceDraw| -> Vec<Scored> {
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
    let points = folds.iter().map(|fold| fold.with_reference[setting].operating_point);
    ReferenceResults {
        unlike_training: unlike::figures(points, &passed, DRAWS),
        ..ReferenceResults::summarise(reference, [parts.get(), DRAWS], &all, reference_parts, bootstrap)
    }
}

/// The rows of `predictions.csv` for `method`: first those without reference parts, then those of all draws for each number of
/// reference parts.
pub(super) fn predictions(method: Method, folds: &[FinishedFold], config: &CrossvalConfig) -> Vec<Prediction> {
    let mut rows = Vec::new();
    let mut push = |fold: &FinishedFold, part: usize, reference: &str, draw: u32, given: Given| {
        let found = &fold.parts[part];
        rows.push(Prediction {
            image: found.image.clone(),
            bundle: fold.bundle.clone(),
            label: found.label,
            method: method.to_string(),
            score: scored(found.logit, given.offset, found.label, given.calibration).score,
            reference: reference.to_owned(),
            draw,
            raw_logit: found.logit.into(),
            offset: given.offset,
            distance: found.features.distance(&given.centre),
        });
    };
    for fold in folds {
        let calibration = fold.operating_point.calibration();
        let given = Given { calibration, offset: 0.0, centre: WhitenedFeatures::ORIGIN };
        (0..fold.parts.len()).for_each(|part| push(fold, part, Prediction::NO_REFERENCE, 0, given));
    }
    for (setting, parts) in config.reference_parts().into_iter().enumerate() {
        let name = ReferenceSetting::Good(parts).to_string();
        for (index, fold) in folds.iter().enumerate() {
            let FoldReference { operating_point, reference } = fold.with_reference[setting];
            let calibration = operating_point.calibration();
            for (number, ReferenceDraw { draw, offset, centre, .. }) in
                (1..).zip(draws(fold, index, &reference, parts, config.seed))
            {
                let given = Given { calibration, offset, centre };
                draw.others.iter().for_each(|&part| push(fold, part, &name, number, given));
            }
        }
    }
    rows
}

/// What a score and a distance are computed with.
#[derive(Clone, Copy)]
struct Given {
    calibration: Calibration,
    /// The offset of the bundle.
    offset: f64,
    /// What distances are measured from.
    centre: WhitenedFeatures,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crossval::{BoundsScope, FoldPart, Folds};
    use crate::fit::{Recipe, RecommendedRecipe};
    use crate::results::UnlikeTraining;
    use crate::stats::Rate;
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
    /// The distances from the origin are near eight times the shift.
    fn folds(shift: f32) -> Vec<FinishedFold> {
        let point = |threshold| {
            let point = OperatingPoint::new([threshold; 2], Calibration::IDENTITY).unwrap();
            point.with_largest_distance(5.0).unwrap()
        };
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
                    let mut components = [0.0; WhitenedFeatures::COUNT];
                    components[0] = 8.0 * shift + 0.01 * index as f32;
                    let features = WhitenedFeatures::new(components);
                    FoldPart { image: format!("{name}/{index}.tif"), label, logit, features }
                })
                .collect(),
        };
        [("a", -shift), ("b", shift)].map(fold).into()
    }

    /// Sets the largest distance without reference parts.
    fn with_largest_distance(mut folds: Vec<FinishedFold>, largest: f64) -> Vec<FinishedFold> {
        for fold in &mut folds {
            fold.operating_point = fold.operating_point.with_largest_distance(largest).unwrap();
        }
        folds
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
    fn distances_are_measured_from_the_reference_parts() {
        let rows = predictions(Method::Naive, &folds(1.5), &config());
        assert!(rows.iter().all(|row| (row.distance > 11.0) == (row.reference == Prediction::NO_REFERENCE)));
        let results = of(Method::Naive, &folds(1.5), &config());
        // The score passes the normal parts of bundle a only. All of them are too far from the origin.
        let expected = UnlikeTraining { false_reviews: Rate::new(7, 7), caught: None };
        assert_eq!(results.unlike_training, Some(expected));
        let with = results.references[0].unlike_training.unwrap();
        assert_eq!(with, UnlikeTraining { false_reviews: Rate::over_draws(0, 160, 20), caught: None });
    }

    #[test]
    fn an_offset_corrects_what_the_threshold_without_it_gets_wrong() {
        // The reference parts lie within this distance.
        let results = of(Method::Naive, &with_largest_distance(folds(1.5), 13.0), &config());
        let found = &results.references[0];
        assert_eq!((found.reference.as_str(), found.parts, found.draws), ("good:3", 3, 20));
        assert_eq!(found.overall.balanced_accuracy, Some(1.0));
        // Without an offset, the normal parts of bundle b are above the threshold 0.5.
        assert_eq!(found.none_on_same_parts.overall.balanced_accuracy, Some(0.75));
        assert_eq!(found.none_on_same_parts.bundles[0].threshold, Calibration::IDENTITY.score(0.5));
        assert!(found.reference_parts.iter().all(|bundle| bundle.parts == 3 && bundle.refused_draws == 0));
        // The offset of a bundle that is shifted beyond all training bundles is limited, and the guard refuses its reference parts.
        let far = of(Method::Naive, &with_largest_distance(folds(40.0), 1e3), &config());
        assert!(far.references[0].reference_parts.iter().all(|bundle| bundle.refused_draws == 20));
    }

    /// The largest distance without reference parts counts.
    #[test]
    fn the_guard_also_refuses_draws_whose_median_is_far_from_the_training() {
        for (largest, expected) in [(11.9, 20), (13.0, 0)] {
            let results = of(Method::Naive, &with_largest_distance(folds(1.5), largest), &config());
            let found = &results.references[0].reference_parts;
            assert!(found.iter().all(|bundle| bundle.refused_draws == expected), "{largest}: {found:?}");
        }
    }
}
