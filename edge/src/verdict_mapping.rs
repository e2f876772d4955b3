//! Maps verdicts and reasons between the policy (crate `models`) and the wire (crate `protocol`). Each match names every verdict
//! or reason, so the crate does not compile if the mapping of a new one is missing.

use cellgate_models::policy::{Reason, Verdict};
use cellgate_protocol::code;
use cellgate_protocol::reason::ReasonCode;

/// The verdict of a policy as it is sent on the wire.
#[must_use]
pub fn wire_verdict(verdict: Verdict) -> code::WireVerdict {
    match verdict {
        Verdict::Pass => code::WireVerdict::Pass,
        Verdict::Review => code::WireVerdict::Review,
        Verdict::Reject => code::WireVerdict::Reject,
    }
}

/// The verdict from the wire as policy and journal name it.
#[must_use]
pub fn policy_verdict(verdict: code::WireVerdict) -> Verdict {
    match verdict {
        code::WireVerdict::Pass => Verdict::Pass,
        code::WireVerdict::Review => Verdict::Review,
        code::WireVerdict::Reject => Verdict::Reject,
    }
}

/// The reason of a policy as it is sent on the wire.
#[must_use]
pub fn wire_reason(reason: Reason) -> ReasonCode {
    match reason {
        Reason::ScoreBelowReview => ReasonCode::SCORE_BELOW_REVIEW,
        Reason::ScoreFromReview => ReasonCode::SCORE_FROM_REVIEW,
        Reason::ScoreFromReject => ReasonCode::SCORE_FROM_REJECT,
        Reason::ScoreInvalid => ReasonCode::SCORE_INVALID,
        Reason::ImageUnreadable => ReasonCode::IMAGE_UNREADABLE,
        Reason::ImageMalformed => ReasonCode::IMAGE_MALFORMED,
        Reason::ImageUnsupported => ReasonCode::IMAGE_UNSUPPORTED,
        Reason::ImageOverLimit => ReasonCode::IMAGE_OVER_LIMIT,
        Reason::ImageMismatch => ReasonCode::IMAGE_MISMATCH,
        Reason::ConversionFailed => ReasonCode::CONVERSION_FAILED,
        Reason::EngineFailed => ReasonCode::ENGINE_FAILED,
        Reason::BundleUnlikeTraining => ReasonCode::BUNDLE_UNLIKE_TRAINING,
        Reason::UnlikeTraining => ReasonCode::UNLIKE_TRAINING,
        Reason::ImageOutOfEnvelope => ReasonCode::IMAGE_OUT_OF_ENVELOPE,
        Reason::ImageUnlikeTraining => ReasonCode::IMAGE_UNLIKE_TRAINING,
        Reason::ReferencePart => ReasonCode::REFERENCE_PART,
        Reason::DecoderTimedOut => ReasonCode::DECODER_TIMED_OUT,
        Reason::DecoderFailed => ReasonCode::DECODER_FAILED,
    }
}

/// The reason with the stable name `name`, which the journal stores. A name that only a later version knows becomes INTERNAL.
#[must_use]
pub fn recorded_reason(name: &str) -> ReasonCode {
    ReasonCode::from_name(name).unwrap_or(ReasonCode::INTERNAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_the_same_name_and_verdict_in_policy_and_on_the_wire() {
        for reason in Reason::ALL {
            let wire = wire_reason(reason);
            assert_eq!(wire.name(), Some(reason.name()));
            let verdict = wire.role().and_then(|role| role.verdict()).unwrap();
            assert_eq!(policy_verdict(verdict), reason.verdict(), "{reason}");
            assert_eq!(wire_verdict(reason.verdict()), verdict);
            assert_eq!((verdict.name(), recorded_reason(reason.name())), (reason.verdict().name(), wire));
        }
        assert_eq!(recorded_reason("REASON_OF_A_LATER_VERSION"), ReasonCode::INTERNAL);
    }
}
