//! The policy: two thresholds that turn a part's score into a verdict with its reason.
//!
//! A part passes only with a finite score in 0..=1 below the lower threshold. If there is no score because an earlier step failed,
//! the verdict is REJECT, and the [`Reason`] names the step.

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
    /// PASS: the score is below [`Policy::review_from`].
    Pass ScoreBelowReview = "SCORE_BELOW_REVIEW";
    /// REVIEW: the score is at or above [`Policy::review_from`] and below [`Policy::reject_from`].
    Review ScoreFromReview = "SCORE_FROM_REVIEW";
    /// REJECT: the score is at or above [`Policy::reject_from`].
    Reject ScoreFromReject = "SCORE_FROM_REJECT";
    /// REJECT: the score is NaN, infinite or outside 0..=1.
    Reject ScoreInvalid = "SCORE_INVALID";
    /// REJECT: the image file could not be read from disk.
    Reject ImageUnreadable = "IMAGE_UNREADABLE";
    /// REJECT: the image's bytes are not a valid TIFF.
    Reject ImageMalformed = "IMAGE_MALFORMED";
    /// REJECT: the image is a TIFF but not a radiograph (one page of one plane, one grey channel, unsigned, 9 to 16 bits).
    Reject ImageUnsupported = "IMAGE_UNSUPPORTED";
    /// REJECT: the image is larger than the limits allow, or reading and decoding it takes longer.
    Reject ImageOverLimit = "IMAGE_OVER_LIMIT";
    /// REJECT: the file was replaced or changed after it had arrived for the part.
    Reject ImageMismatch = "IMAGE_MISMATCH";
    /// REJECT: the image could not be converted to the network's input.
    Reject ConversionFailed = "CONVERSION_FAILED";
    /// REJECT: the engine returned no score.
    Reject EngineFailed = "ENGINE_FAILED";
    /// REJECT: the process that decodes images did not answer in time.
    Reject DecoderTimedOut = "DECODER_TIMED_OUT";
    /// REJECT: the process that decodes images crashed, sent an invalid answer or could not be started.
    Reject DecoderFailed = "DECODER_FAILED";
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

impl From<Reason> for Decision {
    fn from(reason: Reason) -> Self {
        Self { verdict: reason.verdict(), reason }
    }
}

/// The thresholds are out of range or in the wrong order.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "policy: found review_from {review_from}, reject_from {reject_from}; \
     expected 0 <= review_from <= reject_from <= 1, both finite"
)]
pub struct PolicyError {
    /// The lower threshold that was given.
    pub review_from: f32,
    /// The upper threshold that was given.
    pub reject_from: f32,
}

/// Two thresholds on the score, the network's estimate from 0 to 1 that a part is abnormal. A model stores them in `policy.json`.
///
/// A part passes below `review_from` and is rejected from `reject_from` on. Between the two, a person reviews it. With equal
/// thresholds there is no REVIEW. With `review_from` 0 nothing passes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Thresholds")]
pub struct Policy {
    review_from: f32,
    reject_from: f32,
}

/// The thresholds as read from a file, not yet checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Thresholds {
    review_from: f32,
    reject_from: f32,
}

impl TryFrom<Thresholds> for Policy {
    type Error = PolicyError;

    fn try_from(thresholds: Thresholds) -> Result<Self, PolicyError> {
        Self::new(thresholds.review_from, thresholds.reject_from)
    }
}

impl Policy {
    /// A policy with these thresholds.
    ///
    /// # Errors
    /// [`PolicyError`] unless 0 <= `review_from` <= `reject_from` <= 1, both finite.
    pub fn new(review_from: f32, reject_from: f32) -> Result<Self, PolicyError> {
        // The comparisons are false for NaN.
        if 0.0 <= review_from && review_from <= reject_from && reject_from <= 1.0 {
            Ok(Self { review_from, reject_from })
        } else {
            Err(PolicyError { review_from, reject_from })
        }
    }

    /// The smallest score that is not a PASS, 0..=1.
    #[must_use]
    pub fn review_from(&self) -> f32 {
        self.review_from
    }

