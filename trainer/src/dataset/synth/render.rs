//! From materials to levels: attenuation, the beam, the detector.

use super::electrode::Electrode;
use super::plan::{BundleStyle, PartPlan};
use super::random::Random;
use super::texture::Texture;
use cellgate_models::radiograph::{Radiograph, ShapeError};

/// The level of the beam where nothing stands in its way.
const OPEN_BEAM_LEVEL: f32 = 2740.0;
/// Standard deviation of the noise at the open beam's level, at full scale.
const NOISE_LEVELS: f32 = 14.0;
/// Share of pixels that always read nearly nothing, or far too much. Together less than the 0.01 % that percentiles
/// leave out at either end.
const DEAD_SHARE: f32 = 0.000_02;
const HOT_SHARE: f32 = 0.000_03;

/// The radiograph of the part that `plan` describes. `px` is the length of a full-scale pixel in pixels.
///
/// # Errors
/// [`ShapeError`] for a plan of no pixels.
pub(super) fn radiograph(style: &BundleStyle, plan: &PartPlan, px: f32, seed: u64) -> Result<Radiograph, ShapeError> {
    let mut random = Random::new(seed, plan.stream);
    let mut electrode = Electrode::new(style, plan, px, &mut random);
    for (kind, severity) in &plan.anomalies {
        kind.draw(&mut electrode, *severity, &mut random);
    }
    let mut levels = transmitted(&electrode, style, &mut random);
    blur(&mut levels, plan.width as usize);
    let mut levels = detected(&levels, plan.width as usize, style.noise * (0.35 + 0.65 * px.min(1.0)), &mut random);
    spoil_pixels(&mut levels, &mut random);
    Radiograph::new(plan.width, plan.height, levels)
}

/// Levels behind the electrode by Beer and Lambert's law, without noise.
fn transmitted(electrode: &Electrode, style: &BundleStyle, random: &mut Random) -> Vec<f32> {
    let (width, height) = (electrode.coating.width, electrode.coating.height);
    let beam = Texture::new(width, height, [700.0 * electrode.px, 1100.0 * electrode.px], random);
    let carrier = Texture::new(width, height, [60.0 * electrode.px, 60.0 * electrode.px], random);
    let (mut gain, mut around, mut buffer) = (vec![0.0; width], vec![0.0; width], Vec::new());
    let mut levels = Vec::with_capacity(width * height);
    let rows = electrode.substrate.values.chunks_exact(width).zip(electrode.coating.values.chunks_exact(width));
    for (y, (substrate, coating)) in rows.enumerate() {
        gain.fill(OPEN_BEAM_LEVEL * (1.0 + style.heel * (y as f32 / height as f32 - 0.5)));
        beam.add_row(y, OPEN_BEAM_LEVEL * 0.004, &mut gain, &mut buffer);
        around.fill(0.012);
        carrier.add_row(y, 0.003, &mut around, &mut buffer);
        let materials = substrate.iter().zip(coating).zip(gain.iter().zip(&around));
        levels.extend(materials.map(|((substrate, coating), (gain, around))| {
            let depth = substrate * style.substrate_depth + coating * style.coating_depth + around;
            gain * exp_of_minus(depth.max(0.0))
        }));
    }
    levels
}

/// e to the power of -`depth`, `depth` 0..=8, within 0.1 %: from exactly rounded operations only, so that it gives the
/// same bits on every machine, unlike the system's own.
fn exp_of_minus(depth: f32) -> f32 {
    let step = depth * (-1.0 / 32.0);
    let mut power = 1.0 + step * (1.0 + step * (0.5 + step * (1.0 / 6.0 + step * (1.0 / 24.0))));
    for _ in 0..5 {
        power *= power;
    }
    power
}

/// The detector's point spread: weights 1, 6, 1 of 8 along rows, then along columns.
fn blur(levels: &mut [f32], width: usize) {
    let spread = |before: f32, here: f32, after: f32| (before + 6.0 * here + after) * 0.125;
    for row in levels.chunks_exact_mut(width) {
        let mut before = row[0];
        for x in 0..width {
            let here = row[x];
            let after = row[(x + 1).min(width - 1)];
            row[x] = spread(before, here, after);
            before = here;
        }
    }
    let mut before = levels[..width].to_vec();
    for y in 0..levels.len() / width {
        let (rows, after) = levels[y * width..].split_at_mut(width);
        for x in 0..width {
            let here = rows[x];
            rows[x] = spread(before[x], here, after.get(x).copied().unwrap_or(here));
            before[x] = here;
        }
    }
}

