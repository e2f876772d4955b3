//! Tests which kinds of anomaly are left out of which folds, their files and their figures.

use super::*;
use crate::crossval::{FoldPart, leave_one_bundle_out};
use crate::dataset::Part;
use crate::fit::RecommendedRecipe;
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::policy::{Calibration, OperatingPoint};

/// Four bundles with a normal part, a part with lines and a part with both kinds. Bundle a also has a normal part with bubbles, and a
/// part with a kind of its own.
fn dataset() -> Dataset {
    let mut parts = Vec::new();
    let mut push = |bundle: &str, label, anomalies: &[&str]| {
        parts.push(Part {
            image: format!("{bundle}/{}.tif", parts.len()),
            path: PathBuf::new(),
            digest: Digest::of(&[parts.len() as u8]),
            bundle: bundle.into(),
            label,
            anomalies: anomalies.iter().map(|&kind| kind.to_owned()).collect(),
            experts: Vec::new(),
        });
    };
    for bundle in ["a", "b", "c", "d"] {
        push(bundle, Label::Normal, &[]);
        push(bundle, Label::Abnormal, &["lines"]);
        push(bundle, Label::Abnormal, &["lines", "bubbles"]);
    }
    push("a", Label::Normal, &["bubbles"]);
    push("a", Label::Abnormal, &["smudges"]);
    Dataset::from_parts(PathBuf::from("data"), parts)
}

fn kind_folds(dataset: &Dataset) -> (Vec<Fold>, KindFolds) {
    let folds = leave_one_bundle_out(dataset);
    let of = KindFolds::new(dataset, &folds, &Recipe::Recommended(RecommendedRecipe::default())).unwrap();
    (folds, of)
}

/// Results of `fold` in which the parts at the positions `caught` have a high logit, and those at `far` a great distance.
fn judged(dataset: &Dataset, fold: &Fold, caught: &[usize], far: &[usize]) -> FinishedFold {
    let point = OperatingPoint::new([0.5; 2], Calibration::IDENTITY).unwrap().with_largest_distance(10.0).unwrap();
    let part = |(index, &part): (usize, &usize)| FoldPart {
        image: dataset.parts[part].image.clone(),
        label: dataset.parts[part].label,
        logit: if caught.contains(&index) { 1.0 } else { 0.0 },
        features: WhitenedFeatures::new([if far.contains(&index) { 2.0 } else { 0.0 }; WhitenedFeatures::COUNT]),
    };
    FinishedFold {
        bundle: fold.bundle.clone(),
        conversion: ConversionSpec::new(Method::Local),
        operating_point: point,
        with_reference: Vec::new(),
        parts: fold.test.iter().enumerate().map(part).collect(),
    }
}

#[test]
fn a_kind_is_left_out_where_it_is_tested_and_enough_remains() {
    let dataset = dataset();
    let (folds, found) = kind_folds(&dataset);
    assert_eq!(found.kinds, ["bubbles", "lines", "smudges"]);
    // Without lines, the bundles b to d have no abnormal part, and no training part has smudges, which only bundle a has.
    let left_out: Vec<Vec<usize>> = found.folds.iter().map(|of| of.iter().map(|fold| fold.kind).collect()).collect();
    assert_eq!(left_out, vec![vec![0]; 4]);
    assert_eq!((found.count(), KindFolds::none(&folds).count()), (4, 0));
    for (of, fold) in found.folds.iter().zip(&folds) {
        let KindFold { fold: without, .. } = &of[0];
        assert_eq!((&without.test, without.number, &without.bundle), (&fold.test, fold.number, &fold.bundle));
        let expected: Vec<usize> = fold
            .training
            .iter()
            .copied()
            .filter(|&part| !dataset.parts[part].anomalies.contains(&"bubbles".into()))
            .collect();
        assert_eq!(without.training, expected);
    }
}

#[test]
fn a_data_set_without_kinds_is_refused() {
    let mut parts = dataset().parts;
    parts.iter_mut().for_each(|part| part.anomalies.clear());
    let dataset = Dataset::from_parts("data".into(), parts);
    let recipe = Recipe::Recommended(RecommendedRecipe::default());
    let found = KindFolds::new(&dataset, &leave_one_bundle_out(&dataset), &recipe).map(|found| found.count());
    assert!(matches!(found, Err(CrossvalError::NoKinds { .. })), "{found:?}");
}

#[test]
fn figures_count_the_abnormal_parts_with_the_kind() {
    let dataset = dataset();
    let (folds, of) = kind_folds(&dataset);
    // Each bundle's third part has bubbles. In bundle a, the fourth is a normal part with bubbles.
    let finished: Vec<_> = folds.iter().map(|fold| judged(&dataset, fold, &[1, 2], &[])).collect();
    let without = of
        .folds
        .iter()
        .zip([(2, 3), (0, 2), (1, 1), (1, 0)])
        .map(|(of, (caught, far))| vec![judged(&dataset, &of[0].fold, &[caught], &[far])]);
    let found = of.figures(&dataset, &finished, &without.collect::<Vec<_>>());
    let bubbles = LeftOutKind {
        kind: "bubbles".into(),
        parts: 4,
        caught_when_trained: Rate::new(4, 4),
        // In bundle a by the score, in bundle b by the distance.
        caught_by_score: Rate::new(1, 4),
        caught_by_score_or_distance: Rate::new(2, 4),
        // The fourth part of bundle a and the first of bundle d, of two, none, one and one normal parts that pass.
        false_reviews: Rate::new(2, 4),
    };
    let none = |kind: &str| LeftOutKind { kind: kind.into(), ..LeftOutKind::all(&[]) };
    assert_eq!(found, [bubbles.clone(), none("lines"), none("smudges")]);
    assert_eq!(LeftOutKind::all(&found), LeftOutKind { kind: "all kinds".into(), ..bubbles });
}

#[test]
fn the_file_of_another_kind_or_of_other_training_parts_is_refused() {
    let dataset = dataset();
    let (_, of) = kind_folds(&dataset);
    let of = &of.folds[1][0];
    let finished = judged(&dataset, &of.fold, &[2], &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = FinishedKindFold::path(folder.path(), &dataset, Method::Local, of, "bubbles");
    let load = |kind: &str, of: &KindFold| FinishedKindFold::load(&path, &dataset, of, kind, &finished.conversion);
    assert_eq!(load("bubbles", of).unwrap(), None);
    crate::files::write_json(&path, &FinishedKindFold::new(&dataset, of, "bubbles", finished.clone())).unwrap();
    assert_eq!(load("bubbles", of).unwrap(), Some(finished.clone()));
    let mut fewer = of.fold.clone();
    fewer.training.pop();
    let fewer = KindFold { kind: of.kind, fold: fewer };
    assert_ne!(FinishedKindFold::path(folder.path(), &dataset, Method::Local, &fewer, "bubbles"), path);
    for found in [load("lines", of), load("bubbles", &fewer)] {
        assert!(matches!(found, Err(CrossvalError::Malformed { .. })), "{found:?}");
    }
    let other = ConversionSpec::new(Method::Naive);
    let found = FinishedKindFold::load(&path, &dataset, of, "bubbles", &other);
    assert!(matches!(found, Err(CrossvalError::Malformed { .. })), "{found:?}");
}
