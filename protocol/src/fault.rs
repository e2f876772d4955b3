//! ERROR: what is wrong with the link, in both directions.

use crate::version;
use serde::{Deserialize, Serialize};

/// What is wrong, as it travels: any 16 bits. An unknown one closes the link, like every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultCode(#[serde(with = "postcard::fixint::le")] pub u16);

impl FaultCode {
    /// The sides have different versions; no HELLO will help before one of them is changed.
    pub const INCOMPATIBLE: Self = Self(1);
    /// The frame belongs to no link that the sender of this error knows: it restarted. HELLO is expected.
    pub const UNKNOWN_LINK: Self = Self(2);
}

/// The payload of ERROR. Its layout never changes, so that sides of different versions still understand it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkError {
    /// What is wrong.
    pub fault: FaultCode,
    /// The sender's [`version::WIRE`].
    pub wire: u8,
    /// The sender's [`version::SCHEMA`].
    #[serde(with = "postcard::fixint::le")]
    pub schema: u32,
}

impl LinkError {
    /// An error that this side sends.
    #[must_use]
    pub const fn new(fault: FaultCode) -> Self {
        Self { fault, wire: version::WIRE, schema: version::SCHEMA }
    }
}
