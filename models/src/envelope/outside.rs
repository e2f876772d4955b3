//! Says which measures of an image are outside of the envelope.

use super::{Measure, Range};
use std::fmt;

/// A measure that is outside of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outside {
    /// The measure.
    pub measure: Measure,
    /// Its value.
    pub found: u32,
    /// Its range in the envelope.
    pub expected: Range,
}

impl fmt::Display for Outside {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, found, expected: Range { low, high } } = *self;
        let words = measure.words();
        match measure {
            Measure::Zeros | Measure::Saturated if found > high => {
                write!(out, "{words} {}, expected at most {}", measure.text(found), measure.text(high))
            }
            _ => write!(out, "{words} {}, expected {low} to {}", measure.text(found), measure.text(high)),
        }
    }
}

/// The measures of an image that are outside of the envelope, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideEnvelope(Vec<Outside>);

impl OutsideEnvelope {
    /// The measures in `outside`; `None` if it is empty.
    pub(super) fn new(outside: Vec<Outside>) -> Option<Self> {
        (!outside.is_empty()).then_some(Self(outside))
    }

    /// Whether a measure is outside of a hard range, so that the image must be rejected.
    #[must_use]
    pub fn is_hard(&self) -> bool {
        self.measures().any(|outside| outside.measure.is_hard())
    }

    /// The measures that are outside, in the order of [`Measure::ALL`].
    pub fn measures(&self) -> impl Iterator<Item = &Outside> {
        self.0.iter()
    }

    /// A text that names the measures with their values and ranges, and says what to look at. If a measure is outside of a hard range,
    /// the text names only those: the levels of a saturated or cropped image are others too. `images` are the images that the envelope
    /// describes, such as "the training images".
    #[must_use]
    pub fn text(&self, images: &str) -> String {
        let named: Vec<&Outside> =
            self.measures().filter(|outside| outside.measure.is_hard() == self.is_hard()).collect();
        let measures = named.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        // Blur and noise also move the outer percentiles, but not the median.
        let median_is_inside = named.first().is_some_and(|first| first.measure != Measure::LevelP50);
        let sharpness = named.iter().find(|outside| median_is_inside && outside.measure == Measure::Sharpness);
        let advice = sharpness.or(named.first()).map_or("", |it| it.measure.advice(it.found, it.expected));
        format!("found {measures} as in {images}: {advice}")
    }
}

impl fmt::Display for OutsideEnvelope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text("the training images"))
    }
}
