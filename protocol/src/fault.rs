//! Defines the message ERROR, which either side sends to report a fault of the link.

use crate::version::{self, Schema};
use serde::{Deserialize, Serialize};

/// The fault as a raw number. Any 16 bits are valid. An unknown fault closes the link, as every known one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultCode(#[serde(with = "postcard::fixint::le")] pub u16);

impl FaultCode {
    /// The sides have different versions. HELLO cannot succeed until one of them is updated.
    pub const INCOMPATIBLE: Self = Self(1);
    /// This error answers a frame with a link id that is not open, or with another boot epoch, for example because the sender of
    /// the error restarted. The sender of the error expects HELLO.
    pub const UNKNOWN_LINK: Self = Self(2);
}

/// The payload of ERROR. Its layout changes only with [`version::WIRE`], so sides with different schemas can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkError {
    /// The fault.
    pub fault: FaultCode,
    /// The sender's [`version::WIRE`].
    pub wire: u8,
    /// The number of the sender's highest [`Schema`].
    #[serde(with = "postcard::fixint::le")]
    pub schema: u32,
}

impl LinkError {
    /// An error of a side with this highest schema.
    #[must_use]
    pub const fn new(fault: FaultCode, schema: Schema) -> Self {
        Self { fault, wire: version::WIRE, schema: schema.number() }
    }
}
