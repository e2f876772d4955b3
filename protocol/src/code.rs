//! Defines the verdict codes. They are chosen so that a few flipped bits never turn one code into another.
//!
//! A verdict code travels as a raw integer. An unknown code is a REJECT; it does not make a frame malformed. PASS and REJECT
//! differ in all bits. REVIEW differs from PASS in half of the bits and from REJECT in the other half.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A verdict on a part. It tells the gate what to do with the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WireVerdict {
    /// The part is good.
    Pass,
    /// A person decides.
    Review,
    /// The part is bad, or the appliance could not prove that it is good.
    Reject,
}

impl WireVerdict {
    /// The stable name: `PASS`, `REVIEW` or `REJECT`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Review => "REVIEW",
            Self::Reject => "REJECT",
        }
    }

    /// The code in a frame, 32 bits.
    #[must_use]
    pub const fn code(self) -> VerdictCode {
        match self {
            Self::Pass => VerdictCode::PASS,
            Self::Review => VerdictCode::REVIEW,
            Self::Reject => VerdictCode::REJECT,
        }
    }

    /// The code in a Modbus register, 16 bits.
    #[must_use]
    pub const fn register(self) -> u16 {
        match self {
            Self::Pass => REGISTER_PASS,
            Self::Review => REGISTER_REVIEW,
            Self::Reject => REGISTER_REJECT,
        }
    }

    /// The verdict in a Modbus register. Any unknown value is a REJECT.
    #[must_use]
    pub const fn from_register(register: u16) -> Self {
        match register {
            REGISTER_PASS => Self::Pass,
            REGISTER_REVIEW => Self::Review,
            _ => Self::Reject,
        }
    }
}

impl fmt::Display for WireVerdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// PASS in a Modbus register.
pub const REGISTER_PASS: u16 = 0x5A96;
/// REVIEW in a Modbus register. It differs from PASS and from REJECT in 8 bits.
pub const REGISTER_REVIEW: u16 = 0x5566;
/// REJECT in a Modbus register. It differs from PASS in all 16 bits.
pub const REGISTER_REJECT: u16 = 0xA569;

/// A verdict code in a frame. Any 32 bits are a valid value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VerdictCode(#[serde(with = "postcard::fixint::le")] pub u32);

impl VerdictCode {
    /// The code of PASS.
    pub const PASS: Self = Self(0x5AC3_96E1);
    /// The code of REVIEW. It differs from PASS and from REJECT in 16 bits.
    pub const REVIEW: Self = Self(0x5533_9911);
    /// The code of REJECT. It differs from PASS in all 32 bits.
    pub const REJECT: Self = Self(0xA53C_691E);

    /// The verdict of the code. Any unknown value is a REJECT.
    #[must_use]
    pub const fn verdict(self) -> WireVerdict {
        match self {
            Self::PASS => WireVerdict::Pass,
            Self::REVIEW => WireVerdict::Review,
            _ => WireVerdict::Reject,
        }
    }
}

impl fmt::Debug for VerdictCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#010X} ({})", self.0, self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_their_distance() {
        let distance = |a: VerdictCode, b: VerdictCode| (a.0 ^ b.0).count_ones();
        assert_eq!(distance(VerdictCode::PASS, VerdictCode::REJECT), 32);
        assert_eq!(distance(VerdictCode::PASS, VerdictCode::REVIEW), 16);
        assert_eq!(distance(VerdictCode::REVIEW, VerdictCode::REJECT), 16);
        assert_eq!((REGISTER_PASS ^ REGISTER_REJECT).count_ones(), 16);
        assert_eq!((REGISTER_PASS ^ REGISTER_REVIEW).count_ones(), 8);
        assert_eq!((REGISTER_REVIEW ^ REGISTER_REJECT).count_ones(), 8);
    }

    #[test]
    fn only_three_register_values_are_known_codes() {
        let known = (0..=u16::MAX).filter(|register| WireVerdict::from_register(*register).register() == *register);
        assert_eq!(known.count(), 3);
        assert_eq!((0..=u16::MAX).filter(|r| WireVerdict::from_register(*r) == WireVerdict::Pass).count(), 1);
    }

    #[test]
    fn each_code_gives_its_verdict_and_a_pass_with_one_flipped_bit_is_a_reject() {
        for bit in 0..32 {
            assert_eq!(VerdictCode(VerdictCode::PASS.0 ^ (1 << bit)).verdict(), WireVerdict::Reject);
        }
        for verdict in [WireVerdict::Pass, WireVerdict::Review, WireVerdict::Reject] {
            assert_eq!(verdict.code().verdict(), verdict);
        }
    }
}
