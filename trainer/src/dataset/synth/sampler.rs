//! Makes single synthetic electrodes without a data set, for `pretrain`. Each electrode has a number.

use super::design::SetDesign;
use super::kind::AnomalyKind;
use super::random::Random;
use super::render::Renderer;
use super::style::CoatingMethod;
use super::{SynthConfig, SynthError};
use cellgate_models::radiograph::{Radiograph, ShapeError};

/// An anomaly of this severity or more makes a part abnormal.
pub(crate) const ABNORMAL_SEVERITY: f32 = super::design::ABNORMAL_SEVERITY;
/// The number of kinds of anomaly.
pub(crate) const KINDS: usize = AnomalyKind::ALL.len();
/// The number of coatings: each coating method, lengthwise and crosswise.
pub(crate) const COATINGS: usize = 2 * CoatingMethod::ALL.len();

/// Bundles in one set design. Each bundle has one electrode.
const BUNDLES: usize = 12;
/// First of the random streams that draw anomalies. Their numbers are far above those of the streams of rendering.
const ANOMALY_STREAM: u64 = 1 << 43;

/// Why an electrode could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SampleError {
    /// The scale is out of its range.
    #[error(transparent)]
    Synth(#[from] SynthError),
    /// The image has an invalid shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// A drawn anomaly.
pub(crate) struct Drawn {
    /// Index of the anomaly's kind in the paper's order, below [`KINDS`].
    pub(crate) kind: usize,
    /// Severity, 0..=1.
    pub(crate) severity: f32,
    /// 255 where the anomaly is, 0 elsewhere. Pixels are row by row.
    pub(crate) mask: Vec<u8>,
}

/// An electrode's radiograph with the values that the generator drew it from.
pub(crate) struct Sample {
    pub(crate) radiograph: Radiograph,
    pub(crate) anomalies: Vec<Drawn>,
    /// Index of coating method and direction, below [`COATINGS`].
    pub(crate) coating: usize,
    /// Mean optical depth of the coating.
    pub(crate) thickness: f32,
    /// Amplitude of the coating's mottle, relative to its loading.
    pub(crate) mottle: f32,
    /// Size of the mottle's grain in pixels of this image.
    pub(crate) grain_px: f32,
}

/// Makes the electrodes of one scale.
pub(crate) struct Sampler {
    config: SynthConfig,
    renderer: Renderer,
}

impl Sampler {
    /// Makes a sampler of electrodes of `scale`, 0.05..=2, from `seed`.
    pub(crate) fn new(seed: u64, scale: f64) -> Self {
        let config = SynthConfig { parts: BUNDLES, bundles: BUNDLES, scale, seed };
        Self { config, renderer: Renderer::new(&config) }
    }

    /// Makes the electrode with the given number, which must be below 2^40. The electrode depends only on seed, scale and number.
    ///
    /// Coating methods and thicknesses are spread over each group of twelve electrodes. Kinds of anomaly are equally
    /// frequent, severities are uniformly distributed from 0.1 to 1, and on average one electrode in six is flawless.
    ///
    /// # Errors
    /// [`SampleError`] if the scale is out of its range.
    pub(crate) fn sample(&self, number: u64) -> Result<Sample, SampleError> {
        let set = number / BUNDLES as u64;
        let design = SetDesign::new(&SynthConfig { seed: mixed(self.config.seed, set), ..self.config })?;
        let mut part = design.parts[(number % BUNDLES as u64) as usize].clone();
        let style = &design.bundles[part.bundle];
        let mut random = Random::new(self.config.seed, ANOMALY_STREAM + number);
        part.stream = number;
        part.anomalies.clear();
        let mut kinds = AnomalyKind::ALL;
        random.shuffle(&mut kinds);
        if random.happens(5.0 / 6.0) {
            let count = 1 + random.below(4);
            part.anomalies.extend(kinds[..count].iter().map(|kind| (*kind, random.between(0.1, 1.0))));
        }
        let rendered = self.renderer.render(style, &part)?;
        let drawn = part.anomalies.iter().zip(rendered.masks);
        Ok(Sample {
            radiograph: rendered.radiograph,
            anomalies: drawn.map(|(&(kind, severity), mask)| Drawn { kind: kind as usize, severity, mask }).collect(),
            coating: 2 * style.method as usize + usize::from(style.crosswise),
            thickness: part.loading * style.coating_depth,
            mottle: style.mottle,
            grain_px: style.mottle_px * self.config.scale as f32,
        })
    }
}

/// Derives the seed of the set design with the number `set` from `seed`, by SplitMix64's finaliser (Steele, Lea, Flood 2014). The
/// result is unlikely to equal a seed that a user chose.
fn mixed(seed: u64, set: u64) -> u64 {
    let x = seed.wrapping_add(set.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_electrode_depends_on_seed_and_number() {
        let image = |seed, number| Sampler::new(seed, 0.06).sample(number).unwrap().radiograph.levels().to_vec();
        assert_eq!(image(1, 40), image(1, 40));
        assert_ne!(image(1, 40), image(1, 41));
        assert_ne!(image(1, 40), image(2, 40));
    }

    #[test]
    fn kinds_severities_and_coatings_are_spread() {
        let sampler = Sampler::new(3, 0.05);
        let samples: Vec<_> = (0..120).map(|number| sampler.sample(number).unwrap()).collect();
        let drawn: Vec<_> = samples.iter().flat_map(|sample| &sample.anomalies).collect();
        for kind in 0..KINDS {
            assert!(drawn.iter().filter(|drawn| drawn.kind == kind).count() > 5, "{kind}");
        }
        assert!(drawn.iter().any(|drawn| drawn.severity < 0.25) && drawn.iter().any(|drawn| drawn.severity > 0.85));
        assert!(drawn.iter().all(|drawn| (0.1..=1.0).contains(&drawn.severity)));
        assert!((8..40).contains(&samples.iter().filter(|sample| sample.anomalies.is_empty()).count()));
        assert!((0..COATINGS).all(|coating| samples.iter().any(|sample| sample.coating == coating)));
    }
}
