//! Draws the appearance of a bundle's parts. All parts of a bundle share one coating method and one ink mixture.

use super::SynthConfig;
use super::kind::AnomalyKind;
use super::random::Random;

/// How ink is applied to the sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CoatingMethod {
    /// Through a slot: fine streaks along the coating's direction, thicker beads at both sides.
    SlotDie,
    /// With a blade: broad streaks along the coating's direction, thicker towards one side.
    Blade,
    /// In passes of a nozzle: grainy, soft at the edges, bands where passes overlap.
    Spray,
    /// Through a mesh: the mesh's weave stays visible.
    ScreenPrint,
}

impl CoatingMethod {
    pub(super) const ALL: [Self; 4] = [Self::SlotDie, Self::Blade, Self::Spray, Self::ScreenPrint];

    /// The name as shown to users.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SlotDie => "slot die",
            Self::Blade => "blade",
            Self::Spray => "spray",
            Self::ScreenPrint => "screen print",
        }
    }

    /// The kinds of anomaly that this coating method causes more often than other kinds.
    fn frequent(self) -> [AnomalyKind; 4] {
        match self {
            Self::SlotDie => {
                [AnomalyKind::Lines, AnomalyKind::InkEntryExit, AnomalyKind::InkFluctuations, AnomalyKind::EdgeInkFlow]
            }
            Self::Blade => {
                [AnomalyKind::Scratches, AnomalyKind::Lines, AnomalyKind::EdgeTensions, AnomalyKind::Agglomerate]
            }
            Self::Spray => {
                [AnomalyKind::Bubbles, AnomalyKind::Agglomerate, AnomalyKind::InkFluctuations, AnomalyKind::Smudges]
            }
            Self::ScreenPrint => {
                [AnomalyKind::MissingInk, AnomalyKind::Smudges, AnomalyKind::EdgeInkFlow, AnomalyKind::Bubbles]
            }
        }
    }
}

/// The appearance of a bundle. Depths are optical depths: a layer multiplies levels by e^-depth. Amplitudes are relative to
/// the coating's nominal loading. Lengths are in pixels at full scale.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BundleStyle {
    pub(super) name: String,
    pub(super) method: CoatingMethod,
    /// Whether the coating head runs from left to right instead of from top to bottom.
    pub(super) crosswise: bool,
    /// Depth of the bare sheet.
    pub(super) substrate_depth: f32,
    /// Amplitude of the sheet's fibres, relative to the sheet's thickness.
    pub(super) fibres: f32,
    /// Depth of the coating at its nominal loading: the bundle's mean thickness.
    pub(super) coating_depth: f32,
    /// Amplitude of the coating's mottle and the size of its grain.
    pub(super) mottle: f32,
    pub(super) mottle_px: f32,
    /// Amplitude of slow changes over the part.
    pub(super) unevenness: f32,
    /// Amplitude and breadth of streaks along the coating's direction.
    pub(super) streaks: f32,
    pub(super) streak_px: f32,
    /// Change of the loading across the coating's direction, from one side to the other.
    pub(super) wedge: f32,
    /// Thickening at both sides of the coating.
    pub(super) bead: f32,
    /// Amplitude and breadth of overlapping passes.
    pub(super) passes: f32,
    pub(super) pass_px: f32,
    /// Amplitude and width of the mesh's weave.
    pub(super) weave: f32,
    pub(super) weave_px: f32,
    /// Width of the coating's edge, from no coating to full coating.
    pub(super) edge_px: f32,
    /// Change of the loading from the bundle's first part to its last.
    pub(super) drift: f32,
    /// Relative change of the beam from the top to the bottom of the image.
    pub(super) heel: f32,
    /// Noise of the images, relative to the detector's usual noise.
    pub(super) noise: f32,
    /// How often each kind of [`AnomalyKind::ALL`] occurs, relative to the other kinds.
    pub(super) frequency: [f32; AnomalyKind::ALL.len()],
}

