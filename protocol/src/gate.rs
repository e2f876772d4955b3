//! Decides whether the PLC's gate lets a part pass. `gate.st` has the same rules in structured text.
//!
//! A part passes only on a fresh PASS that matches the part. Every rule must hold. The first rule that fails is the reason.

use crate::{
    code::{VerdictCode, WireVerdict},
    digest::DigestStart,
    limits::DEVICE_STALE_MS,
    reason::ReasonCode,
    to_plc::{Flags, VerdictMessage},
};

/// The content of a received verdict, from either profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Was the CRC of the whole frame or register block right?
    pub crc_right: bool,
    /// Is the complement the inverted code? Both are compared as received: 32 bits in a frame, 16 bits in a register.
    pub complement_right: bool,
    /// The number of the part that the verdict is for.
    pub part_id: u64,
    /// The nonce of the trigger that the verdict answers.
    pub nonce: u32,
    /// The verdict code.
    pub code: VerdictCode,
    /// The reason of the verdict.
    pub reason: ReasonCode,
    /// Milliseconds from the trigger's arrival at the device to the sending of the verdict.
    pub age_ms: u32,
    /// The model that judged.
    pub model: DigestStart,
    /// The flags of the verdict.
    pub flags: Flags,
}

impl From<&VerdictMessage> for Claim {
    /// `crc_right` is true, because only a frame or registers with a right CRC become a message.
    fn from(message: &VerdictMessage) -> Self {
        Self {
            crc_right: true,
            complement_right: message.complement == !message.code.0,
            part_id: message.part_id,
            nonce: message.nonce,
            code: message.code,
            reason: message.reason,
            age_ms: message.age_ms,
            model: message.model,
            flags: message.flags,
        }
    }
}

/// What the PLC knows itself, without the received verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a> {
    /// The number of the part in front of the gate.
    pub part_id: u64,
    /// The nonce of that part's trigger.
    pub nonce: u32,
    /// The time allowed for the part, in milliseconds from its first trigger.
    pub deadline_ms: u32,
    /// Milliseconds since the part's first trigger, by the PLC's clock.
    pub elapsed_ms: u64,
    /// Milliseconds since the device's heartbeat last changed, by the PLC's clock. `u64::MAX` if it never changed.
    pub heartbeat_age_ms: u64,
    /// The models that may let a part pass.
    pub allowed_models: &'a [DigestStart],
}

/// What the gate does with the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateDecision {
    /// The gate opens.
    Pass,
    /// The gate stays shut and a person decides. Every rule holds, but the verdict is REVIEW.
    Review(ReasonCode),
    /// The gate stays shut.
    Reject(ReasonCode),
}

impl GateDecision {
    /// Does the gate open?
    #[must_use]
    pub const fn is_pass(&self) -> bool {
        matches!(self, Self::Pass)
    }

    /// The decision as a verdict.
    #[must_use]
    pub const fn verdict(&self) -> WireVerdict {
        match self {
            Self::Pass => WireVerdict::Pass,
            Self::Review(_) => WireVerdict::Review,
            Self::Reject(_) => WireVerdict::Reject,
        }
    }
}

/// Judges a received verdict.
///
/// If every rule holds and the verdict is REJECT, the decision keeps the verdict's own reason. A REJECT needs no allowed model.
#[must_use]
pub fn judge(claim: &Claim, known: &Known<'_>) -> GateDecision {
    let broken = if !claim.crc_right {
        Some(ReasonCode::CRC)
    } else if !claim.complement_right {
        Some(ReasonCode::COMPLEMENT)
    } else if claim.part_id != known.part_id {
        Some(ReasonCode::PART_MISMATCH)
    } else if claim.nonce != known.nonce {
        Some(ReasonCode::NONCE_MISMATCH)
    } else if claim.flags.has(Flags::SIMULATED) {
        Some(ReasonCode::SIMULATED)
    } else if claim.flags != Flags::default() {
        Some(ReasonCode::DEGRADED)
    } else if u64::from(claim.age_ms).max(known.elapsed_ms) > u64::from(known.deadline_ms) {
        Some(ReasonCode::LATE)
    } else if known.heartbeat_age_ms > DEVICE_STALE_MS {
        Some(ReasonCode::STALE_HEARTBEAT)
    } else {
        None
    };
    if let Some(reason) = broken {
        return GateDecision::Reject(reason);
    }
    match claim.code {
        VerdictCode::REJECT => GateDecision::Reject(claim.reason),
        VerdictCode::PASS | VerdictCode::REVIEW if !is_allowed(claim.model, known.allowed_models) => {
            GateDecision::Reject(ReasonCode::MODEL_NOT_ALLOWED)
        }
        VerdictCode::PASS => GateDecision::Pass,
        VerdictCode::REVIEW => GateDecision::Review(claim.reason),
        _ => GateDecision::Reject(ReasonCode::UNKNOWN_CODE),
    }
}

