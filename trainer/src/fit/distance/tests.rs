//! Tests the choice of the largest distances.

use super::super::testing::{MadeUp, noise};
use super::super::{CalibratedWithReference, LabelledLogit};
use super::*;
use Label::{Abnormal, Normal};
use cellgate_models::policy::Calibration;
use std::num::NonZeroU32;

#[test]
fn the_largest_distance_is_the_conformal_quantile() {
    let distances = |count: u32| (1..=count).rev().map(f64::from).collect::<Vec<_>>();
    for (count, expected) in [(1, 1.0), (50, 50.0), (98, 98.0), (99, 99.0), (100, 100.0), (199, 198.0), (1000, 991.0)] {
        assert_eq!(largest(distances(count), 1), Some(expected), "{count} distances");
    }
    // 100 parts, each drawn ten times: a distance of a part that is drawn once more is no further part.
    assert_eq!(largest(distances(1000), 10), Some(1000.0));
    assert_eq!(largest(distances(1990), 10), Some(1980.0));
    assert_eq!(largest(Vec::new(), 1), None);
    assert_eq!(largest(vec![0.0; 5], 1), None);
}

/// The normal parts of a bundle. The last one is a far part.
const NORMAL: usize = 10;
/// The parts of a bundle.
const PARTS: usize = NORMAL + 2;

