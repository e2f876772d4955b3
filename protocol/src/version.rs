//! The versions of the native protocol and when they change.
//!
//! Messages, fields and codes are only appended. Two sides open a link only if [`WIRE`] is the same and the device knows the
//! [`Schema`] that the PLC's HELLO names. Any other pair is incompatible and never leads to a PASS.
//!
//! | version | increases when | effect of a difference |
//! |---|---|---|
//! | [`WIRE`] | the header, the framing, HELLO, HELLO_ACK or ERROR changes | each side drops the other side's frames |
//! | [`Schema`] | a message, a field or the meaning of a code is added | the device speaks the schema of HELLO on that link, or no link opens |

/// The version in the first byte of every frame.
pub const WIRE: u8 = 1;

/// The version of the messages. The PLC's HELLO names the schema of the link. A device opens a link of each schema up to its highest
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Schema {
    /// Without bundles.
    One = 1,
    /// TRIGGER names the bundle of its part, the device's HEARTBEAT shows the bundle, CONFIRM and CONFIRMED exist, and ACK carries the
    /// gate's reason.
    Two = 2,
}

impl Schema {
    /// The number in HELLO and HELLO_ACK.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The schema with this number. `None` if this version does not know it.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_numbers_1_and_2_are_schemas() {
        let known = (0..10).filter_map(Schema::from_number);
        assert!(known.eq([Schema::One, Schema::Two]));
        assert_eq!([Schema::One, Schema::Two].map(Schema::number), [1, 2]);
    }
}
