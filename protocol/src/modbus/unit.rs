//! The address of a device on a Modbus link.

use core::fmt;
use serde::Deserialize;

/// A unit, 1 to 247. 0 is the broadcast address, 248 to 255 are reserved (Modbus over Serial Line V1.02, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct Unit(u8);

/// The number is not a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitError {
    /// The number.
    pub found: u8,
}

impl fmt::Display for UnitError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "found {}, expected 1 to 247", self.found)
    }
}

impl core::error::Error for UnitError {}

impl Unit {
    /// Unit 1, the default.
    pub const FIRST: Self = Self(1);

    /// The number of the unit.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Unit {
    type Error = UnitError;

    fn try_from(found: u8) -> Result<Self, UnitError> {
        if matches!(found, 1..=247) { Ok(Self(found)) } else { Err(UnitError { found }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_1_to_247_are_units() {
        let units = (0..=u8::MAX).filter_map(|number| Unit::try_from(number).ok());
        assert!(units.map(Unit::number).eq(1..=247));
        assert_eq!(Unit::try_from(1), Ok(Unit::FIRST));
    }
}