/// Bundles of ten normal and two abnormal parts. Each bundle is shifted in a direction of its own, by `shift` times the noise. The noise
/// of the far parts is multiplied by `far`.
fn made_up(names: &[&'static str], shift: f32, far: f32) -> MadeUp {
    let of_bundle = |&name: &&'static str| [[(name, Normal); NORMAL].as_slice(), &[(name, Abnormal); 2]].concat();
    let parts: Vec<(&str, Label)> = names.iter().flat_map(of_bundle).collect();
    MadeUp::new(&parts, move |part, variant, channel| {
        let bundle = part / PARTS;
        let abnormal = if part % PARTS >= NORMAL { 1000.0 } else { 0.0 };
        let factor = if is_far(part) { far } else { 1.0 };
        let own = factor * noise(part * 1024 + variant * 256 + channel);
        abnormal + own + shift * noise(1 << 20 | bundle << 8 | channel)
    })
}

fn is_far(part: usize) -> bool {
    part % PARTS == NORMAL - 1
}

fn point(review_from: f64) -> OperatingPoint {
    OperatingPoint::new([review_from; 2], Calibration::IDENTITY).unwrap()
}

fn features(made_up: &MadeUp) -> OutOfFoldFeatures {
    OutOfFoldFeatures::compute(&made_up.training(), Flips::One).unwrap()
}

/// The out-of-fold logits `logit` of all parts.
fn out_of_fold(made_up: &MadeUp, logit: impl Fn(usize) -> f64) -> OutOfFold {
    let training = made_up.training();
    let labels: Vec<Label> = training.labels().collect();
    let of_bundle = |(_, parts): (_, Vec<usize>)| {
        parts.into_iter().map(|part| LabelledLogit { part, logit: logit(part), label: labels[part] }).collect()
    };
    let bundles = training.leave_one_bundle_out().into_iter().map(of_bundle).collect();
    OutOfFold { logits: (0..labels.len()).map(&logit).collect(), bundles }
}

/// The draws of `parts` reference parts.
fn draws(out_of_fold: &OutOfFold, parts: u32) -> Vec<ShiftedDraw> {
    CalibratedWithReference::of(out_of_fold, NonZeroU32::new(parts).unwrap(), 3).unwrap().draws
}

#[test]
fn distances_are_out_of_fold_and_of_normal_parts() {
    let made_up = made_up(&["a", "b", "c", "d"], 0.0, 1.0);
    let training = made_up.training();
    let mut distances = Vec::new();
    for (others, held_out) in training.leave_one_bundle_out() {
        let whitening = whitening(&others, Flips::One).unwrap();
        let whitened = held_out[..NORMAL].iter().map(|&part| training.whitened(part, &whitening, Flips::One));
        distances.extend(whitened.map(|part| part.distance(&WhitenedFeatures::ORIGIN)));
    }
    // The largest of 40 distances.
    let found = features(&made_up).limit(point(0.0), &OutOfFold::default()).unwrap();
    assert_eq!(found.largest_distance(), distances.into_iter().reduce(f64::max));
}

#[test]
fn normal_parts_that_the_score_does_not_pass_do_not_count() {
    let made_up = made_up(&["a", "b", "c", "d"], 0.0, 5.0);
    let features = features(&made_up);
    // The review threshold is 1.
    let limit = |far: f64| {
        let logit = move |part| if is_far(part) { far } else { 0.0 };
        features.limit(point(1.0), &out_of_fold(&made_up, logit)).unwrap().largest_distance().unwrap()
    };
    let [review, pass, unknown] = [1.0, 1.0_f64.next_down(), f64::NAN].map(limit);
    assert!(review < pass / 2.0, "{review} {pass}");
    assert_eq!(unknown, pass);
}

#[test]
fn with_reference_parts_only_parts_that_pass_less_the_offset_count() {
    let made_up = made_up(&["a", "b", "c", "d"], 0.0, 5.0);
    let features = features(&made_up);
    // Every second bundle is shifted by 10 logits. Without the bundle's shift, far parts have the logit 6.
    let logits = out_of_fold(&made_up, |part| {
        let shift = 10.0 * (part / PARTS % 2) as f64;
        let abnormal = if part % PARTS >= NORMAL { 12.0 } else { 0.0 };
        shift + abnormal + if is_far(part) { 6.0 } else { 0.0 }
    });
    let draws = draws(&logits, 5);
    let limit =
        |review_from: f64| features.limit_with_reference(point(review_from), &draws).unwrap().largest_distance();
    let [all, near] = [1e6, 3.0].map(|review_from| limit(review_from).unwrap());
    assert!(near < all / 2.0, "{near} {all}");
    assert_eq!(limit(-1e6), None);
}

#[test]
fn about_one_in_a_hundred_passed_normal_parts_is_beyond_the_largest_distance() {
    let names: Vec<&'static str> = ["a", "b", "c", "d", "e", "f"].into_iter().cycle().take(60).collect();
    let made_up = made_up(&names, 0.0, 5.0);
    let features = features(&made_up);
    let labels: Vec<Label> = made_up.training().labels().collect();
    // The score passes none of the far normal parts, and 7 of 8 other normal parts.
    let logits = out_of_fold(&made_up, |part| {
        let is_passed = labels[part] == Normal && !is_far(part) && !part.is_multiple_of(8);
        if is_passed { 0.0 } else { 10.0 }
    });
    let of_part = |part: usize, centre: &WhitenedFeatures| features.parts[part].unwrap().distance(centre);

    let limit = features.limit(point(5.0), &logits).unwrap().largest_distance().unwrap();
    let passed: Vec<usize> = (0..labels.len()).filter(|&part| logits.logits[part] < 5.0).collect();
    let beyond = passed.iter().filter(|&&part| of_part(part, &WhitenedFeatures::ORIGIN) > limit).count();
    let share = beyond as f64 / passed.len() as f64;
    assert!((0.005..0.01).contains(&share), "{share}");

    let draws = draws(&logits, 5);
    let limit = features.limit_with_reference(point(5.0), &draws).unwrap().largest_distance().unwrap();
    let of_draw = |draw: &ShiftedDraw| -> Vec<f64> {
        let reference: Vec<_> = draw.reference.iter().map(|&part| features.parts[part].unwrap()).collect();
        let centre = WhitenedFeatures::median(&reference).unwrap();
        let passed = draw.others.iter().filter(|other| other.label == Normal && other.logit < 5.0);
        passed.map(|other| of_part(other.part, &centre)).collect()
    };
    let distances: Vec<f64> = draws.iter().flat_map(of_draw).collect();
    let share = distances.iter().filter(|&&distance| distance > limit).count() as f64 / distances.len() as f64;
    assert!((0.005..0.01).contains(&share), "{share}");
}

#[test]
fn reference_parts_take_the_shift_of_the_bundle_away() {
    let made_up = made_up(&["a", "b", "c", "d"], 3.0, 1.0);
    let features = features(&made_up);
    let logits = out_of_fold(&made_up, |part| noise(part).into());
    let without = features.limit(point(1e6), &logits).unwrap().largest_distance().unwrap();
    let [five, half] = [5, 1000].map(|parts| {
        features.limit_with_reference(point(1e6), &draws(&logits, parts)).unwrap().largest_distance().unwrap()
    });
    assert!(five < without / 2.0, "{five} {without}");
    // Half of the ten normal parts are drawn in both cases.
    assert_eq!(five, half);
}

#[test]
fn without_two_bundles_with_normal_parts_there_is_no_largest_distance() {
    let one = features(&made_up(&["a"], 0.0, 1.0));
    assert_eq!(one.limit(point(0.0), &OutOfFold::default()).unwrap(), point(0.0));
    let infinite = OutOfFoldFeatures { parts: vec![Some(WhitenedFeatures::new([f32::INFINITY; 64]))] };
    let found = infinite.limit(point(0.0), &OutOfFold::default());
    assert!(matches!(found, Err(FitError::LargestDistance(_))), "{found:?}");
}
