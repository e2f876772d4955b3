//! Renders the design of a part: the electrode's materials, its anomalies with their masks, and the radiograph.

use super::design::PartDesign;
use super::detector::{Detector, OPEN_BEAM_LEVEL};
use super::electrode::Electrode;
use super::kind::AnomalyKind;
use super::random::Random;
use super::style::BundleStyle;
use cellgate_models::radiograph::{Radiograph, ShapeError};

/// A mask is white where its anomaly changes the level by this much or more. This is a fifth of the noise: smaller changes are not
/// visible.
pub(super) const MASK_LEVELS: f32 = 3.0;

/// A rendered part.
pub(super) struct Rendered {
    /// The image.
    pub(super) radiograph: Radiograph,
    /// The mask of each of the design's anomalies: 255 where the anomaly is, 0 elsewhere, row by row.
    pub(super) masks: Vec<Vec<u8>>,
}

/// Renders the parts of one data set.
pub(super) struct Renderer {
    detector: Detector,
    /// Length of a full-scale pixel in pixels.
    px: f32,
    seed: u64,
}

impl Renderer {
    /// Makes the renderer for a data set.
    pub(super) fn new(config: &super::SynthConfig) -> Self {
        Self { detector: Detector::new(config), px: config.scale as f32, seed: config.seed }
    }

    /// Renders the part of `design` in the style of its bundle.
    ///
    /// # Errors
    /// [`ShapeError`] for a design without pixels.
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

/// Draws an anomaly and returns its mask.
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

/// The optical depth of all layers together.
fn depth(tray: f32, substrate: f32, coating: f32, style: &BundleStyle) -> f32 {
    (tray + substrate * style.substrate_depth + coating * style.coating_depth).max(0.0)
}

/// The levels of the primary beam behind the electrode, by the Beer-Lambert law. `beam` is the beam's strength, nominally 1.
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

/// exp(-`depth`) within 0.1 %, for `depth` in 0..=8. Uses exactly rounded operations only, so that it returns the same bits on
/// every machine, unlike the system's function.
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