/// [`DigestStart::NONE`] is never allowed, even if it is on the list.
fn is_allowed(model: DigestStart, allowed: &[DigestStart]) -> bool {
    model != DigestStart::NONE && allowed.contains(&model)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: DigestStart = DigestStart([7; 8]);

    /// A PASS for which every rule holds, with each time at its limit.
    fn valid_pass() -> (Claim, Known<'static>) {
        let claim = Claim {
            crc_right: true,
            complement_right: true,
            part_id: 1,
            nonce: 2,
            code: VerdictCode::PASS,
            reason: ReasonCode::SCORE_BELOW_REVIEW,
            age_ms: 500,
            model: MODEL,
            flags: Flags::default(),
        };
        let known = Known {
            part_id: 1,
            nonce: 2,
            deadline_ms: 500,
            elapsed_ms: 500,
            heartbeat_age_ms: DEVICE_STALE_MS,
            allowed_models: &[MODEL],
        };
        (claim, known)
    }

    #[test]
    fn a_valid_pass_at_its_time_limits_opens_the_gate() {
        let (claim, known) = valid_pass();
        assert_eq!(judge(&claim, &known), GateDecision::Pass);
    }

    #[test]
    fn each_failed_rule_alone_shuts_the_gate_with_its_reason() {
        type Break = fn(&mut Claim, &mut Known<'_>);
        const NOTHING: &[DigestStart] = &[DigestStart::NONE];
        let breaks: [(Break, ReasonCode); 14] = [
            (|c, _| c.crc_right = false, ReasonCode::CRC),
            (|c, _| c.complement_right = false, ReasonCode::COMPLEMENT),
            (|c, _| c.part_id += 1, ReasonCode::PART_MISMATCH),
            (|c, _| c.nonce += 1, ReasonCode::NONCE_MISMATCH),
            (|c, _| c.flags = Flags::SIMULATED, ReasonCode::SIMULATED),
            (|c, _| c.flags = Flags::DEGRADED, ReasonCode::DEGRADED),
            (|c, _| c.flags = Flags(0x8000), ReasonCode::DEGRADED),
            (|c, _| c.model = DigestStart::NONE, ReasonCode::MODEL_NOT_ALLOWED),
            (|_, k| k.allowed_models = &[], ReasonCode::MODEL_NOT_ALLOWED),
            (|c, k| (c.model, k.allowed_models) = (DigestStart::NONE, NOTHING), ReasonCode::MODEL_NOT_ALLOWED),
            (|_, k| k.heartbeat_age_ms += 1, ReasonCode::STALE_HEARTBEAT),
            (|c, _| c.age_ms += 1, ReasonCode::LATE),
            (|_, k| k.elapsed_ms += 1, ReasonCode::LATE),
            (|c, _| c.code = VerdictCode(c.code.0 ^ 1), ReasonCode::UNKNOWN_CODE),
        ];
        for (break_it, reason) in breaks {
            let (mut claim, mut known) = valid_pass();
            break_it(&mut claim, &mut known);
            assert_eq!(judge(&claim, &known), GateDecision::Reject(reason));
        }
    }

    #[test]
    fn review_and_reject_keep_their_reason() {
        let (mut claim, known) = valid_pass();
        claim.code = VerdictCode::REVIEW;
        claim.reason = ReasonCode::SCORE_FROM_REVIEW;
        assert_eq!(judge(&claim, &known), GateDecision::Review(ReasonCode::SCORE_FROM_REVIEW));
        claim.code = VerdictCode::REJECT;
        claim.reason = ReasonCode::NO_IMAGE;
        claim.model = DigestStart::NONE;
        assert_eq!(judge(&claim, &known), GateDecision::Reject(ReasonCode::NO_IMAGE));
    }
}
