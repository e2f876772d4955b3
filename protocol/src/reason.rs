//! Reasons: why a verdict is what it is, and why a trigger was refused. `REASONS.md` has the same table for integrators.
//!
//! A reason travels as a raw 16-bit integer. An unknown reason is shown as its number. New numbers are only appended. A number
//! that was removed gets no new meaning. 0x0105 and 0x020D were removed, so they stay unused.
//!
//! | codes | belong to |
//! |---|---|
//! | 0x0001 to 0x00FF | the decision on an image |
//! | 0x0100 to 0x01FF | the appliance |
//! | 0x0200 to 0x02FF | the PLC's gate |

use crate::code::WireVerdict;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A reason as a raw number. Any 16 bits are a valid value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReasonCode(#[serde(with = "postcard::fixint::le")] pub u16);

/// What may carry a reason: a verdict, a refusal or a decision of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A PASS.
    Pass,
    /// A REVIEW.
    Review,
    /// A REJECT.
    Reject,
    /// A refusal of a trigger, which then gets no verdict.
    Refusal,
    /// A refusal of a trigger, or a REJECT: both may carry the reason.
    RefusalOrReject,
    /// A decision of the PLC's gate. The device never sends it.
    Gate,
}

impl Role {
    /// The verdict that carries the reason. `None` if no verdict of the device carries it.
    #[must_use]
    pub const fn verdict(self) -> Option<WireVerdict> {
        match self {
            Self::Pass => Some(WireVerdict::Pass),
            Self::Review => Some(WireVerdict::Review),
            Self::Reject | Self::RefusalOrReject => Some(WireVerdict::Reject),
            Self::Refusal | Self::Gate => None,
        }
    }

    /// May the device refuse a trigger with this reason?
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Refusal | Self::RefusalOrReject)
    }
}

