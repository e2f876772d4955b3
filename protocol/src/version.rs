//! The versions of the native protocol and when they change.
//!
//! Messages, fields and codes are only appended. Two sides open a link only if both [`WIRE`] and [`SCHEMA`] are the same. Any
//! other pair is incompatible and never leads to a PASS.
//!
//! | version | increases when | effect of a difference |
//! |---|---|---|
//! | [`WIRE`] | the header, the framing, HELLO, HELLO_ACK or ERROR changes | each side drops the other side's frames |
//! | [`SCHEMA`] | a message, a field or the meaning of a code is added | HELLO carries it, so no link opens |

/// The version in the first byte of every frame.
pub const WIRE: u8 = 1;

/// The version of the messages, compared in HELLO and HELLO_ACK.
pub const SCHEMA: u32 = 1;
