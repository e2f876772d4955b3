//! The version of the wire and its policy.
//!
//! Variants, fields and codes are only ever appended. Two sides talk only when their [`WIRE`] is the same; any other
//! pair is incompatible, and an incompatible pair never yields a PASS.

/// The version that every frame carries in its first byte.
pub const WIRE: u8 = 1;
