//! Messages from the PLC to the device.

use crate::{code::VerdictCode, frame_type::FrameType, state::Status};
use serde::{Deserialize, Serialize};

/// Opens a link. Its layout changes only with [`crate::version::WIRE`], so sides with different schemas can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's [`crate::version::SCHEMA`].
    #[serde(with = "postcard::fixint::le")]
    pub schema: u32,
    /// The PLC's number, for the journal. 0 if it has none.
    #[serde(with = "postcard::fixint::le")]
    pub plc: u32,
}

/// Asks for the verdict on a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerRequest {
    /// The part's number.
    #[serde(with = "postcard::fixint::le")]
    pub part_id: u64,
    /// A number that is never used twice. It distinguishes this trigger from any other trigger of the same part.
    #[serde(with = "postcard::fixint::le")]
    pub nonce: u32,
    /// The remaining time of the part in milliseconds, 1..=[`crate::limits::MAX_DEADLINE_MS`].
    #[serde(with = "postcard::fixint::le")]
    pub deadline_ms: u32,
}

/// Acknowledges a VERDICT or a RECORD and echoes its number, part and code. It does not carry the gate's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The number of the verdict in the device's journal.
    #[serde(with = "postcard::fixint::le")]
    pub verdict_seq: u64,
    /// The part's number.
    #[serde(with = "postcard::fixint::le")]
    pub part_id: u64,
    /// The verdict code.
    pub code: VerdictCode,
}

/// Shows that the PLC is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlcHeartbeat {
    /// Increases by one with each heartbeat, wrapping.
    #[serde(with = "postcard::fixint::le")]
    pub counter: u32,
    /// Reserved, 0.
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
    /// A fault of the link.
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
