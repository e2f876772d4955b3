//! What is to be made: bundles and their style, and each part with its label, anomalies and annotators.

use super::anomaly::Kind;
use super::random::Random;
use super::{SynthConfig, SynthError};
use crate::dataset::Label;

/// Parts and abnormal parts of twelve bundles as the paper's: 714 and 152 in all, sizes and balance vary, two bundles
/// have one class only. The paper does not print the single numbers; these are ours.
const BUNDLES: [(usize, usize); 12] = [
    (34, 2),
    (24, 2),
    (28, 0),
    (63, 26),
    (44, 4),
    (104, 30),
    (118, 36),
    (6, 6),
    (30, 10),
    (60, 12),
    (86, 2),
    (117, 22),
];

/// Names of the annotators' columns.
pub(super) const EXPERTS: [&str; 3] = ["expert_1", "expert_2", "expert_3"];

/// Above this severity an anomaly makes a part abnormal.
const ABNORMAL_SEVERITY: f32 = 0.3;

/// How one coating method and mixture looks. Depths are optical depths: levels fall by e to the power of minus depth.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BundleStyle {
    pub(super) name: String,
    /// Depth of the bare sheet.
    pub(super) substrate_depth: f32,
    /// Depth of the coating at its nominal loading: the bundle's mean thickness.
    pub(super) coating_depth: f32,
    /// Relative amplitude of the coating's mottle, and the size of its grain in pixels at full scale.
    pub(super) mottle: f32,
    pub(super) mottle_px: f32,
    /// Relative amplitude of slow changes of the loading over the part.
    pub(super) unevenness: f32,
    /// Relative amplitude of streaks along the coating's way.
    pub(super) streaks: f32,
    /// Relative change of the beam from the top to the bottom of the image.
    pub(super) heel: f32,
    /// Noise, relative to the detector's usual one.
    pub(super) noise: f32,
}

impl BundleStyle {
    fn new(name: String, random: &mut Random) -> Self {
        Self {
            name,
            substrate_depth: random.between(0.035, 0.06),
            coating_depth: random.between(0.09, 0.27),
            mottle: random.between(0.015, 0.05),
            mottle_px: random.between(7.0, 22.0),
            unevenness: random.between(0.01, 0.03),
            streaks: random.between(0.004, 0.016),
            heel: random.between(-0.03, 0.03),
            noise: random.between(0.8, 1.3),
        }
    }
}

/// One part.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PartPlan {
    /// Its image's path in the data set.
    pub(super) image: String,
    /// Index into [`Plan::bundles`].
    pub(super) bundle: usize,
    pub(super) label: Label,
    /// Kinds and severities, 0..=1.
    pub(super) anomalies: Vec<(Kind, f32)>,
    /// What each of [`EXPERTS`] calls it.
    pub(super) experts: [Label; EXPERTS.len()],
    /// Size in pixels.
    pub(super) width: u32,
    pub(super) height: u32,
    /// The stream of random numbers that it is rendered from.
    pub(super) stream: u64,
}

/// Everything that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) bundles: Vec<BundleStyle>,
    /// In the order of the manifest: bundle by bundle.
    pub(super) parts: Vec<PartPlan>,
}

