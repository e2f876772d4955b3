//! The colour scale of evidence.

/// An RGB colour.
pub(super) type Rgb = [u8; 3];

/// Colours from little to much evidence at equal distances: the scale *plasma* of Matplotlib at 0, 1/8, 2/8 ... 1.
///
/// Its lightness rises evenly, so people who do not see red or green read it too. No colour of it is grey, so it differs from the
/// radiograph (the scale *cividis* is grey in its middle).
const STOPS: [Rgb; 9] = [
    [13, 8, 135],
    [76, 2, 161],
    [126, 3, 168],
    [170, 35, 149],
    [204, 71, 120],
    [230, 108, 92],
    [248, 149, 64],
    [253, 197, 39],
    [240, 249, 33],
];

/// The opacity of the highest evidence, of 255. The radiograph remains visible below it.
const MOST_OPACITY: u32 = 166;

/// How evidence changes the grey of each pixel.
pub(super) struct Scale {
    /// For each level of evidence, from none to the highest, its colour and its opacity of 255.
    levels: [(Rgb, u32); 256],
}

impl Scale {
    pub(super) fn new() -> Self {
        let steps = STOPS.len() - 1;
        Self {
            levels: std::array::from_fn(|level| {
                let (stop, rest) = (level * steps / 255, level * steps % 255);
                let after = STOPS[(stop + 1).min(steps)];
                // `rest` is below 255 and an opacity at most 255.
                let opacity = |part: usize| u32::try_from(part).unwrap_or(255);
                (mix(STOPS[stop], after, opacity(rest)), MOST_OPACITY * opacity(level) / 255)
            }),
        }
    }

    /// The colour of a pixel with the level `grey` at a place with `evidence`, where the highest evidence of the image is 1.
    pub(super) fn colour(&self, grey: u8, evidence: f64) -> Rgb {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast keeps to 0..=255")]
        let level = (evidence * 255.0).round() as u8;
        let (colour, opacity) = self.levels[usize::from(level)];
        mix([grey; 3], colour, opacity)
    }
}

/// `below` with `above` over it; `opacity` is 0..=255.
fn mix(below: Rgb, above: Rgb, opacity: u32) -> Rgb {
    std::array::from_fn(|channel| {
        let [below, above] = [below, above].map(|colour| u32::from(colour[channel]));
        let sum = below * (255 - opacity) + above * opacity;
        u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_evidence_leaves_every_grey_and_the_highest_gives_the_last_colour() {
        let scale = Scale::new();
        for grey in 0..=255 {
            assert_eq!(scale.colour(grey, 0.0), [grey; 3]);
        }
        assert_eq!(scale.levels[255], (STOPS[8], MOST_OPACITY));
        assert_eq!(scale.colour(100, 1.0), [191, 197, 56]);
        assert_eq!(mix([0, 100, 200], [255, 0, 200], 51), [51, 80, 200]);
    }

    #[test]
    fn lightness_and_opacity_rise_with_evidence() {
        // Luma of ITU-R BT.601, in 1/1000.
        let luma = |[red, green, blue]: Rgb| 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
        for pair in Scale::new().levels.windows(2) {
            let [(darker, less), (lighter, more)] = pair else { unreachable!() };
            assert!(luma(*lighter) >= luma(*darker) && more >= less, "{pair:?}");
        }
    }
}
