//! What the PLC says to the device.

use crate::{code::VerdictCode, frame_type::FrameType, state::Status};
use serde::{Deserialize, Serialize};

/// Opens a link. Its layout never changes, so that sides of different versions still understand it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's [`crate::version::SCHEMA`].
    #[serde(with = "postcard::fixint::le")]
    pub schema: u32,
    /// The PLC's number, for the journal; 0 where it has none.
    #[serde(with = "postcard::fixint::le")]
    pub plc: u32,
}

/// Asks for the verdict on one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerRequest {
    /// The part's number.
    #[serde(with = "postcard::fixint::le")]
    pub part_id: u64,
    /// Never used twice: tells this trigger from any other of the same part.
    #[serde(with = "postcard::fixint::le")]
    pub nonce: u32,
    /// What is left of the part's time, in milliseconds, 1..=[`crate::limits::MAX_DEADLINE_MS`].
    #[serde(with = "postcard::fixint::le")]
    pub deadline_ms: u32,
}

/// Says that a VERDICT or a RECORD arrived; echoes what it said. It does not say what the gate made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The number of the verdict.
    #[serde(with = "postcard::fixint::le")]
    pub verdict_seq: u64,
    /// The part.
    #[serde(with = "postcard::fixint::le")]
    pub part_id: u64,
    /// The verdict.
    pub code: VerdictCode,
}

/// The PLC is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlcHeartbeat {
    /// Advanced by one each time, wrapping.
    #[serde(with = "postcard::fixint::le")]
    pub counter: u32,
    /// For later use; 0.
    pub status: Status,
}

/// A message from the PLC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToDevice {
    /// Opens a link.
    Hello(Hello),
    /// Asks for a verdict.
    Trigger(TriggerRequest),
    /// A verdict or a record arrived.
    Ack(Ack),
    /// The PLC is alive.
    Heartbeat(PlcHeartbeat),
    /// Something is wrong with the link.
    Error(crate::fault::LinkError),
}

impl ToDevice {
    /// The type in the frame's header.
    #[must_use]
    pub const fn frame_type(&self) -> FrameType {
        match self {
            Self::Hello(_) => FrameType::HELLO,
            Self::Trigger(_) => FrameType::TRIGGER,
            Self::Ack(_) => FrameType::ACK,
            Self::Heartbeat(_) => FrameType::HEARTBEAT,
            Self::Error(_) => FrameType::ERROR,
        }
    }
}