impl Plan {
    /// The plan that follows from `config` alone.
    pub(super) fn new(config: &SynthConfig) -> Result<Self, SynthError> {
        config.check()?;
        let pattern = |bundle: usize| BUNDLES[bundle % BUNDLES.len()];
        let sizes = apportion(config.parts, &(0..config.bundles).map(|bundle| pattern(bundle).0).collect::<Vec<_>>());
        let abnormal_weights: Vec<_> = (0..config.bundles)
            .map(|bundle| {
                let (parts, abnormal) = pattern(bundle);
                // Rounded up: a bundle that has abnormal parts keeps its share, however few parts are made.
                sizes[bundle] * abnormal * 1000 / parts
            })
            .collect();
        let [all, abnormal] = BUNDLES.iter().fold([0, 0], |[all, abnormal], one| [all + one.0, abnormal + one.1]);
        let abnormal = (config.parts * abnormal + all / 2) / all;
        let abnormal = apportion_up_to(abnormal, &abnormal_weights, &sizes);

        let bundles: Vec<_> = (0..config.bundles)
            .map(|bundle| {
                BundleStyle::new(format!("bundle {}", bundle + 1), &mut Random::new(config.seed, bundle_stream(bundle)))
            })
            .collect();
        let mut parts = Vec::with_capacity(config.parts);
        for bundle in 0..config.bundles {
            let mut labels = vec![Label::Normal; sizes[bundle]];
            labels[..abnormal[bundle]].fill(Label::Abnormal);
            Random::new(config.seed, bundle_stream(bundle) + 1).shuffle(&mut labels);
            for label in labels {
                let number = parts.len();
                parts.push(PartPlan::new(config, number, bundle, label));
            }
        }
        Ok(Self { bundles, parts })
    }
}

impl PartPlan {
    fn new(config: &SynthConfig, number: usize, bundle: usize, label: Label) -> Self {
        let stream = 2 * number as u64;
        let mut random = Random::new(config.seed, stream);
        let (u, v) = (random.unit(), random.unit());
        let scaled = |pixels: f32| (pixels * config.scale as f32 + 0.5) as u32;
        // Skewed as the paper's: between 1119 and 1219 with the mean 1145, between 2053 and 2115 with the mean 2072.
        let width = scaled(1119.0 + 100.0 * u * (0.96 * v + 0.04));
        let height = scaled(2053.0 + 62.0 * v * (0.80 * v + 0.16 * u));
        let anomalies = anomalies(label, &mut random);
        let worst = anomalies.iter().fold(0.0_f32, |worst, (_, severity)| worst.max(*severity));
        let experts = [0.27, 0.30, 0.33].map(|threshold| {
            let seen = worst + 0.05 * random.normal();
            if seen > threshold { Label::Abnormal } else { Label::Normal }
        });
        let image = format!("images/part-{:04}.tif", number + 1);
        Self { image, bundle, label, anomalies, experts, width, height, stream: stream + 1 }
    }
}

/// Streams of bundles lie far above those of parts.
fn bundle_stream(bundle: usize) -> u64 {
    (1 << 40) + 2 * bundle as u64
}

/// An abnormal part shows one anomaly or more; a normal part may show a minor one.
fn anomalies(label: Label, random: &mut Random) -> Vec<(Kind, f32)> {
    let mut kinds = Kind::ALL;
    random.shuffle(&mut kinds);
    let minor = |random: &mut Random| ABNORMAL_SEVERITY * random.between(0.1, 0.95);
    let mut severities = Vec::new();
    if label == Label::Abnormal {
        let u = random.unit();
        severities.push(ABNORMAL_SEVERITY + (1.0 - ABNORMAL_SEVERITY) * (0.05 + 0.95 * u));
        if random.happens(0.25) {
            severities.push(random.between(ABNORMAL_SEVERITY, 0.8));
        }
    }
    if random.happens(0.3) {
        severities.push(minor(random));
    }
    kinds.into_iter().zip(severities).collect()
}

/// `total` things among owners in proportion to `weights`, by the largest remainder; at least one each where there are
/// enough.
fn apportion(total: usize, weights: &[usize]) -> Vec<usize> {
    let mut shares = apportion_up_to(total, weights, &vec![total; weights.len()]);
    while let Some(empty) = shares.iter().position(|share| *share == 0) {
        let Some(largest) = (0..shares.len()).max_by_key(|&owner| shares[owner]).filter(|&owner| shares[owner] > 1)
        else {
            break;
        };
        shares[largest] -= 1;
        shares[empty] += 1;
    }
    shares
}

