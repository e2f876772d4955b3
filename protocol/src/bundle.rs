//! Defines what device and PLC say about bundles: how far the running bundle is, and the confirmation of its reference parts.
//!
//! A bundle is a set of parts that were coated alike. Reference parts are those of its first parts that are confirmed as good. From
//! them the device computes the offset with which it judges the parts that follow. Links of [`crate::version::Schema::One`] carry
//! none of this.

use core::fmt;
use serde::{Deserialize, Serialize};

/// How far a bundle is, as a raw number. Any 8 bits are a valid value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepCode(pub u8);

impl StepCode {
    /// No bundle is running.
    pub const NONE: Self = Self(0);
    /// The bundle's reference parts are being judged. No part passes.
    pub const REFERENCE: Self = Self(1);
    /// The device judges with the bundle's offset, or its model was trained without reference parts.
    pub const OFFSET: Self = Self(2);
    /// The reference parts were refused, because they are unlike the normal parts of the training. No part passes until a bundle is
    /// started.
    pub const UNLIKE_TRAINING: Self = Self(3);

    /// The stable name. `None` for a step that this version does not know.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::NONE => Some("NONE"),
            Self::REFERENCE => Some("REFERENCE"),
            Self::OFFSET => Some("OFFSET"),
            Self::UNLIKE_TRAINING => Some("UNLIKE_TRAINING"),
            _ => None,
        }
    }
}

/// The running bundle at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BundleState {
    /// The bundle's number, or 0 if no bundle is running.
    #[serde(with = "postcard::fixint::le")]
    pub bundle: u32,
    /// How far the bundle is.
    pub step: StepCode,
    /// The reference parts that are confirmed as good.
    #[serde(with = "postcard::fixint::le")]
    pub confirmed: u16,
    /// The reference parts that must still be confirmed.
    #[serde(with = "postcard::fixint::le")]
    pub missing: u16,
}

impl BundleState {
    /// No bundle is running.
    pub const NONE: Self = Self { bundle: 0, step: StepCode::NONE, confirmed: 0, missing: 0 };
}

/// CONFIRM: a judged part is a good reference part. A copy of the message changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// The number of the part's verdict in the device's journal. Registers carry only its low 32 bits; then the others are 0.
    #[serde(with = "postcard::fixint::le")]
    pub verdict_seq: u64,
    /// The part's number.
    #[serde(with = "postcard::fixint::le")]
    pub part_id: u64,
    /// The bundle that the part's trigger named, or the running bundle if it named none.
    #[serde(with = "postcard::fixint::le")]
    pub bundle: u32,
}

impl Confirm {
    /// Does the message name this verdict, part and bundle? Only the low 32 bits of the verdict's number are compared, because
    /// registers carry no more. A bundle never has 2^32 parts.
    #[must_use]
    pub const fn names(&self, verdict_seq: u64, part_id: u64, bundle: u32) -> bool {
        (self.verdict_seq ^ verdict_seq) & 0xffff_ffff == 0 && self.part_id == part_id && self.bundle == bundle
    }
}

/// The device's answer to CONFIRM as a raw number. Any 8 bits are a valid value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfirmResult(pub u8);

impl ConfirmResult {
    /// The part is confirmed. That is stored durably. The part may have been confirmed before.
    pub const CONFIRMED: Self = Self(1);
    /// The device has no such part in the running bundle.
    pub const NOT_IN_BUNDLE: Self = Self(2);
    /// The part can't be a reference part: the bundle's reference parts are not being judged, the part is a REJECT for another reason than
    /// its score, its image is unlike the training images, another model judged it, or another part with its number is confirmed already.
    pub const REFUSED: Self = Self(3);

    /// The stable name. `None` for a result that this version does not know.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::CONFIRMED => Some("CONFIRMED"),
            Self::NOT_IN_BUNDLE => Some("NOT_IN_BUNDLE"),
            Self::REFUSED => Some("REFUSED"),
            _ => None,
        }
    }
}

impl fmt::Debug for ConfirmResult {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => out.pad(name),
            None => write!(out, "{}", self.0),
        }
    }
}

/// CONFIRMED: the answer to CONFIRM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The message that is answered.
    pub confirm: Confirm,
    /// The answer.
    pub result: ConfirmResult,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_names_one_part_by_the_low_half_of_its_number() {
        let confirm = Confirm { verdict_seq: 5, part_id: 42, bundle: 7 };
        assert!(confirm.names(5, 42, 7) && confirm.names(0x1_0000_0005, 42, 7));
        assert!(!confirm.names(6, 42, 7) && !confirm.names(5, 43, 7) && !confirm.names(5, 42, 8));
    }
}
