//! Messages from the PLC to the device.

use crate::{
    bundle::Confirm, code::VerdictCode, frame_type::FrameType, reason::ReasonCode, state::Status, version::Schema,
};
use serde::{Deserialize, Serialize};

/// Opens a link. Its layout changes only with [`crate::version::WIRE`], so sides with different schemas can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The number of the link's [`Schema`].
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

/// TRIGGER of [`Schema::Two`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleTrigger {
    /// The trigger as in [`Schema::One`].
    pub trigger: TriggerRequest,
    /// The number of the part's bundle. 0 names no bundle. A repeated trigger has the same bundle.
    #[serde(with = "postcard::fixint::le")]
    pub bundle: u32,
}

/// Acknowledges a VERDICT or a RECORD and echoes its number, part and code.
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

/// ACK of [`Schema::Two`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateAck {
    /// The acknowledgement as in [`Schema::One`].
    pub ack: Ack,
    /// The reason with which the PLC's gate decided on the part, or [`ReasonCode::NONE`] if the PLC does not know it.
    pub gate: ReasonCode,
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
    /// Asks for a verdict and names the part's bundle.
    BundleTrigger(BundleTrigger),
    /// A verdict or a record arrived.
    Ack(Ack),
    /// A verdict or a record arrived, and the gate decided with this reason.
    GateAck(GateAck),
    /// A judged part is a good reference part.
    Confirm(Confirm),
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
            Self::Trigger(_) | Self::BundleTrigger(_) => FrameType::TRIGGER,
            Self::Ack(_) | Self::GateAck(_) => FrameType::ACK,
            Self::Confirm(_) => FrameType::CONFIRM,
            Self::Heartbeat(_) => FrameType::HEARTBEAT,
            Self::Error(_) => FrameType::ERROR,
        }
    }

    /// Does a link of this schema carry the message, with this payload?
    #[must_use]
    pub const fn is_of(&self, schema: Schema) -> bool {
        match self {
            Self::Trigger(_) | Self::Ack(_) => matches!(schema, Schema::One),
            Self::BundleTrigger(_) | Self::GateAck(_) | Self::Confirm(_) => matches!(schema, Schema::Two),
            Self::Hello(_) | Self::Heartbeat(_) | Self::Error(_) => true,
        }
    }
}