/// `total` things among owners in proportion to `weights`, by the largest remainder, no more than `limits` each.
/// All are given out as long as the limits of owners with a weight allow.
fn apportion_up_to(total: usize, weights: &[usize], limits: &[usize]) -> Vec<usize> {
    let sum = weights.iter().sum::<usize>().max(1);
    let mut shares: Vec<_> =
        weights.iter().zip(limits).map(|(weight, limit)| (total * weight / sum).min(*limit)).collect();
    let mut given: usize = shares.iter().sum();
    let mut owners: Vec<_> = (0..weights.len()).filter(|&owner| weights[owner] > 0).collect();
    owners.sort_by_key(|&owner| (std::cmp::Reverse(total * weights[owner] % sum), owner));
    while given < total {
        let before = given;
        for &owner in &owners {
            if given < total && shares[owner] < limits[owner] {
                shares[owner] += 1;
                given += 1;
            }
        }
        if given == before {
            break;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(parts: usize, bundles: usize, seed: u64) -> Plan {
        Plan::new(&SynthConfig { parts, bundles, scale: 1.0, seed }).unwrap()
    }

    #[test]
    fn the_default_has_the_papers_numbers() {
        let plan = plan(714, 12, 1);
        let count = |label| plan.parts.iter().filter(|part| part.label == label).count();
        assert_eq!((plan.parts.len(), count(Label::Normal), count(Label::Abnormal)), (714, 562, 152));
        let mean = |size: fn(&PartPlan) -> u32| plan.parts.iter().map(size).sum::<u32>() as f32 / 714.0;
        let (width, height) = (mean(|part| part.width), mean(|part| part.height));
        assert!((width - 1145.0).abs() < 2.0 && (height - 2072.1).abs() < 2.0, "{width} {height}");
        for part in &plan.parts {
            assert!((1119..=1219).contains(&part.width) && (2053..=2115).contains(&part.height), "{part:?}");
        }
        for (bundle, (parts, abnormal)) in BUNDLES.into_iter().enumerate() {
            let of_bundle = || plan.parts.iter().filter(|part| part.bundle == bundle);
            assert_eq!(of_bundle().count(), parts);
            assert_eq!(of_bundle().filter(|part| part.label == Label::Abnormal).count(), abnormal);
        }
    }

    #[test]
    fn all_kinds_occur_and_severity_decides_the_label() {
        let plan = plan(714, 12, 5);
        for kind in Kind::ALL {
            assert!(plan.parts.iter().any(|part| part.anomalies.iter().any(|(other, _)| *other == kind)), "{kind:?}");
        }
        for part in &plan.parts {
            let severe = part.anomalies.iter().any(|(_, severity)| *severity >= ABNORMAL_SEVERITY);
            assert_eq!(severe, part.label == Label::Abnormal, "{part:?}");
        }
        let disputed = plan.parts.iter().filter(|part| part.experts.iter().any(|expert| *expert != part.experts[0]));
        assert!((20..200).contains(&disputed.clone().count()), "{}", disputed.count());
    }

    #[test]
    fn impossible_wishes_are_refused() {
        for (parts, bundles, scale) in [(0, 1, 1.0), (5, 0, 1.0), (5, 6, 1.0), (5, 2, 0.01), (5, 2, f64::NAN)] {
            let config = SynthConfig { parts, bundles, scale, seed: 0 };
            assert!(matches!(Plan::new(&config), Err(SynthError::Config { .. })), "{config:?}");
        }
    }

    proptest! {
        #[test]
        fn every_plan_has_its_parts_and_no_empty_bundle(bundles in 1..40_usize, more in 0..300_usize, seed: u64) {
            let plan = plan(bundles + more, bundles, seed);
            prop_assert_eq!(plan.parts.len(), bundles + more);
            prop_assert!((0..bundles).all(|bundle| plan.parts.iter().any(|part| part.bundle == bundle)));
            let abnormal = plan.parts.iter().filter(|part| part.label == Label::Abnormal).count();
            if plan.parts.len() >= 40 && bundles >= 6 {
                prop_assert_eq!(abnormal, ((bundles + more) * 152 + 357) / 714);
            }
        }
    }
}
