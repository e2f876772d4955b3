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
    /// The measures in `outside`; `None` if there are none.
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

    /// A text that names each measure with its value and its range, and says what to look at. `images` are the images that the
    /// envelope describes, such as "the training images".
    #[must_use]
    pub fn text(&self, images: &str) -> String {
        let measures = self.measures().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        // The first measure explains the others: the levels of a cropped image are others too.
        let advice = self.measures().next().map_or("", |first| first.measure.advice(first.found, first.expected));
        format!("found {measures} as in {images}: {advice}")
    }
}

impl fmt::Display for OutsideEnvelope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text("the training images"))
    }
}
