//! Makes the set design: the bundles with their styles, and each part with its label, anomalies and the annotators' labels.

use super::apportion::{apportion, apportion_up_to};
use super::kind::AnomalyKind;
use super::random::Random;
use super::style::{self, BundleStyle};
use super::{SynthConfig, SynthError};
use crate::dataset::Label;

/// Number of parts and of abnormal parts in each of twelve bundles. As in the paper the totals are 714 and 152, sizes and
/// class balance vary, and two bundles have one class only. The paper does not print the numbers of each bundle; we chose
/// these.
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

/// The annotators' columns in the manifest.
pub(super) const EXPERTS: [&str; 2] = ["expert_1", "expert_2"];

/// Largest width of the paper's images, in pixels.
pub(super) const LARGEST_WIDTH_PX: f32 = 1219.0;
/// Largest height of the paper's images, in pixels.
pub(super) const LARGEST_HEIGHT_PX: f32 = 2115.0;

/// An anomaly of this severity or more makes a part abnormal.
pub(super) const ABNORMAL_SEVERITY: f32 = 0.3;

/// The design of one part.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PartDesign {
    /// The path of the part's image in the data set.
    pub(super) image: String,
    /// Index into [`SetDesign::bundles`].
    pub(super) bundle: usize,
    pub(super) label: Label,
    /// Kinds and severities, 0..=1.
    pub(super) anomalies: Vec<(AnomalyKind, f32)>,
    /// The label that each annotator of [`EXPERTS`] gives.
    pub(super) experts: [Label; EXPERTS.len()],
    /// Size of the image in pixels.
    pub(super) width: u32,
    pub(super) height: u32,
    /// Loading of the coating, which is its material per area; nominally 1. It drifts from the bundle's first part to its last.
    pub(super) loading: f32,
    /// Strength of the beam, nominally 1.
    pub(super) beam: f32,
    /// The random stream for rendering the part.
    pub(super) stream: u64,
}

/// The design of a whole data set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SetDesign {
    pub(super) bundles: Vec<BundleStyle>,
    /// The parts in the order of the manifest: grouped by bundle.
    pub(super) parts: Vec<PartDesign>,
}

impl SetDesign {
    /// Makes the design. It depends only on `config`.
    ///
    /// # Errors
    /// [`SynthError::Config`] if a value of `config` is out of its range.
    pub(super) fn new(config: &SynthConfig) -> Result<Self, SynthError> {
        config.check()?;
        let pattern = |bundle: usize| BUNDLES[bundle % BUNDLES.len()];
        let sizes = apportion(config.parts, &(0..config.bundles).map(|bundle| pattern(bundle).0).collect::<Vec<_>>());
        let abnormal_weights: Vec<_> = (0..config.bundles)
            .map(|bundle| {
                let (parts, abnormal) = pattern(bundle);
                // The weight is in thousandths of a part. In whole parts, the weight of a small bundle could be rounded to 0.
                sizes[bundle] * abnormal * 1000 / parts
            })
            .collect();
        let [all, abnormal] = BUNDLES.iter().fold([0, 0], |[all, abnormal], one| [all + one.0, abnormal + one.1]);
        // The paper's share of abnormal parts, rounded to a whole number of parts.
        let abnormal = (config.parts * abnormal + all / 2) / all;
        let abnormal = apportion_up_to(abnormal, &abnormal_weights, &sizes);

        let bundles = style::of_bundles(config);
        let mut parts = Vec::with_capacity(config.parts);
        for bundle in 0..config.bundles {
            let mut labels = vec![Label::Normal; sizes[bundle]];
            labels[..abnormal[bundle]].fill(Label::Abnormal);
            Random::new(config.seed, LABEL_STREAM + bundle as u64).shuffle(&mut labels);
            for (place, label) in labels.into_iter().enumerate() {
                let progress = (place as f32 + 0.5) / sizes[bundle] as f32 - 0.5;
                parts.push(PartDesign::new(config, parts.len(), bundle, &bundles[bundle], progress, label));
            }
        }
        Ok(Self { bundles, parts })
    }
}

