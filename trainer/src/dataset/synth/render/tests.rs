use super::*;
use crate::dataset::synth::SynthConfig;
use crate::dataset::synth::design::SetDesign;
use crate::dataset::synth::detector::SCATTERED;
use cellgate_models::conversion::{Bounds, Histogram};
use cellgate_models::digest::Digest;

const SMALL: SynthConfig = SynthConfig { parts: 24, bundles: 4, scale: 0.1, seed: 1 };

/// Compares the digest of all levels and masks of a small set. If a change of the source code alters the digest, the same
/// configuration makes other images: raise `GENERATOR` in `write.rs`. If the digest differs only on some machines, the
/// arithmetic is not exactly rounded.
#[test]
fn the_levels_of_generator_2_stay_as_they_are() {
    let (design, renderer) = (SetDesign::new(&SMALL).unwrap(), Renderer::new(&SMALL));
    let mut bytes = Vec::new();
    for part in &design.parts {
        let rendered = renderer.render(&design.bundles[part.bundle], part).unwrap();
        bytes.extend(rendered.radiograph.levels().iter().flat_map(|level| level.to_le_bytes()));
        rendered.masks.iter().for_each(|mask| bytes.extend(mask));
    }
    assert_eq!(Digest::of(&bytes).to_string(), "d0579a5317799aad8c74e9985528411c0ba89cb09eaf72d8fc094cec2934cd29");
}

#[test]
fn levels_lie_in_the_papers_range() {
    let config = SynthConfig { parts: 60, bundles: 12, scale: 0.1, seed: 3 };
    let (design, renderer) = (SetDesign::new(&config).unwrap(), Renderer::new(&config));
    let mut all = Histogram::new();
    let mut percentiles = Vec::new();
    for part in &design.parts {
        let image = renderer.render(&design.bundles[part.bundle], part).unwrap().radiograph;
        let histogram = Histogram::of(image.levels());
        let inside: u64 = histogram.counts()[1700..=2800].iter().sum();
        let share = inside as f64 / histogram.total() as f64;
        assert!(share > 0.97, "{part:?}: {share}");
        percentiles.push((histogram.percentile(0.01).unwrap(), histogram.percentile(99.99).unwrap()));
        all.merge(&histogram);
    }
    let bounds = Bounds::global(percentiles).unwrap();
    assert!((1600..=1800).contains(&bounds.lo()) && (2700..=2800).contains(&bounds.hi()), "{bounds}");
    // The naive conversion gives nearly black images: levels 6 to 11 of 255.
    let naive = |level8: usize| all.counts()[level8 * 256..(level8 + 1) * 256].iter().sum::<u64>();
    let (found, total) = ((6..=11).map(naive).sum::<u64>(), all.total());
    assert!(found as f64 / total as f64 > 0.999, "{found} of {total}");
}

/// The first part of `design`, without anomalies.
fn flawless(design: &SetDesign) -> PartDesign {
    PartDesign { anomalies: Vec::new(), ..design.parts[0].clone() }
}

#[test]
fn dead_and_hot_pixels_hardly_move_the_percentiles() {
    // At a much smaller scale, the detector has no bad pixels.
    let config = SynthConfig { parts: 1, bundles: 1, scale: 0.35, seed: 2 };
    let (design, renderer) = (SetDesign::new(&config).unwrap(), Renderer::new(&config));
    let image = renderer.render(&design.bundles[0], &flawless(&design)).unwrap().radiograph;
    let (dead, hot): (Vec<u16>, Vec<u16>) =
        image.levels().iter().copied().filter(|level| !(1000..=3500).contains(level)).partition(|level| *level < 1000);
    assert!(!dead.is_empty() && !hot.is_empty(), "{dead:?} {hot:?}");
    let sound: Vec<u16> = image.levels().iter().copied().filter(|level| (1000..=3500).contains(level)).collect();
    let (with, without) = (Histogram::of(image.levels()), Histogram::of(&sound));
    for percent in [0.01, 99.99] {
        let (with, without) = (with.percentile(percent).unwrap(), without.percentile(percent).unwrap());
        assert!((with - without).abs() < 25.0, "{percent}: {with} {without}");
    }
}