    /// The smallest score that is a REJECT, `review_from`..=1.
    #[must_use]
    pub fn reject_from(&self) -> f32 {
        self.reject_from
    }

    /// The verdict on a part with this score, and its reason.
    #[must_use]
    pub fn decide(&self, score: f32) -> Decision {
        let reason = if !(0.0..=1.0).contains(&score) {
            Reason::ScoreInvalid
        } else if score < self.review_from {
            Reason::ScoreBelowReview
        } else if score < self.reject_from {
            Reason::ScoreFromReview
        } else {
            Reason::ScoreFromReject
        };
        reason.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy() -> impl Strategy<Value = Policy> {
        (0.0f32..=1.0, 0.0f32..=1.0).prop_map(|(a, b)| Policy::new(a.min(b), a.max(b)).unwrap())
    }

    proptest! {
        #[test]
        fn no_score_outside_0_to_1_ever_passes(policy in policy(), bits: u32) {
            // All bit patterns: NaN with any payload, infinities, negative and subnormal numbers.
            let score = f32::from_bits(bits);
            let decision = policy.decide(score);
            if !score.is_finite() || !(0.0..=1.0).contains(&score) {
                prop_assert_eq!(decision, Reason::ScoreInvalid.into());
                prop_assert_eq!(decision.verdict, Verdict::Reject);
            } else {
                prop_assert_eq!(decision.verdict == Verdict::Pass, score < policy.review_from());
            }
        }

        #[test]
        fn a_higher_score_never_gets_a_milder_verdict(policy in policy(), a in 0.0f32..=1.0, b in 0.0f32..=1.0) {
            prop_assert!(policy.decide(a.min(b)).verdict <= policy.decide(a.max(b)).verdict);
        }

        #[test]
        fn only_ordered_thresholds_within_0_to_1_make_a_policy(review_bits: u32, reject_bits: u32) {
            let (review_from, reject_from) = (f32::from_bits(review_bits), f32::from_bits(reject_bits));
            let sound = review_from.is_finite() && reject_from.is_finite()
                && review_from >= 0.0 && review_from <= reject_from && reject_from <= 1.0;
            prop_assert_eq!(Policy::new(review_from, reject_from).is_ok(), sound);
        }

        #[test]
        fn a_policy_survives_json_bit_by_bit(policy in policy()) {
            let text = serde_json::to_string(&policy).unwrap();
            prop_assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
        }
    }

    #[test]
    fn a_threshold_belongs_to_the_stricter_verdict() {
        let policy = Policy::new(0.25, 0.75).unwrap();
        let verdicts = [0.0, 0.249_999_99, 0.25, 0.749_999_94, 0.75, 1.0].map(|score| policy.decide(score).verdict);
        use Verdict::{Pass, Reject, Review};
        assert_eq!(verdicts, [Pass, Pass, Review, Review, Reject, Reject]);
    }

    #[test]
    fn a_score_at_an_extreme_or_equal_threshold_gets_the_stricter_verdict() {
        assert_eq!(Policy::new(0.0, 0.0).unwrap().decide(0.0).verdict, Verdict::Reject);
        assert_eq!(Policy::new(0.0, 1.0).unwrap().decide(0.0).verdict, Verdict::Review);
        assert_eq!(Policy::new(1.0, 1.0).unwrap().decide(1.0).verdict, Verdict::Reject);
        assert_eq!(Policy::new(0.5, 0.5).unwrap().decide(0.5).verdict, Verdict::Reject);
    }

    #[test]
    fn invalid_missing_and_unknown_fields_are_refused() {
        for text in [
            r#"{"review_from":0.6,"reject_from":0.4}"#,
            r#"{"review_from":-0.1,"reject_from":0.4}"#,
            r#"{"review_from":0.1,"reject_from":1.1}"#,
            r#"{"review_from":0.1,"reject_from":1e40}"#,
            r#"{"review_from":0.1}"#,
            r#"{"review_from":0.1,"reject_from":0.4,"pass":true}"#,
        ] {
            assert!(serde_json::from_str::<Policy>(text).is_err(), "{text}");
        }
    }

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
}