impl PartDesign {
    /// Designs the part with index `number` in the data set. `progress` is the part's position in the bundle, from -0.5 at the
    /// bundle's start to 0.5 at the bundle's end.
    fn new(
        config: &SynthConfig,
        number: usize,
        bundle: usize,
        style: &BundleStyle,
        progress: f32,
        label: Label,
    ) -> Self {
        let stream = 2 * number as u64;
        let mut random = Random::new(config.seed, stream);
        let (u, v) = (random.unit(), random.unit());
        let scale = config.scale as f32;
        // Skewed like the paper's sizes: widths of 1119 to 1219 with mean 1145, heights of 2053 to 2115 with mean 2072.
        let width = scaled(LARGEST_WIDTH_PX - 100.0 + 100.0 * u * (0.96 * v + 0.04), scale);
        let height = scaled(LARGEST_HEIGHT_PX - 62.0 + 62.0 * v * (0.80 * v + 0.16 * u), scale);
        let anomalies = anomalies(label, style, &mut random);
        let worst = anomalies.iter().fold(0.0_f32, |worst, (_, severity)| worst.max(*severity));
        // Each annotator estimates the worst severity with an error, and calls the part abnormal if the estimate is above the
        // annotator's own threshold.
        let mut experts = [0.28, 0.32].map(|threshold| {
            let seen = worst + 0.05 * random.normal();
            if seen > threshold { Label::Abnormal } else { Label::Normal }
        });
        // The annotators may disagree, but at least one of them agrees with the label.
        if !experts.contains(&label) {
            experts[random.below(EXPERTS.len())] = label;
        }
        let image = format!("images/part-{:04}.tif", number + 1);
        let loading = 1.0 + style.drift * progress + 0.015 * random.normal();
        let beam = 1.0 + 0.004 * random.normal();
        Self { image, bundle, label, anomalies, experts, width, height, loading, beam, stream: stream + 1 }
    }
}

impl PartDesign {
    /// Returns the path of the mask of anomaly `index`, relative to the data set's folder.
    pub(super) fn mask(&self, index: usize) -> String {
        let name = self.image.trim_start_matches("images/").trim_end_matches(".tif");
        let kind = self.anomalies[index].0.name().replace([' ', '/'], "-");
        format!("masks/{name}-{kind}.png")
    }
}

/// Converts a length in `pixels` at full scale to pixels at `scale`, rounded.
pub(super) fn scaled(pixels: f32, scale: f32) -> u32 {
    (pixels * scale + 0.5) as u32
}

/// First of the random streams that shuffle labels. Each bundle has its own stream. The numbers of these streams are far above
/// those of the parts' streams.
const LABEL_STREAM: u64 = 1 << 40;

/// Draws the anomalies of a part. An abnormal part has at least one severe anomaly. Any part may have minor ones.
fn anomalies(label: Label, style: &BundleStyle, random: &mut Random) -> Vec<(AnomalyKind, f32)> {
    let minor = |random: &mut Random| ABNORMAL_SEVERITY * random.between(0.15, 0.95);
    let mut severities = Vec::new();
    if label == Label::Abnormal {
        severities.push(random.between(ABNORMAL_SEVERITY + 0.02, 1.0));
        if random.happens(0.25) {
            severities.push(random.between(ABNORMAL_SEVERITY, 0.8));
        }
    }
    if random.happens(0.4) {
        severities.push(minor(random));
    }
    if random.happens(0.1) {
        severities.push(minor(random));
    }
    let mut frequency = style.frequency;
    severities.into_iter().map(|severity| (draw_kind(&mut frequency, random), severity)).collect()
}