#[test]
fn all_images_show_the_same_fixed_pattern() {
    let detector = Detector::new(&SynthConfig { scale: 0.35, ..SMALL });
    // Two images of the whole detector at one level, with little noise.
    let (width, height) = detector.size();
    let take = |stream| {
        let levels = detector.take(vec![2500.0; width * height], width, 0.1, &mut Random::new(9, stream));
        levels.into_iter().map(|level| f64::from(level) - 2500.0).collect::<Vec<_>>()
    };
    let sound = |value: f64| value.abs() < 300.0;
    let pairs: Vec<_> = take(1).into_iter().zip(take(2)).filter(|(one, other)| sound(*one) && sound(*other)).collect();
    let sum = |value: fn(&(f64, f64)) -> f64| pairs.iter().map(value).sum::<f64>();
    let correlation = sum(|(a, b)| a * b) / (sum(|(a, _)| a * a) * sum(|(_, b)| b * b)).sqrt();
    assert!(correlation > 0.8, "{correlation}");
}

/// Returns the noiseless levels of `part` with at most one anomaly, and the anomaly's mask.
fn with_anomaly(
    style: &BundleStyle,
    part: &PartDesign,
    anomaly: Option<(AnomalyKind, f32)>,
    seed: u64,
) -> (Vec<f32>, Vec<u8>) {
    // 2072 is the mean height of the images at full scale.
    let mut electrode = Electrode::new(style, part, part.height as f32 / 2072.0, &mut Random::new(3, part.stream));
    let mut random = Random::new(seed, 1);
    let mask = anomaly.map(|(kind, severity)| draw(kind, severity, &mut electrode, style, &mut random));
    (transmitted(&electrode, style, 1.0), mask.unwrap_or_default())
}

#[test]
fn each_kind_changes_the_image_more_the_more_severe_it_is() {
    let design = SetDesign::new(&SMALL).unwrap();
    for style in &design.bundles {
        let part = flawless(&design);
        let (clean, _) = with_anomaly(style, &part, None, 0);
        for kind in AnomalyKind::ALL {
            let change = |severity| {
                let changed = (0..6).flat_map(|seed| with_anomaly(style, &part, Some((kind, severity)), seed).0);
                changed.zip(clean.iter().cycle()).map(|(one, other)| f64::from((one - other).abs())).sum::<f64>()
            };
            let (minor, severe) = (change(0.1), change(1.0));
            assert!(0.0 < minor && 2.0 * minor < severe, "{kind:?} in {}: {minor} {severe}", style.name);
        }
    }
}

#[test]
fn each_kind_changes_the_image_where_its_mask_says_and_nowhere_else() {
    let config = SynthConfig { parts: 2, bundles: 2, scale: 0.25, seed: 4 };
    let (design, renderer) = (SetDesign::new(&config).unwrap(), Renderer::new(&config));
    let part = flawless(&design);
    let width = part.width as usize;
    for (style, seed) in design.bundles.iter().zip(0..) {
        let mut clean = with_anomaly(style, &part, None, 0).0;
        renderer.detector.spread(&mut clean, width);
        for (kind, severity) in AnomalyKind::ALL.into_iter().flat_map(|kind| [(kind, 0.15), (kind, 0.9)]) {
            let (mut changed, mask) = with_anomaly(style, &part, Some((kind, severity)), seed);
            renderer.detector.spread(&mut changed, width);
            let change = |index: &usize| (clean[*index] - changed[*index]).abs();
            let marked: Vec<usize> = (0..mask.len()).filter(|&index| mask[index] == 255).collect();
            assert!(!marked.is_empty(), "{kind:?} {severity} in {}: nothing marked", style.name);
            let mean = marked.iter().map(change).sum::<f32>() / marked.len() as f32;
            assert!(mean > MASK_LEVELS, "{kind:?} {severity} in {}: {mean} under the mask", style.name);
            // Blur reaches one pixel. Scatter reaches further, but carries only a small share of the beam.
            let limit = MASK_LEVELS + SCATTERED * (0..mask.len()).map(|index| change(&index)).fold(0.0, f32::max);
            let is_near = |index: usize| {
                let (x, y) = (index % width, index / width);
                let is_marked = |x: usize, y: usize| mask.get(y * width + x) == Some(&255);
                (y.saturating_sub(1)..=y + 1)
                    .any(|y| (x.saturating_sub(1)..(x + 2).min(width)).any(|x| is_marked(x, y)))
            };
            let beyond = (0..mask.len()).filter(|index| change(index) > limit).find(|index| !is_near(*index));
            assert_eq!(beyond.map(|index| change(&index)), None, "{kind:?} {severity} in {}", style.name);
        }
    }
}

#[test]
fn the_exponential_is_within_a_thousandth() {
    for depth in (0..=800).map(|hundredths| hundredths as f32 / 100.0) {
        let (found, exact) = (f64::from(exp_of_minus(depth)), (-f64::from(depth)).exp());
        assert!((found / exact - 1.0).abs() < 1e-3, "{depth}: {found} {exact}");
    }
}
