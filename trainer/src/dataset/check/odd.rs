//! Finds single images that differ from the other images of a data set, for example because a program between the scanner and the
//! data set swapped the bytes of the levels.
//!
//! The reference is the data set itself: the median over all images, at each position of their sorted levels and in each field of
//! their layout. A distance is the mean difference between sorted levels, divided by the range of the reference's levels.

use super::finding::{Finding, FindingKind};
use crate::dataset::look::{Look, SAMPLE};

/// Smallest number of images that are compared. The median of fewer images is no reference.
const MIN_IMAGES: usize = 4;
/// Index of the 1st percentile in [`Look::sample`].
const LOW: usize = 2;
/// Index of the 99th percentile in [`Look::sample`].
const HIGH: usize = SAMPLE - 3;

/// A mistake is reported only if three conditions hold. First, the image is far from the reference: its distance is above the first
/// number here, and above the second number times the median distance of all images.
const FAR: (f64, f64) = (0.3, 2.0);
/// Second, the image is near the reference once the mistake is undone: its distance is then at most the first number here, or at
/// most the second number times the median distance.
const NEAR: (f64, f64) = (0.3, 4.0);
/// Third, the distance after undoing the mistake is below this share of the distance before.
const EXPLAINED: f64 = 0.25;
/// An image that no mistake explains is reported if its distance is above the first number, and above the second number times the
/// median distance of all images.
const UNLIKE: (f64, f64) = (1.0, 5.0);
/// Correlations of images' layouts with the reference's layout. The images share one layout if the median correlation is at least
/// the first number. If they do, an image whose correlation is at most the second number is a negative.
const LAYOUT: (f64, f64) = (0.5, -0.5);
/// An image is partly blank if its share of dark pixels is at least the first number, and the median of these shares over all
/// images is at most the second number.
const DARK: (f64, f64) = (0.05, 0.01);
/// An image is also partly blank if the share of its commonest level is at least the first number, and the median of these shares
/// over all images is at most the second number.
const ONE_LEVEL: (f64, f64) = (1.0 / 3.0, 0.05);
/// Pixels count as dark only if the reference's 1st percentile is at least this level.
const DARK_FROM: f64 = 32.0;

/// A mistake that changed the levels of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mistake {
    Inverted,
    ByteSwapped,
    /// Levels multiplied by two to the power of this number.
    Scaled(i32),
}

impl Mistake {
    /// All mistakes that are tried. The levels may be scaled by 1/256 to 256.
    fn all() -> impl Iterator<Item = Self> {
        (-8..=8).filter(|power| *power != 0).map(Self::Scaled).chain([Self::ByteSwapped, Self::Inverted])
    }

    /// The image's distance from the reference `usual` after this mistake is undone.
    fn distance_undone(self, look: &Look, usual: &Usual) -> f64 {
        let undone = |undo: &dyn Fn(u16) -> f64| {
            let mut levels: Vec<f64> = look.sample.iter().map(|level| undo(*level)).collect();
            levels.sort_unstable_by(f64::total_cmp);
            usual.distance(&levels)
        };
        match self {
            Self::ByteSwapped => undone(&|level| level.swap_bytes().into()),
            Self::Scaled(power) => undone(&|level| f64::from(level) / 2_f64.powi(power)),
            // White may be the largest number of 9 to 16 bits, unshifted or shifted to the left to 16 bits. The white that gives
            // the smallest distance counts.
            Self::Inverted => {
                let whites = (9..=16).flat_map(|bits| [u16::MAX >> (16 - bits), u16::MAX << (16 - bits)]);
                let whites = whites.filter(|white| look.sample.iter().all(|level| level <= white));
                whites.map(|white| undone(&|level| (white - level).into())).fold(f64::INFINITY, f64::min)
            }
        }
    }

    /// The kind and the text of the finding.
    fn finding(self) -> (FindingKind, String) {
        match self {
            Self::Inverted => {
                (FindingKind::Inverted, "a negative compared with the other images: black and white are swapped".into())
            }
            Self::ByteSwapped => (
                FindingKind::ByteSwapped,
                "the two bytes of each level are swapped, compared with the other images".into(),
            ),
            Self::Scaled(power) => {
                let factor = 2_u32.pow(power.unsigned_abs());
                let times = if power > 0 { format!("{factor} times") } else { format!("1/{factor} of") };
                (FindingKind::Scaled, format!("the levels are {times} those of the other images"))
            }
        }
    }
}

/// The reference: medians over all images of the data set.
struct Usual {
    /// The median at each position of [`Look::sample`].
    sample: Vec<f64>,
    /// The range of the levels in `sample`, from the 1st to the 99th percentile; never 0.
    range: f64,
    /// The median in each field of [`Look::layout`].
    layout: Vec<f64>,
    /// The median of the images' distances from this reference.
    distance: f64,
    /// The median of the correlations of the images' layouts with `layout`.
    correlation: f64,
    /// The median share of an image's commonest level.
    one_level: f64,
    /// The median share of an image's dark pixels.
    dark: f64,
}