/// Makes the constant, the role, the name and the documentation of each reason from one table.
macro_rules! reasons {
    ($($(#[doc = $text:literal])+ $role:ident $name:ident = $value:literal;)+) => {
        impl ReasonCode {
            $($(#[doc = $text])+ pub const $name: Self = Self($value);)+

            /// Every reason that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable name, for example `SCORE_BELOW_REVIEW`. `None` for a code that this version does not know.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)+
                    _ => None,
                }
            }

            /// What carries the reason. `None` for a code that this version does not know.
            #[must_use]
            pub const fn role(self) -> Option<Role> {
                match self.0 {
                    $($value => Some(Role::$role),)+
                    _ => None,
                }
            }

            /// The reason with this stable name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.name() == Some(name))
            }
        }
    };
}

impl ReasonCode {
    /// There is no reason, or it is not known.
    pub const NONE: Self = Self(0);
}

reasons! {
    /// PASS: the logit is below the policy's lower threshold.
    Pass SCORE_BELOW_REVIEW = 0x0001;
    /// REVIEW: the logit is at or above the lower threshold and below the upper one.
    Review SCORE_FROM_REVIEW = 0x0002;
    /// REJECT: the logit is at or above the upper threshold.
    Reject SCORE_FROM_REJECT = 0x0003;
    /// REJECT: the logit or a whitened feature is NaN or infinite.
    Reject SCORE_INVALID = 0x0004;
    /// REJECT: the image's file could not be read from disk.
    Reject IMAGE_UNREADABLE = 0x0005;
    /// REJECT: the image's bytes are not a valid TIFF.
    Reject IMAGE_MALFORMED = 0x0006;
    /// REJECT: the TIFF is not a radiograph, which must have one plane and one grey channel with unsigned levels of 9 to 16
    /// bits.
    Reject IMAGE_UNSUPPORTED = 0x0007;
    /// REJECT: the image is larger, or takes longer to decode, than the limits allow.
    Reject IMAGE_OVER_LIMIT = 0x0008;
    /// REJECT: the image could not be converted to the network's input.
    Reject CONVERSION_FAILED = 0x0009;
    /// REJECT: the engine failed, did not return all outputs, or returned a map that does not sum to the logit.
    Reject ENGINE_FAILED = 0x000A;
    /// REVIEW: the bundle's reference parts differ from the normal parts that the network was trained on.
    Review BUNDLE_UNLIKE_TRAINING = 0x000B;
    /// REVIEW: the logit is below the lower threshold, but the part is unlike the normal parts that the network was trained on.
    Review UNLIKE_TRAINING = 0x000C;
    /// REJECT: the image's size, its share of saturated pixels or its share of pixels with the level 0 is far from that of the
    /// training images.
    Reject IMAGE_OUT_OF_ENVELOPE = 0x000D;
    /// REVIEW: the image's levels or its sharpness are unlike those of the training images, and the part would not be rejected.
    Review IMAGE_UNLIKE_TRAINING = 0x000E;
    /// REVIEW: the part would pass or be reviewed, but the bundle's reference parts are being judged, or the part belongs to no
    /// bundle and such parts must not pass.
    Review REFERENCE_PART = 0x000F;

    /// REJECT: the appliance had no result shortly before the part's deadline.
    Reject TIMEOUT = 0x0101;
    /// Refusal: the appliance has another open part. It handles one part at a time.
    Refusal BUSY = 0x0102;
    /// REJECT: no image came for the part, or the appliance is free-running, where no image belongs to a trigger.
    Reject NO_IMAGE = 0x0103;
    /// Refusal: the appliance is not ready.
    Refusal NOT_READY = 0x0104;
    /// REJECT: the appliance restarted or was stopped while the part was open.
    Reject RESTARTED = 0x0106;
    /// Refusal or REJECT: the acceptance or the verdict could not be stored.
    RefusalOrReject STORE_FAILED = 0x0107;
    /// REJECT: the process that decodes images failed.
    Reject DECODER_FAILED = 0x0108;
    /// REJECT: the process that decodes images did not answer in time.
    Reject DECODER_TIMED_OUT = 0x0109;
    /// REJECT: the image does not belong to the part, or its file changed after it arrived.
    Reject IMAGE_MISMATCH = 0x010A;
    /// Refusal: the trigger's deadline is 0 or above [`crate::limits::MAX_DEADLINE_MS`].
    Refusal DEADLINE_INVALID = 0x010B;
    /// Refusal: the trigger is repeated, but the part's deadline is over or its verdict was already sent as RECORD.
    Refusal EXPIRED = 0x010C;
    /// REJECT: a fault of the appliance that no other reason describes.
    Reject INTERNAL = 0x010D;
    /// Refusal: the trigger names another start of the appliance. Modbus registers only: a native frame of another start never
    /// reaches the session.
    Refusal EPOCH_MISMATCH = 0x010E;
    /// Refusal: the trigger has part id and nonce of an earlier trigger, but names another bundle. Native frames only: a command
    /// block with such a trigger gets an exception.
    Refusal BUNDLE_MISMATCH = 0x010F;

    /// Gate: the CRC is wrong.
    Gate CRC = 0x0201;
    /// Gate: the complement is not the inverted verdict code.
    Gate COMPLEMENT = 0x0202;
    /// Gate: the verdict is for another part.
    Gate PART_MISMATCH = 0x0203;
    /// Gate: the verdict answers another trigger.
    Gate NONCE_MISMATCH = 0x0204;
    /// Gate: the verdict comes from a simulation.
    Gate SIMULATED = 0x0205;
    /// Gate: the appliance works with less than it should have, or sets a flag that the gate does not know.
    Gate DEGRADED = 0x0206;
    /// Gate: the model is not on the PLC's allow-list.
    Gate MODEL_NOT_ALLOWED = 0x0207;
    /// Gate: the appliance's heartbeat does not change.
    Gate STALE_HEARTBEAT = 0x0208;
    /// Gate: no verdict came before the deadline.
    Gate LATE = 0x0209;
    /// Gate: only a record came for the part. A record is information, not a verdict to act on.
    Gate RECORD_ONLY = 0x020A;
    /// Gate: the appliance speaks another version, or is another device than expected.
    Gate INCOMPATIBLE = 0x020B;
    /// Gate: the verdict code is not PASS, REVIEW or REJECT.
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
    fn numbers_ascend_and_names_are_unique() {
        for (i, reason) in ReasonCode::ALL.iter().enumerate() {
            assert_eq!(ReasonCode::from_name(reason.name().unwrap()), Some(*reason));
            assert!(ReasonCode::ALL[i + 1..].iter().all(|other| other.0 > reason.0), "{reason} is out of order");
        }
        assert_eq!((ReasonCode(0).name(), ReasonCode(0).role()), (None, None));
        assert_eq!(ReasonCode::from_name("PASS"), None);
    }
}
