//! Why an image goes to the archive without having been judged.

use std::fmt;

/// Why an image goes to the archive without having been judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unjudged {
    /// No trigger asked for it in time.
    NoTrigger,
    /// Its part was decided without it.
    TooLate,
    /// It came while nobody watched: nobody knows whether it is whole, or whose.
    Unwatched,
    /// Matched by order, which was lost, also by this image.
    OutOfOrder,
}

impl Unjudged {
    /// All of them.
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
            Self::Unwatched => "it came while nobody watched",
            Self::OutOfOrder => "the order of images and triggers was lost, so nobody knows whose it is",
        })
    }
}
