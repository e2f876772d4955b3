//! The *envelope*: what the training images were like, as a range of each [`Measure`] of an image.
//!
//! A network says nothing sensible about an image that was taken with the tube off, with another exposure, or with another bit
//! alignment. So a device measures each radiograph before it is judged and compares the measures with the model's envelope
//! (`envelope.json`). An image outside of a hard range is a REJECT, and the network does not see it. An image outside of a soft
//! range is judged, but it does not pass; see [`Decision::of_unlike_image`](crate::policy::Decision::of_unlike_image).
//!
//! | file | concept |
//! |---|---|
//! | `measure` | what is measured, and what to look at if a measure is outside of its range |
//! | `measures` | the measures of one radiograph |
//! | `saturation` | which pixels count as saturated |
//! | `range` | the range of a measure |
//! | `ranges` | the envelope: one range for each measure |
//! | `estimate` | the envelope of the images of several bundles |
//! | `outside` | the measures of an image that are outside of the envelope, and their text |

mod estimate;
mod measure;
mod measures;
mod outside;
mod range;
mod ranges;
mod saturation;

pub use measure::Measure;
pub use measures::{Measurer, Measures};
pub use outside::{Outside, OutsideEnvelope};
pub use range::Range;
pub use ranges::{Envelope, EnvelopeError};
