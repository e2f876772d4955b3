//! Defines the numbers of the frame types.

use serde::{Deserialize, Serialize};

/// The type of a frame as a raw number. Any 8 bits are a valid value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FrameType(pub u8);

impl FrameType {
    /// To the device: opens a link.
    pub const HELLO: Self = Self(1);
    /// To the PLC: the link is open.
    pub const HELLO_ACK: Self = Self(2);
    /// To the device: asks for a verdict.
    pub const TRIGGER: Self = Self(3);
    /// To the PLC: the trigger was accepted.
    pub const BUSY: Self = Self(4);
    /// To the PLC: a verdict to act on.
    pub const VERDICT: Self = Self(5);
    /// To the device: a verdict or a record arrived.
    pub const ACK: Self = Self(6);
    /// To the PLC: the trigger was refused, or its verdict could not be stored.
    pub const NAK: Self = Self(7);
    /// In both directions, with different payloads: the sender is alive.
    pub const HEARTBEAT: Self = Self(8);
    /// To the PLC: a verdict for information only.
    pub const RECORD: Self = Self(9);
    /// In both directions: a fault of the link.
    pub const ERROR: Self = Self(10);
    /// To the device: a judged part is a good reference part.
    pub const CONFIRM: Self = Self(11);
    /// To the PLC: the answer to CONFIRM.
    pub const CONFIRMED: Self = Self(12);
}
