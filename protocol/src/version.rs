//! The version of the wire and its policy.
//!
//! Variants, fields and codes are only ever appended. Two sides talk only when their [`WIRE`] and their [`SCHEMA`] are
//! the same; any other pair is incompatible, and an incompatible pair never yields a PASS.
//!
//! [`WIRE`] grows when the header, the framing or HELLO changes: a side can't read the other's frames at all.
//! [`SCHEMA`] grows when a message, a field or the meaning of a code is added: HELLO carries it, so that the
//! difference is found before the first part.

/// The version that every frame carries in its first byte.
pub const WIRE: u8 = 1;

/// The version of the messages, compared in HELLO and HELLO_ACK.
pub const SCHEMA: u32 = 1;
