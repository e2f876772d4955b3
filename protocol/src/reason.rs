//! Reasons: why a verdict is what it is, and why a trigger was refused.
//!
//! On the wire a reason is a raw 16-bit integer; an unknown one is shown as its number. Numbers are only ever appended;
//! 0x0105 and 0x020D meant something once and are not given again.
//! 1..=0xFF belong to the decision on an image, 0x100.. to the appliance, 0x200.. to the PLC's gate.

use crate::code::WireVerdict;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A reason as it travels: any 16 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReasonCode(#[serde(with = "postcard::fixint::le")] pub u16);

/// What a reason is given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A PASS.
    Pass,
    /// A REVIEW.
    Review,
    /// A REJECT.
    Reject,
    /// Refusing a trigger, which then gets no verdict.
    Refusal,
    /// Refusing a trigger, or a REJECT.
    RefusalOrReject,
    /// The PLC's gate; the device never gives it.
    Gate,
}

impl Role {
    /// The verdict that the reason belongs to; none for those that belong to no verdict of the device.
    #[must_use]
    pub const fn verdict(self) -> Option<WireVerdict> {
        match self {
            Self::Pass => Some(WireVerdict::Pass),
            Self::Review => Some(WireVerdict::Review),
            Self::Reject | Self::RefusalOrReject => Some(WireVerdict::Reject),
            Self::Refusal | Self::Gate => None,
        }
    }

    /// Whether a trigger may be refused with the reason.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Refusal | Self::RefusalOrReject)
    }
}

/// The table of reasons: a constant, a role, a name and a line for each, from one place.
macro_rules! reasons {
    ($($(#[doc = $text:literal])+ $role:ident $name:ident = $value:literal;)+) => {
        impl ReasonCode {
            $($(#[doc = $text])+ pub const $name: Self = Self($value);)+

            /// Every reason that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable name, for example `SCORE_BELOW_REVIEW`; none for a code that this version doesn't know.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)+
                    _ => None,
                }
            }

            /// What the reason is given for; none for a code that this version doesn't know.
            #[must_use]
            pub const fn role(self) -> Option<Role> {
                match self.0 {
                    $($value => Some(Role::$role),)+
                    _ => None,
                }
            }

            /// The reason of this stable name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.name() == Some(name))
            }
        }
    };
}

reasons! {
    /// PASS: the score is below the policy's lower threshold.
    Pass SCORE_BELOW_REVIEW = 0x0001;
    /// REVIEW: the score is between the thresholds.
    Review SCORE_FROM_REVIEW = 0x0002;
    /// REJECT: the score is at or above the upper threshold.
    Reject SCORE_FROM_REJECT = 0x0003;
    /// REJECT: the score is no number from 0 to 1.
    Reject SCORE_INVALID = 0x0004;
    /// REJECT: the image's file could not be read from its disk.
    Reject IMAGE_UNREADABLE = 0x0005;
    /// REJECT: the image's bytes are no valid TIFF.
    Reject IMAGE_MALFORMED = 0x0006;
    /// REJECT: the image is no radiograph.
    Reject IMAGE_UNSUPPORTED = 0x0007;
    /// REJECT: the image is larger, or takes longer, than the limits allow.
    Reject IMAGE_OVER_LIMIT = 0x0008;
    /// REJECT: the image could not be converted to the network's input.
    Reject CONVERSION_FAILED = 0x0009;
    /// REJECT: the engine gave no score.
    Reject ENGINE_FAILED = 0x000A;

    /// REJECT: the appliance did not conclude before the part's deadline.
    Reject TIMEOUT = 0x0101;
    /// Refused: another part is in hand, the window is one.
    Refusal BUSY = 0x0102;
    /// REJECT: no image came for the part.
    Reject NO_IMAGE = 0x0103;
    /// Refused: the appliance is not ready.
    Refusal NOT_READY = 0x0104;
    /// REJECT: the part was in hand when the appliance restarted.
    Reject RESTARTED = 0x0106;
    /// Refused or REJECT: the verdict could not be stored, so it could not be sent.
    RefusalOrReject STORE_FAILED = 0x0107;
    /// REJECT: the process that decodes images failed.
    Reject DECODER_FAILED = 0x0108;
    /// REJECT: the process that decodes images did not end in time.
    Reject DECODER_TIMED_OUT = 0x0109;
    /// REJECT: the image does not belong to the part: its name or its order says otherwise.
    Reject IMAGE_MISMATCH = 0x010A;
    /// Refused: the trigger's deadline is 0 or longer than allowed.
    Refusal DEADLINE_INVALID = 0x010B;
    /// Refused: the part's deadline is over.
    Refusal EXPIRED = 0x010C;
    /// REJECT: a fault of the appliance that has no reason of its own.
    Reject INTERNAL = 0x010D;
    /// Refused: the trigger was meant for another start of the appliance (Modbus registers only; a native frame of another
    /// start never reaches the session).
    Refusal EPOCH_MISMATCH = 0x010E;

    /// Gate: the check sum is wrong.
    Gate CRC = 0x0201;
    /// Gate: the code and its complement don't fit together.
    Gate COMPLEMENT = 0x0202;
    /// Gate: the verdict is on another part.
    Gate PART_MISMATCH = 0x0203;
    /// Gate: the verdict answers another trigger.
    Gate NONCE_MISMATCH = 0x0204;
    /// Gate: the verdict comes from a simulation.
    Gate SIMULATED = 0x0205;
    /// Gate: the appliance works with less than it should, or sets a flag that this version doesn't know.
    Gate DEGRADED = 0x0206;
    /// Gate: the model is not on the allow-list.
    Gate MODEL_NOT_ALLOWED = 0x0207;
    /// Gate: the appliance's heartbeat stands still.
    Gate STALE_HEARTBEAT = 0x0208;
    /// Gate: the verdict, or none, came after the deadline.
    Gate LATE = 0x0209;
    /// Gate: only a RECORD came for the part; it is information and nothing to act on.
    Gate RECORD_ONLY = 0x020A;
    /// Gate: the appliance speaks another version.
    Gate INCOMPATIBLE = 0x020B;
    /// Gate: the code is none of the three.
    Gate UNKNOWN_CODE = 0x020C;
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => out.pad(name),
            None => write!(out, "{:#06X}", self.0),
        }
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_number_and_a_name_of_its_own() {
        for (i, reason) in ReasonCode::ALL.iter().enumerate() {
            assert_eq!(ReasonCode::from_name(reason.name().unwrap()), Some(*reason));
            assert!(ReasonCode::ALL[i + 1..].iter().all(|other| other.0 > reason.0), "{reason} is out of order");
        }
        assert_eq!((ReasonCode(0).name(), ReasonCode(0).role()), (None, None));
        assert_eq!(ReasonCode::from_name("PASS"), None);
    }
}