/// Draws a kind with a probability in proportion to `frequency`. Sets the frequency of the drawn kind to 0, so that a part has
/// each kind at most once.
fn draw_kind(frequency: &mut [f32; AnomalyKind::ALL.len()], random: &mut Random) -> AnomalyKind {
    let mut place = random.unit() * frequency.iter().sum::<f32>();
    let drawn = frequency.iter().position(|share| {
        place -= share;
        *share > 0.0 && place < 0.0
    });
    // By rounding errors, `place` may stay at 0 or above after the last kind. Then the last available kind is drawn.
    let drawn = drawn.or_else(|| frequency.iter().rposition(|share| *share > 0.0)).unwrap_or(0);
    frequency[drawn] = 0.0;
    AnomalyKind::ALL[drawn]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn design(parts: usize, bundles: usize, seed: u64) -> SetDesign {
        SetDesign::new(&SynthConfig { parts, bundles, scale: 1.0, seed }).unwrap()
    }

    #[test]
    fn the_default_has_the_papers_numbers() {
        let design = design(714, 12, 1);
        let count = |label| design.parts.iter().filter(|part| part.label == label).count();
        assert_eq!((design.parts.len(), count(Label::Normal), count(Label::Abnormal)), (714, 562, 152));
        let mean = |size: fn(&PartDesign) -> u32| design.parts.iter().map(size).sum::<u32>() as f32 / 714.0;
        let (width, height) = (mean(|part| part.width), mean(|part| part.height));
        assert!((width - 1145.0).abs() < 2.0 && (height - 2072.1).abs() < 2.0, "{width} {height}");
        for part in &design.parts {
            assert!((1119..=1219).contains(&part.width) && (2053..=2115).contains(&part.height), "{part:?}");
        }
        for (bundle, (parts, abnormal)) in BUNDLES.into_iter().enumerate() {
            let of_bundle = || design.parts.iter().filter(|part| part.bundle == bundle);
            assert_eq!(of_bundle().count(), parts);
            assert_eq!(of_bundle().filter(|part| part.label == Label::Abnormal).count(), abnormal);
        }
    }

    #[test]
    fn all_kinds_occur_and_severity_decides_the_label() {
        let design = design(714, 12, 5);
        for kind in AnomalyKind::ALL {
            assert!(design.parts.iter().any(|part| part.anomalies.iter().any(|(other, _)| *other == kind)), "{kind:?}");
        }
        for part in &design.parts {
            let severe = part.anomalies.iter().any(|(_, severity)| *severity >= ABNORMAL_SEVERITY);
            assert_eq!(severe, part.label == Label::Abnormal, "{part:?}");
            assert!(part.experts.contains(&part.label), "{part:?}");
        }
        let disputed = design.parts.iter().filter(|part| part.experts.iter().any(|expert| *expert != part.experts[0]));
        assert!((20..100).contains(&disputed.clone().count()), "{}", disputed.count());
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (parts, bundles, scale) in [(0, 1, 1.0), (5, 0, 1.0), (5, 6, 1.0), (5, 2, 0.01), (5, 2, f64::NAN)] {
            let config = SynthConfig { parts, bundles, scale, seed: 0 };
            assert!(matches!(SetDesign::new(&config), Err(SynthError::Config { .. })), "{config:?}");
        }
    }

    proptest! {
        #[test]
        fn every_design_has_its_parts_and_no_empty_bundle(bundles in 1..40_usize, more in 0..300_usize, seed: u64) {
            let design = design(bundles + more, bundles, seed);
            prop_assert_eq!(design.parts.len(), bundles + more);
            prop_assert!((0..bundles).all(|bundle| design.parts.iter().any(|part| part.bundle == bundle)));
            let abnormal = design.parts.iter().filter(|part| part.label == Label::Abnormal).count();
            // The paper's share, 152 of 714, rounded. In a smaller set, the bundles with abnormal parts may be too small for it.
            if design.parts.len() >= 40 && bundles >= 6 {
                prop_assert_eq!(abnormal, ((bundles + more) * 152 + 357) / 714);
            }
        }
    }
}