impl Usual {
    fn of(looks: &[&Look]) -> Self {
        let medians = |values: &dyn Fn(&Look, usize) -> f64| -> Vec<f64> {
            (0..SAMPLE).map(|at| median(looks.iter().map(|look| values(look, at)))).collect()
        };
        let sample = medians(&|look, at| look.sample[at].into());
        // At least 2 % of the median level and at least 16 levels, so that small differences between almost flat images don't
        // count.
        let range = (sample[HIGH] - sample[LOW]).max(0.02 * sample[SAMPLE / 2]).max(16.0);
        let layout = medians(&|look, at| look.layout[at]);
        let mut usual = Self { sample, range, layout, distance: 0.0, correlation: 0.0, one_level: 0.0, dark: 0.0 };
        usual.distance = median(looks.iter().map(|look| usual.distance_of(look)));
        usual.correlation = median(looks.iter().map(|look| correlation(&look.layout, &usual.layout)));
        usual.one_level = median(looks.iter().map(|look| look.commonest.1));
        usual.dark = median(looks.iter().map(|look| usual.dark_share(look)));
        usual
    }

    /// The distance of an image from this reference. `levels` are the image's sample, sorted.
    fn distance(&self, levels: &[f64]) -> f64 {
        let sum: f64 = levels.iter().zip(&self.sample).map(|(level, usual)| (level - usual).abs()).sum();
        sum / (SAMPLE as f64 * self.range)
    }

    fn distance_of(&self, look: &Look) -> f64 {
        self.distance(&look.sample.iter().map(|level| f64::from(*level)).collect::<Vec<_>>())
    }

    /// The share of dark pixels: those below half the reference's 1st percentile.
    fn dark_share(&self, look: &Look) -> f64 {
        if self.sample[LOW] < DARK_FROM {
            return 0.0;
        }
        let dark = look.sample.iter().filter(|level| f64::from(**level) < self.sample[LOW] / 2.0).count();
        dark as f64 / SAMPLE as f64
    }

    /// The mistake that explains the levels best. `None` if no mistake explains them.
    fn mistake(&self, look: &Look) -> Option<Mistake> {
        let distance = self.distance_of(look);
        if distance > FAR.0.max(FAR.1 * self.distance) {
            let undone = Mistake::all().map(|mistake| (mistake.distance_undone(look, self), mistake));
            let (left, mistake) = undone.min_by(|(one, _), (other, _)| one.total_cmp(other))?;
            if left < EXPLAINED * distance && left <= NEAR.0.max(NEAR.1 * self.distance) {
                return Some(mistake);
            }
        }
        None
    }

    /// The kind and the text of the finding for one image. `None` if the image is like the other images.
    fn finding(&self, image: &Image<'_>) -> Option<(FindingKind, String)> {
        let look = image.look;
        if let Some(mistake) = self.mistake(look) {
            return Some(mistake.finding());
        }
        // Saturation is a finding of its own. It can also cause the findings below, because it gives high levels, one frequent
        // level and another layout.
        if image.is_saturated {
            return None;
        }
        // A negative can have the same levels as the other images. Then only its layout shows that it is a negative.
        if self.correlation >= LAYOUT.0 && correlation(&look.layout, &self.layout) <= LAYOUT.1 {
            return Some(Mistake::Inverted.finding());
        }
        let dark = self.dark_share(look);
        if dark >= DARK.0 && self.dark <= DARK.1 {
            let level = self.sample[LOW] / 2.0;
            let text = format!(
                "{:.0} % of the pixels are below level {level:.0}, far darker than in the other images",
                100.0 * dark
            );
            return Some((FindingKind::PartlyBlank, text));
        }
        let (level, share) = look.commonest;
        if share >= ONE_LEVEL.0 && self.one_level <= ONE_LEVEL.1 {
            return Some((
                FindingKind::PartlyBlank,
                format!("{:.0} % of the pixels have the same level, {level}", 100.0 * share),
            ));
        }
        if self.distance_of(look) > UNLIKE.0.max(UNLIKE.1 * self.distance) {
            let text = format!(
                "98 % of the levels are in {} to {}, but in {:.0} to {:.0} in the other images",
                look.sample[LOW], look.sample[HIGH], self.sample[LOW], self.sample[HIGH]
            );
            return Some((FindingKind::OtherLevels, text));
        }
        None
    }
}

/// An image to compare with the other images of the data set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image<'a> {
    pub(super) name: &'a str,
    pub(super) look: &'a Look,
    /// Whether the image is already reported as saturated.
    pub(super) is_saturated: bool,
}

/// Compares `images` with each other. Returns no findings for fewer than [`MIN_IMAGES`].
pub(super) fn of_looks(images: &[Image<'_>]) -> Vec<Finding> {
    if images.len() < MIN_IMAGES {
        return Vec::new();
    }
    let usual = Usual::of(&images.iter().map(|image| image.look).collect::<Vec<_>>());
    let found = images.iter().filter_map(|image| Some((image.name, usual.finding(image)?)));
    found.map(|(name, (kind, text))| Finding::new(kind, format!("{name}: {text}"), vec![name.to_owned()])).collect()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count => f64::midpoint(values[(count - 1) / 2], values[count / 2]),
    }
}

/// Pearson's correlation; 0 if either side is constant.
fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_one, mean_other) = (mean(one), mean(other));
    let (mut both, mut own, mut others) = (0.0, 0.0, 0.0);
    for (one, other) in one.iter().zip(other) {
        let (one, other) = (one - mean_one, other - mean_other);
        (both, own, others) = (both + one * other, own + one * one, others + other * other);
    }
    let scale = (own * others).sqrt();
    if scale > 0.0 { both / scale } else { 0.0 }
}

#[cfg(test)]
mod tests;