/// Makes the styles of all bundles of `config`. Thicknesses are spread evenly over the bundles, and coating methods take turns.
pub(super) fn of_bundles(config: &SynthConfig) -> Vec<BundleStyle> {
    let mut random = Random::new(config.seed, STREAM);
    let mut ranks: Vec<_> = (0..config.bundles).collect();
    random.shuffle(&mut ranks);
    let mut methods = CoatingMethod::ALL;
    random.shuffle(&mut methods);
    ranks
        .into_iter()
        .enumerate()
        .map(|(bundle, rank)| {
            let thickness = (rank as f32 + random.unit()) / config.bundles as f32;
            // Successive bundles of one coating method alternate between both directions.
            let turn = bundle / methods.len();
            BundleStyle::new(bundle, methods[bundle % methods.len()], turn % 2 == 1, thickness, &mut random)
        })
        .collect()
}

/// The random stream of all styles. Its number is far above those of the parts' streams.
const STREAM: u64 = 1 << 41;

impl BundleStyle {
    /// The coating method and its direction, as in the manifest and on the contact sheet.
    pub(super) fn coating(&self) -> String {
        format!("{} {}", self.method.name(), if self.crosswise { "crosswise" } else { "lengthwise" })
    }

    /// Makes the style of one bundle. `thickness` is 0..=1, from the thinnest of all bundles to the thickest.
    fn new(bundle: usize, method: CoatingMethod, crosswise: bool, thickness: f32, random: &mut Random) -> Self {
        let only = |wanted: CoatingMethod, value: f32| if method == wanted { value } else { 0.0 };
        let grainy = if method == CoatingMethod::Spray { 1.5 } else { 1.0 };
        let streaky = match method {
            CoatingMethod::SlotDie => 1.0,
            CoatingMethod::Blade => 0.8,
            CoatingMethod::Spray | CoatingMethod::ScreenPrint => 0.15,
        };
        let mut frequency = [1.0; AnomalyKind::ALL.len()];
        let mut favour = |kind: AnomalyKind| frequency[kind as usize] += 5.0;
        method.frequent().into_iter().for_each(&mut favour);
        // The ink mixture favours one more kind.
        favour(AnomalyKind::ALL[random.below(AnomalyKind::ALL.len())]);
        Self {
            name: format!("bundle {}", bundle + 1),
            method,
            crosswise,
            substrate_depth: random.between(0.035, 0.06),
            fibres: random.between(0.06, 0.14),
            coating_depth: 0.095 + 0.2 * thickness,
            mottle: random.between(0.012, 0.045) * grainy,
            mottle_px: random.between(7.0, 24.0),
            unevenness: random.between(0.008, 0.03),
            streaks: random.between(0.01, 0.03) * streaky,
            streak_px: if method == CoatingMethod::Blade { 22.0 } else { 6.0 },
            wedge: only(CoatingMethod::Blade, random.sign() * random.between(0.04, 0.09)),
            bead: only(CoatingMethod::SlotDie, random.between(0.05, 0.14)),
            passes: only(CoatingMethod::Spray, random.between(0.012, 0.036)),
            pass_px: random.between(110.0, 190.0),
            weave: only(CoatingMethod::ScreenPrint, random.between(0.02, 0.045)),
            weave_px: random.between(11.0, 17.0),
            edge_px: if method == CoatingMethod::Spray { 16.0 } else { 4.0 },
            drift: random.sign() * random.between(0.02, 0.09),
            heel: random.between(-0.015, 0.015),
            noise: random.between(0.85, 1.25),
            frequency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_differ_in_thickness_method_and_direction() {
        let styles = of_bundles(&SynthConfig::default());
        let mut depths: Vec<_> = styles.iter().map(|style| style.coating_depth).collect();
        depths.sort_by(f32::total_cmp);
        assert!(depths[0] < 0.12 && depths[11] > 0.27, "{depths:?}");
        for method in CoatingMethod::ALL {
            let of_method: Vec<_> = styles.iter().filter(|style| style.method == method).collect();
            assert_eq!(of_method.len(), 3, "{method:?}");
            assert!(of_method.iter().any(|style| style.crosswise) && of_method.iter().any(|style| !style.crosswise));
        }
    }
}
