//! Tests the whitening with features that are made up.

use super::super::testing::{MadeUp, noise};
use super::*;
use Label::{Abnormal, Normal};

/// The matrix with `width` columns.
fn matrix(values: &[f64], width: i64) -> Tensor {
    Tensor::from_slice(values).view([-1, width])
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn the_shrunk_covariance_is_that_of_scikit_learn() {
    let rows = matrix(&[1.0, 2.0, 0.0, -1.0, 0.0, 1.0, 2.0, -1.0, -1.0, -2.0, -1.0, 0.0], 3);
    // sklearn.covariance.ledoit_wolf(rows, assume_centered=True), whose shrinkage is 0.8.
    let expected = matrix(&[1.7, 0.1, -0.15, 0.1, 1.5, 0.05, -0.15, 0.05, 1.3], 3);
    assert!(largest_difference(&ledoit_wolf(&rows).unwrap(), &expected) < 1e-12);
}

#[test]
fn the_shrinkage_is_that_of_the_definition() {
    let (count, width) = (12, 5);
    let values: Vec<f64> = (0..count * width).map(|at| f64::from(noise(at)) * (1 + at % width) as f64).collect();
    let row = |row: usize| &values[row * width..][..width];
    let cells = || (0..width).flat_map(|i| (0..width).map(move |j| (i, j)));
    let sample: Vec<f64> =
        cells().map(|(i, j)| (0..count).map(|at| row(at)[i] * row(at)[j]).sum::<f64>() / count as f64).collect();
    let m = (0..width).map(|i| sample[i * width + i]).sum::<f64>() / width as f64;
    let target = |(i, j): (usize, usize)| if i == j { m } else { 0.0 };
    // Lemma 3.2 and 3.3, term by term.
    let d2: f64 = cells().zip(&sample).map(|(cell, s)| (s - target(cell)).powi(2)).sum();
    let error =
        |at: usize| -> f64 { cells().zip(&sample).map(|((i, j), s)| (row(at)[i] * row(at)[j] - s).powi(2)).sum() };
    let shrinkage = (0..count).map(error).sum::<f64>() / (count as f64).powi(2) / d2;
    assert!((0.05..0.95).contains(&shrinkage), "{shrinkage}");
    let expected: Vec<f64> =
        cells().zip(&sample).map(|(cell, s)| shrinkage * target(cell) + (1.0 - shrinkage) * s).collect();
    let found = ledoit_wolf(&matrix(&values, width as i64)).unwrap();
    assert!(largest_difference(&found, &matrix(&expected, width as i64)) < 1e-12);
}

/// 600 normal parts in three bundles, and an abnormal part far away in every third place. Channel 0 varies between bundles only, channels
/// 1 and 2 vary together, and all channels from 8 on are 0.
fn many() -> MadeUp {
    let parts: Vec<(&str, Label)> =
        (0..900).map(|part| (["a", "b", "c"][part % 3], if part / 3 % 3 == 2 { Abnormal } else { Normal })).collect();
    let far = |part: usize| if part / 3 % 3 == 2 { 50.0 } else { 0.0 };
    MadeUp::new(&parts, move |part, variant, channel| {
        let noise = |channel: usize| noise(part * 8 + channel) + 0.5 * variant as f32;
        far(part)
            + match channel {
                0 => [-3.0, 0.0, 5.0][part % 3] + 0.5 * noise(0),
                2 => 50.0 * noise(1) + 100.0 * noise(2),
                1..8 => noise(channel),
                _ => 0.0,
            }
    })
}

#[test]
fn normal_parts_of_a_bundle_have_the_variance_1_in_all_directions_and_the_median_0() {
    let many = many();
    let training = many.training();
    let whitening = whitening(&training, Flips::One).unwrap();
    whitening.check().unwrap();
    let labels: Vec<Label> = training.labels().collect();
    let normal: Vec<usize> = (0..900).filter(|&part| labels[part] == Normal).collect();
    let whitened: Vec<WhitenedFeatures> =
        normal.iter().map(|&part| training.whitened(part, &whitening, Flips::One)).collect();
    let median = WhitenedFeatures::median(&whitened).unwrap();
    assert!(median.distance(&WhitenedFeatures::ORIGIN) < 1e-3, "{median:?}");
    // Eight channels vary, so eight components remain.
    assert!(whitened.iter().all(|part| part.components()[8..].iter().all(|&component| component == 0.0)));
    let mut covariance = [[0.0; 8]; 8];
    for bundle in 0..3 {
        let of_bundle: Vec<&WhitenedFeatures> =
            normal.iter().zip(&whitened).filter(|(part, _)| *part % 3 == bundle).map(|(_, part)| part).collect();
        let mean = |at: usize| of_bundle.iter().map(|part| part.components()[at]).sum::<f32>() / of_bundle.len() as f32;
        let means: Vec<f32> = (0..8).map(mean).collect();
        for (i, j) in (0..8).flat_map(|i| (0..8).map(move |j| (i, j))) {
            let product =
                |part: &&WhitenedFeatures| (part.components()[i] - means[i]) * (part.components()[j] - means[j]);
            covariance[i][j] += of_bundle.iter().map(product).sum::<f32>() / (600.0 - 3.0);
        }
    }
    for (i, j) in (0..8).flat_map(|i| (0..8).map(move |j| (i, j))) {
        // The shrinkage moves variances towards their mean.
        let (expected, tolerance) = if i == j { (1.0, 0.2) } else { (0.0, 1e-3) };
        assert!((covariance[i][j] - expected).abs() < tolerance, "{i} {j} {covariance:?}");
    }
    assert!(training.whitened(6, &whitening, Flips::One).distance(&WhitenedFeatures::ORIGIN) > 50.0);
}

#[test]
fn the_features_of_a_part_are_the_mean_over_its_flip_variants() {
    let many = many();
    let training = many.training();
    let distance = |fitted: Flips| {
        let whitening = whitening(&training, fitted).unwrap();
        [Flips::One, Flips::Four].map(|judged| {
            let parts = [0, 1, 2].map(|part| training.whitened(part, &whitening, judged));
            WhitenedFeatures::median(&parts).unwrap().distance(&WhitenedFeatures::ORIGIN)
        })
    };
    // Each further variant has the noise shifted by 0.5, so the parts look unlike the training with another number of variants.
    let ([one, shifted], [shifted_back, four]) = (distance(Flips::One), distance(Flips::Four));
    assert!(shifted - one > 1.0 && shifted_back - four > 1.0, "{one} {shifted} {shifted_back} {four}");
}

#[test]
fn few_parts_give_a_finite_whitening() {
    let sets: [&[(&str, Label)]; 5] = [
        &[("a", Normal), ("b", Abnormal)],
        &[("a", Normal), ("b", Normal)],
        &[("a", Normal), ("a", Normal)],
        &[("a", Normal), ("a", Normal), ("a", Abnormal), ("b", Normal), ("b", Normal)],
        &[("a", Normal); 9],
    ];
    let components = sets.map(|parts| {
        let made_up = MadeUp::new(parts, |part, variant, channel| noise(part * 1024 + variant * 256 + channel));
        let training = made_up.training();
        let whitening = whitening(&training, Flips::Two).unwrap();
        whitening.check().unwrap();
        assert_eq!(whitening, super::whitening(&training, Flips::Two).unwrap());
        let far = training.whitened(parts.len() - 1, &whitening, Flips::Two);
        assert!(far.distance(&WhitenedFeatures::ORIGIN) < 100.0, "{far:?}");
        whitening.weight.chunks_exact(256).filter(|row| row.iter().any(|&weight| weight != 0.0)).count()
    });
    assert_eq!(components, [0, 1, 1, 2, 8]);
    let alike = MadeUp::new(&[("a", Normal); 9], |_, _, channel| noise(channel));
    assert!(whitening(&alike.training(), Flips::One).unwrap().weight.iter().all(|&weight| weight == 0.0));
}

#[test]
fn a_whitening_needs_a_normal_part() {
    let abnormal = MadeUp::new(&[("a", Abnormal), ("b", Abnormal)], |part, _, channel| noise(part + channel));
    let found = whitening(&abnormal.training(), Flips::One);
    assert!(matches!(found, Err(FitError::OneClass { found: Abnormal, missing: Normal })), "{found:?}");
}
