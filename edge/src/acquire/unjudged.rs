//! Names why an image goes to the archive without a verdict, for log lines and metrics.

use std::fmt;

/// Why an image goes to the archive without a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unjudged {
    /// No trigger asked for the image in time.
    NoTrigger,
    /// The image's part was decided without it.
    TooLate,
    /// The image came while the folder was not watched: neither its completeness nor its part is known.
    Unwatched,
    /// Images are matched by order, and images and triggers were out of step or this image put them out of step.
    OutOfOrder,
}

impl Unjudged {
    /// All variants, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::NoTrigger, Self::TooLate, Self::Unwatched, Self::OutOfOrder];

    /// The stable name, for example `no_trigger`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoTrigger => "no_trigger",
            Self::TooLate => "too_late",
            Self::Unwatched => "unwatched",
            Self::OutOfOrder => "out_of_order",
        }
    }
}

impl fmt::Display for Unjudged {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::NoTrigger => "no trigger asked for it in time",
            Self::TooLate => "its part was decided without it",
            Self::Unwatched => "it came while the folder was not watched",
            Self::OutOfOrder => "the order of images and triggers was lost, so its part is not known",
        })
    }
}
