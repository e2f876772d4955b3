//! The types of frames.

use serde::{Deserialize, Serialize};

/// What a frame holds, as it travels: any 8 bits.
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
    /// To the PLC: something to act on.
    pub const VERDICT: Self = Self(5);
    /// To the device: a verdict or a record arrived.
    pub const ACK: Self = Self(6);
    /// To the PLC: the trigger was refused.
    pub const NAK: Self = Self(7);
    /// Both ways, with different payloads: the sender is alive.
    pub const HEARTBEAT: Self = Self(8);
    /// To the PLC: information.
    pub const RECORD: Self = Self(9);
    /// Both ways: something is wrong with the link.
    pub const ERROR: Self = Self(10);
}
