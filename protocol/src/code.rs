//! Verdict codes, chosen so that no small fault turns one into another.
//!
//! On the wire a code is a raw integer: an unknown one is a REJECT, not a malformed frame. PASS and REJECT differ in all
//! bits; REVIEW differs from both in half of them.

use core::fmt;
use serde::{Deserialize, Serialize};

/// What the gate does with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WireVerdict {
    /// The part is good.
    Pass,
    /// A person decides.
    Review,
    /// The part is bad, or nothing could be proven about it.
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

    /// The verdict that a Modbus register says; any unknown value is a REJECT.
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
/// REVIEW in a Modbus register: 8 bits from PASS and from REJECT.
pub const REGISTER_REVIEW: u16 = 0x5566;
/// REJECT in a Modbus register: all 16 bits from PASS.
pub const REGISTER_REJECT: u16 = 0xA569;

/// A verdict as it travels in a frame: any 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VerdictCode(#[serde(with = "postcard::fixint::le")] pub u32);

impl VerdictCode {
    /// PASS.
    pub const PASS: Self = Self(0x5AC3_96E1);
    /// REVIEW: 16 bits from PASS and from REJECT.
    pub const REVIEW: Self = Self(0x5533_9911);
    /// REJECT: all 32 bits from PASS.
    pub const REJECT: Self = Self(0xA53C_691E);

    /// What the code says; any unknown value is a REJECT.
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
    fn only_three_registers_of_all_say_something_else_than_an_unknown_code() {
        let known = (0..=u16::MAX).filter(|register| WireVerdict::from_register(*register).register() == *register);
        assert_eq!(known.count(), 3);
        assert_eq!((0..=u16::MAX).filter(|r| WireVerdict::from_register(*r) == WireVerdict::Pass).count(), 1);
    }

    #[test]
    fn a_code_within_15_bits_of_pass_is_no_pass_unless_it_is_pass() {
        for bit in 0..32 {
            assert_eq!(VerdictCode(VerdictCode::PASS.0 ^ (1 << bit)).verdict(), WireVerdict::Reject);
        }
        for verdict in [WireVerdict::Pass, WireVerdict::Review, WireVerdict::Reject] {
            assert_eq!(verdict.code().verdict(), verdict);
        }
    }
}
