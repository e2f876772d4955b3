//! Defines verdicts and the reasons for them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// PASS, REVIEW or REJECT for one part. The names are stable: logs and journals contain them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// The part is normal.
    Pass,
    /// A person decides.
    Review,
    /// The part is abnormal, or could not be judged.
    Reject,
}

impl Verdict {
    /// The stable name: `PASS`, `REVIEW` or `REJECT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Review => "REVIEW",
            Self::Reject => "REJECT",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// Declares the reasons. Each has documentation, a verdict, a variant and a stable name, in one place.
macro_rules! reasons {
    ($($(#[doc = $text:literal])+ $verdict:ident $variant:ident = $name:literal;)+) => {
        /// The reason for a verdict. The names are stable, and reasons are only appended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[doc = $text])+ #[serde(rename = $name)] $variant,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The stable name, for example `SCORE_BELOW_REVIEW`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The verdict of this reason. Each reason has exactly one.
            #[must_use]
            pub fn verdict(self) -> Verdict {
                match self {
                    $(Self::$variant => Verdict::$verdict,)+
                }
            }
        }
    };
}

reasons! {
    /// PASS: the logit is below [`OperatingPoint::review_from`](super::OperatingPoint::review_from).
    Pass ScoreBelowReview = "SCORE_BELOW_REVIEW";
    /// REVIEW: the logit is at or above [`OperatingPoint::review_from`](super::OperatingPoint::review_from) and below [`OperatingPoint::reject_from`](super::OperatingPoint::reject_from).
    Review ScoreFromReview = "SCORE_FROM_REVIEW";
    /// REJECT: the logit is at or above [`OperatingPoint::reject_from`](super::OperatingPoint::reject_from).
    Reject ScoreFromReject = "SCORE_FROM_REJECT";
    /// REJECT: the logit or a whitened feature is NaN or infinite.
    Reject ScoreInvalid = "SCORE_INVALID";
    /// REJECT: the image file could not be read from disk.
    Reject ImageUnreadable = "IMAGE_UNREADABLE";
    /// REJECT: the image's bytes are not a valid TIFF.
    Reject ImageMalformed = "IMAGE_MALFORMED";
    /// REJECT: the image is a TIFF but not a radiograph (one page of one plane, one grey channel, unsigned, 9 to 16 bits).
    Reject ImageUnsupported = "IMAGE_UNSUPPORTED";
    /// REJECT: the image is larger, or takes longer to read and decode, than the limits allow.
    Reject ImageOverLimit = "IMAGE_OVER_LIMIT";
    /// REJECT: the file was replaced or changed after it had arrived for the part.
    Reject ImageMismatch = "IMAGE_MISMATCH";
    /// REJECT: the image could not be converted to the network's input.
    Reject ConversionFailed = "CONVERSION_FAILED";
    /// REJECT: the engine failed, did not return all outputs, or returned a map that does not sum to the logit.
    Reject EngineFailed = "ENGINE_FAILED";
    /// REJECT: the process that decodes images did not answer in time.
    Reject DecoderTimedOut = "DECODER_TIMED_OUT";
    /// REJECT: the process that decodes images crashed, sent an invalid answer or could not be started.
    Reject DecoderFailed = "DECODER_FAILED";
    /// REVIEW: the bundle's reference parts differ from the normal parts that the network was trained on.
    Review BundleUnlikeTraining = "BUNDLE_UNLIKE_TRAINING";
    /// REVIEW: the logit is below [`OperatingPoint::review_from`](super::OperatingPoint::review_from), but the part is unlike the normal parts that the network was trained on: its distance is above [`OperatingPoint::largest_distance`](super::OperatingPoint::largest_distance).
    Review UnlikeTraining = "UNLIKE_TRAINING";
    /// REJECT: the image's size, its share of saturated pixels or its share of pixels with the level 0 is outside of the
    /// model's [envelope](crate::envelope).
    Reject ImageOutOfEnvelope = "IMAGE_OUT_OF_ENVELOPE";
    /// REVIEW: the image's levels or its sharpness are outside of the model's [envelope](crate::envelope), and the part would
    /// not be rejected.
    Review ImageUnlikeTraining = "IMAGE_UNLIKE_TRAINING";
    /// REVIEW: the part would pass or be reviewed, but the bundle's reference parts are being judged, or the part belongs to no
    /// bundle and such parts must not pass.
    Review ReferencePart = "REFERENCE_PART";
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// A verdict with its reason. Make it with [`From<Reason>`](From), so that verdict and reason agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decision {
    /// The verdict on the part.
    pub verdict: Verdict,
    /// Why the verdict is what it is.
    pub reason: Reason,
}

impl Decision {
    /// The decision on the same part if its image is outside of a soft range of the [envelope](crate::envelope). PASS and REVIEW
    /// become REVIEW with [`Reason::ImageUnlikeTraining`], whatever their reason is: what the network computes from such an image
    /// means little, and the image is what a person must look at first. REJECT keeps its reason.
    #[must_use]
    pub fn of_unlike_image(self) -> Self {
        match self.verdict {
            Verdict::Pass | Verdict::Review => Reason::ImageUnlikeTraining.into(),
            Verdict::Reject => self,
        }
    }
}

impl From<Reason> for Decision {
    fn from(reason: Reason) -> Self {
        Self { verdict: reason.verdict(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_text_and_in_json_are_the_same() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{reason}\""));
            assert_eq!(reason.verdict() == Verdict::Pass, reason == Reason::ScoreBelowReview);
        }
        for verdict in [Verdict::Pass, Verdict::Review, Verdict::Reject] {
            assert_eq!(serde_json::to_string(&verdict).unwrap(), format!("\"{verdict}\""));
        }
    }

    #[test]
    fn an_unlike_image_is_reviewed_unless_the_part_is_rejected() {
        for reason in Reason::ALL {
            let found = Decision::from(reason).of_unlike_image();
            let expected = if reason.verdict() == Verdict::Reject { reason } else { Reason::ImageUnlikeTraining };
            assert_eq!(found, Decision { verdict: expected.verdict(), reason: expected });
            assert_ne!(found.verdict, Verdict::Pass);
        }
    }
}