/// Whole levels, with noise that grows with the root of the level, and each column's own offset.
fn detected(levels: &[f32], width: usize, noise: f32, random: &mut Random) -> Vec<u16> {
    let mut column_offset = vec![0.0; width];
    random.fill_normal(&mut column_offset);
    let mut row_noise = vec![0.0; width];
    let scale = NOISE_LEVELS * noise;
    let mut whole = Vec::with_capacity(levels.len());
    for row in levels.chunks_exact(width) {
        random.fill_normal(&mut row_noise);
        whole.extend(row.iter().zip(&row_noise).zip(&column_offset).map(|((level, noise), offset)| {
            let deviation = scale * (level * (1.0 / OPEN_BEAM_LEVEL)).sqrt();
            // The cast cuts off at 0 and 65,535.
            (level + deviation * noise + 1.5 * offset + 0.5) as u16
        }));
    }
    whole
}

/// Dead and hot pixels.
fn spoil_pixels(levels: &mut [u16], random: &mut Random) {
    let pixels = levels.len();
    // Rounded down: small images have none, as one alone would move their percentiles.
    let count = |share: f32, random: &mut Random| (pixels as f32 * share * random.between(0.5, 1.5)) as usize;
    for _ in 0..count(DEAD_SHARE, random) {
        levels[random.below(pixels)] = random.below(300) as u16;
    }
    for _ in 0..count(HOT_SHARE, random) {
        levels[random.below(pixels)] = (4000 + random.below(61_536)) as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::synth::SynthConfig;
    use crate::dataset::synth::anomaly::Kind;
    use crate::dataset::synth::plan::Plan;
    use cellgate_models::digest::Digest;

    /// The digest of all levels of all parts of a small set. Another digest means that other machines, or this one
    /// before a change, make other images: then raise `GENERATOR` in `write.rs`.
    #[test]
    fn the_levels_of_generator_1_stay_as_they_are() {
        let config = SynthConfig { parts: 24, bundles: 4, scale: 0.1, seed: 1 };
        let plan = Plan::new(&config).unwrap();
        let levels: Vec<u8> = plan
            .parts
            .iter()
            .map(|part| radiograph(&plan.bundles[part.bundle], part, 0.1, config.seed).unwrap())
            .flat_map(|image| image.levels().iter().flat_map(|level| level.to_le_bytes()).collect::<Vec<_>>())
            .collect();
        assert_eq!(Digest::of(&levels).to_string(), "86e3b55772f33181f04b05e7be7b3c8a984d073827e34d89e9f9ba8afc07b190");
    }

    #[test]
    fn most_levels_lie_where_the_papers_do() {
        let plan = Plan::new(&SynthConfig { parts: 60, bundles: 12, scale: 0.1, seed: 3 }).unwrap();
        for part in &plan.parts {
            let image = radiograph(&plan.bundles[part.bundle], part, 0.1, 3).unwrap();
            let inside = image.levels().iter().filter(|level| (1700..=2800).contains(*level)).count();
            let share = inside as f64 / image.levels().len() as f64;
            assert!(share > 0.97, "{part:?}: {share}");
        }
    }

    #[test]
    fn each_kind_changes_the_image_more_the_more_severe_it_is() {
        let plan = Plan::new(&SynthConfig { parts: 1, bundles: 1, scale: 0.1, seed: 3 }).unwrap();
        let (style, part) = (&plan.bundles[0], &plan.parts[0]);
        let levels = |anomalies, seed| {
            let part = PartPlan { anomalies, ..part.clone() };
            let mut electrode = Electrode::new(style, &part, 0.1, &mut Random::new(3, part.stream));
            let mut random = Random::new(seed, 1);
            part.anomalies.iter().for_each(|(kind, severity)| kind.draw(&mut electrode, *severity, &mut random));
            transmitted(&electrode, style, &mut Random::new(3, 99))
        };
        let clean = levels(Vec::new(), 0);
        for kind in Kind::ALL {
            let change = |severity| {
                let changed = (0..6).flat_map(|seed| levels(vec![(kind, severity)], seed));
                changed.zip(clean.iter().cycle()).map(|(one, other)| f64::from((one - other).abs())).sum::<f64>()
            };
            let (minor, severe) = (change(0.1), change(1.0));
            assert!(0.0 < minor && 2.0 * minor < severe, "{kind:?}: {minor} {severe}");
        }
    }

    #[test]
    fn the_exponential_is_near_the_exact_one() {
        for depth in (0..=800).map(|hundredths| hundredths as f32 / 100.0) {
            let (found, exact) = (f64::from(exp_of_minus(depth)), (-f64::from(depth)).exp());
            assert!((found / exact - 1.0).abs() < 1e-3, "{depth}: {found} {exact}");
        }
    }

    #[test]
    fn blurring_keeps_an_even_image_and_spreads_a_point() {
        let mut even = vec![5.0; 12];
        blur(&mut even, 4);
        assert_eq!(even, vec![5.0; 12]);
        let mut point = vec![0.0; 9];
        point[4] = 64.0;
        blur(&mut point, 3);
        assert_eq!(point, [1.0, 6.0, 1.0, 6.0, 36.0, 6.0, 1.0, 6.0, 1.0]);
    }
}
