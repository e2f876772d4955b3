//! Tests the choice of the largest distances.

use super::super::testing::{MadeUp, noise};
use super::*;
use Label::{Abnormal, Normal};
use cellgate_models::policy::Calibration;

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

/// Bundles of ten normal and two abnormal parts. Each bundle is shifted in a direction of its own, by `shift` times the noise.
fn bundles(names: &[&'static str], shift: f32) -> MadeUp {
    let of_bundle = |&name: &&'static str| [[(name, Normal); 10].as_slice(), &[(name, Abnormal); 2]].concat();
    let parts: Vec<(&str, Label)> = names.iter().flat_map(of_bundle).collect();
    MadeUp::new(&parts, move |part, variant, channel| {
        let bundle = part / 12;
        let far = if part % 12 >= 10 { 1000.0 } else { 0.0 };
        far + noise(part * 1024 + variant * 256 + channel) + shift * noise(1 << 20 | bundle << 8 | channel)
    })
}

fn chosen(made_up: &MadeUp, references: &[u32]) -> LargestDistances {
    let references: Vec<NonZeroU32> = references.iter().filter_map(|&parts| NonZeroU32::new(parts)).collect();
    LargestDistances::out_of_fold(&made_up.training(), Flips::One, &references, 3).unwrap()
}

#[test]
fn distances_are_out_of_fold_and_of_normal_parts() {
    let made_up = bundles(&["a", "b", "c", "d"], 0.0);
    let training = made_up.training();
    let mut distances = Vec::new();
    for (others, held_out) in training.leave_one_bundle_out() {
        let whitening = whitening(&others, Flips::One).unwrap();
        let whitened = held_out[..10].iter().map(|&part| training.whitened(part, &whitening, Flips::One));
        distances.extend(whitened.map(|part| part.distance(&WhitenedFeatures::ORIGIN)));
    }
    // The largest of 40 distances.
    let found = chosen(&made_up, &[]);
    assert_eq!(found, LargestDistances { without: distances.into_iter().reduce(f64::max), with_reference: Vec::new() });
}

#[test]
fn reference_parts_take_the_shift_of_the_bundle_away() {
    let shifted = chosen(&bundles(&["a", "b", "c", "d"], 3.0), &[5, 1000]);
    let (without, with) = (shifted.without.unwrap(), shifted.with_reference[0].unwrap());
    assert!(with < without / 2.0, "{shifted:?}");
    // Half of the ten normal parts are drawn in both cases.
    assert_eq!(shifted.with_reference[0], shifted.with_reference[1]);
}

#[test]
fn without_two_bundles_with_normal_parts_there_is_no_largest_distance() {
    let one = chosen(&bundles(&["a"], 0.0), &[2]);
    assert_eq!(one, LargestDistances { without: None, with_reference: vec![None] });
    let point = OperatingPoint::new([0.0; 2], Calibration::IDENTITY).unwrap();
    assert_eq!(with_largest_distance(point, None).unwrap(), point);
    assert_eq!(with_largest_distance(point, Some(2.5)).unwrap().largest_distance(), Some(2.5));
    assert!(matches!(with_largest_distance(point, Some(f64::INFINITY)), Err(FitError::LargestDistance(_))));
}
