//! Renders a design into a radiograph: the electrode's materials, its anomalies with their masks, and the transmitted beam.

use super::design::PartDesign;
use super::detector::{Detector, OPEN_BEAM_LEVEL};
use super::electrode::Electrode;
use super::kind::AnomalyKind;
use super::random::Random;
use super::style::BundleStyle;
use cellgate_models::radiograph::{Radiograph, ShapeError};

/// A mask is white where its anomaly changes the level by this much or more. This is about a fifth of the noise's standard
/// deviation; smaller changes are not visible.
pub(super) const MASK_LEVELS: f32 = 3.0;

/// A rendered part.
pub(super) struct Rendered {
    /// The part's radiograph.
    pub(super) radiograph: Radiograph,
    /// One mask for each of the design's anomalies: 255 where the anomaly is, 0 elsewhere. Pixels are row by row.
    pub(super) masks: Vec<Vec<u8>>,
}

/// Renders the parts of one data set.
pub(super) struct Renderer {
    detector: Detector,
    /// Length of a full-scale pixel in pixels of the images.
    px: f32,
    seed: u64,
}

impl Renderer {
    /// Makes the renderer for the data set of `config`.
    pub(super) fn new(config: &super::SynthConfig) -> Self {
        Self { detector: Detector::new(config), px: config.scale as f32, seed: config.seed }
    }

    /// Renders the part that `design` describes, in the style of its bundle.
    ///
    /// # Errors
    /// [`ShapeError`] if the design's width or height is 0.
    pub(super) fn render(&self, style: &BundleStyle, design: &PartDesign) -> Result<Rendered, ShapeError> {
        let mut random = Random::new(self.seed, design.stream);
        let mut electrode = Electrode::new(style, design, self.px, &mut random);
        let masks = design
            .anomalies
            .iter()
            .map(|(kind, severity)| draw(*kind, *severity, &mut electrode, style, &mut random))
            .collect();
        let levels = transmitted(&electrode, style, design.beam);
        let levels = self.detector.take(levels, design.width as usize, style.noise, &mut random);
        Ok(Rendered { radiograph: Radiograph::new(design.width, design.height, levels)?, masks })
    }
}

/// Draws an anomaly into `electrode` and returns the anomaly's mask.
fn draw(
    kind: AnomalyKind,
    severity: f32,
    electrode: &mut Electrode,
    style: &BundleStyle,
    random: &mut Random,
) -> Vec<u8> {
    let before = (electrode.substrate.values.clone(), electrode.coating.values.clone());
    kind.draw(electrode, severity, random);
    let before = before.0.iter().zip(&before.1);
    let after = electrode.substrate.values.iter().zip(&electrode.coating.values);
    let level = |tray: f32, (substrate, coating): (&f32, &f32)| {
        OPEN_BEAM_LEVEL * exp_of_minus(depth(tray, *substrate, *coating, style))
    };
    electrode
        .tray
        .values
        .iter()
        .zip(before.zip(after))
        .map(|(tray, (before, after))| {
            let is_changed = before != after && (level(*tray, before) - level(*tray, after)).abs() >= MASK_LEVELS;
            if is_changed { u8::MAX } else { 0 }
        })
        .collect()
}

/// The total optical depth of the layers.
fn depth(tray: f32, substrate: f32, coating: f32, style: &BundleStyle) -> f32 {
    (tray + substrate * style.substrate_depth + coating * style.coating_depth).max(0.0)
}

/// Levels of the beam behind the electrode by the Beer-Lambert law, without scatter, blur and noise. `beam` is the beam's strength,
/// nominally 1.
fn transmitted(electrode: &Electrode, style: &BundleStyle, beam: f32) -> Vec<f32> {
    let (width, height) = (electrode.coating.width, electrode.coating.height);
    let mut levels = Vec::with_capacity(width * height);
    let rows = electrode.substrate.values.chunks_exact(width).zip(electrode.coating.values.chunks_exact(width));
    for (y, ((substrate, coating), tray)) in rows.zip(electrode.tray.values.chunks_exact(width)).enumerate() {
        let gain = OPEN_BEAM_LEVEL * beam * (1.0 + style.heel * (y as f32 / height as f32 - 0.5));
        let materials = tray.iter().zip(substrate).zip(coating);
        levels.extend(
            materials
                .map(|((tray, substrate), coating)| gain * exp_of_minus(depth(*tray, *substrate, *coating, style))),
        );
    }
    levels
}

/// Returns e to the power of -`depth` within 0.1 %, for `depth` 0..=8. Uses exactly rounded operations only, so that the bits are
/// the same on every machine. The bits of the standard library's `exp` may differ between machines.
fn exp_of_minus(depth: f32) -> f32 {
    let step = depth * (-1.0 / 32.0);
    let mut power = 1.0 + step * (1.0 + step * (0.5 + step * (1.0 / 6.0 + step * (1.0 / 24.0))));
    for _ in 0..5 {
        power *= power;
    }
    power
}

#[cfg(test)]
mod tests;
