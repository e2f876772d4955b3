//! Messages from the device to the PLC.
//!
//! Every crate can read every message. On the device only a session ([`crate::session::device`]) makes a [`VerdictMessage`], and
//! only from a committed journal entry. The PLC's side reads a [`VerdictMessage`] from a frame or from registers.

use crate::{
    bundle::{BundleState, Confirmed},
    code::VerdictCode,
    digest::DigestStart,
    fault::LinkError,
    frame_type::FrameType,
    reason::ReasonCode,
    score::ScoreE4,
    state::{StateCode, Status},
    version::Schema,
};
use serde::{Deserialize, Serialize};

/// Answers a HELLO: the link is open. Its layout changes only with [`crate::version::WIRE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAck {
    /// The number of the link's [`Schema`], as in HELLO.
    #[serde(with = "postcard::fixint::le")]
    pub schema: u32,
    /// The device's number, as configured.
    #[serde(with = "postcard::fixint::le")]
    pub device: u32,
    /// The device's state.
    pub state: StateCode,
}

/// The trigger was accepted: the part gets exactly one terminal record in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// The part's number.
    #[serde(with = "postcard::fixint::le")]
    pub part_id: u64,
    /// The trigger's nonce.
    #[serde(with = "postcard::fixint::le")]
    pub nonce: u32,
}

/// The trigger was refused, or the journal could not store its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nak {
    /// The part's number.
    #[serde(with = "postcard::fixint::le")]
    pub part_id: u64,
    /// The trigger's nonce.
    #[serde(with = "postcard::fixint::le")]
    pub nonce: u32,
    /// Why the trigger was refused, or [`ReasonCode::STORE_FAILED`].
    pub reason: ReasonCode,
}

/// The flags of a verdict. Bits that this version does not know are kept. The gate lets no part pass if any bit is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(#[serde(with = "postcard::fixint::le")] pub u16);

impl Flags {
    /// No real part was judged: the image or the engine is simulated.
    pub const SIMULATED: Self = Self(1 << 0);
    /// The appliance is degraded: it works with less than it should have.
    pub const DEGRADED: Self = Self(1 << 1);

    /// Are all bits of `other` set?
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// VERDICT: a verdict for the gate to act on. Other crates cannot build one:
///
/// ```compile_fail,E0451
/// use cellgate_protocol::{code::VerdictCode, to_plc::VerdictMessage};
/// let forged = VerdictMessage { code: VerdictCode::PASS, ..panic!() };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictMessage {
    #[serde(with = "postcard::fixint::le")]
    pub(crate) part_id: u64,
    #[serde(with = "postcard::fixint::le")]
    pub(crate) nonce: u32,
    #[serde(with = "postcard::fixint::le")]
    pub(crate) verdict_seq: u64,
    pub(crate) code: VerdictCode,
    #[serde(with = "postcard::fixint::le")]
    pub(crate) complement: u32,
    pub(crate) reason: ReasonCode,
    pub(crate) score: ScoreE4,
    #[serde(with = "postcard::fixint::le")]
    pub(crate) age_ms: u32,
    pub(crate) model: DigestStart,
    pub(crate) image: DigestStart,
    pub(crate) flags: Flags,
}

impl VerdictMessage {
    /// The part's number.
    #[must_use]
    pub const fn part_id(&self) -> u64 {
        self.part_id
    }

    /// The nonce of the trigger that the verdict answers.
    #[must_use]
    pub const fn nonce(&self) -> u32 {
        self.nonce
    }

    /// The journal's number of the verdict.
    #[must_use]
    pub const fn verdict_seq(&self) -> u64 {
        self.verdict_seq
    }

    /// The verdict code.
    #[must_use]
    pub const fn code(&self) -> VerdictCode {
        self.code
    }

    /// The verdict code with every bit inverted.
    #[must_use]
    pub const fn complement(&self) -> u32 {
        self.complement
    }

    /// The reason of the verdict.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        self.reason
    }

    /// The score.
    #[must_use]
    pub const fn score(&self) -> ScoreE4 {
        self.score
    }

    /// Milliseconds from the trigger's arrival at the device to the sending of this frame.
    #[must_use]
    pub const fn age_ms(&self) -> u32 {
        self.age_ms
    }

    /// The model that judged.
    #[must_use]
    pub const fn model(&self) -> DigestStart {
        self.model
    }

    /// The image that was judged.
    #[must_use]
    pub const fn image(&self) -> DigestStart {
        self.image
    }

    /// The flags of the verdict.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        self.flags
    }
}

/// Why a verdict is sent as a record, as a raw number. Any 8 bits are a valid value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(pub u8);

impl Origin {
    /// Unknown, because the registers of the Modbus profile do not carry the origin.
    pub const UNKNOWN: Self = Self(0);
    /// The part's deadline was over before the verdict was acknowledged.
    pub const LATE: Self = Self(1);
    /// A PASS that could not be sent as a verdict: a worker stood still, the appliance needed repair, the journal could not store
    /// verdicts, or the PLC was silent.
    pub const UNHEALTHY: Self = Self(2);
    /// Sent again from the journal, because the PLC has not acknowledged the verdict. It may be of an earlier start of the device.
    pub const REPLAY: Self = Self(3);
    /// Judged without a trigger.
    pub const FREE_RUNNING: Self = Self(4);
    /// The verdict was already acknowledged. Only registers show such a record; it is never sent.
    pub const DELIVERED: Self = Self(5);
}

/// RECORD: a verdict for information only. The PLC must not act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The part's number.
    #[serde(with = "postcard::fixint::le")]
    pub part_id: u64,
    /// The nonce of the part's trigger. 0 if there was no trigger.
    #[serde(with = "postcard::fixint::le")]
    pub nonce: u32,
    /// The journal's number of the verdict.
    #[serde(with = "postcard::fixint::le")]
    pub verdict_seq: u64,
    /// The boot epoch in which the part was judged.
    #[serde(with = "postcard::fixint::le")]
    pub boot_epoch: u32,
    /// The verdict code.
    pub code: VerdictCode,
    /// The reason of the verdict.
    pub reason: ReasonCode,
    /// The score.
    pub score: ScoreE4,
    /// The model that judged.
    pub model: DigestStart,
    /// The image that was judged.
    pub image: DigestStart,
    /// The flags of the verdict.
    pub flags: Flags,
    /// Why the verdict is a record.
    pub origin: Origin,
}

/// Shows that the device is alive, and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceHeartbeat {
    /// Increases by one with each heartbeat, wrapping, but only while every worker makes progress.
    #[serde(with = "postcard::fixint::le")]
    pub counter: u32,
    /// The device's state.
    pub state: StateCode,
    /// The status bits.
    pub status: Status,
    /// Verdicts in the journal that the PLC has not acknowledged. `cellgate-edge` counts at most 1000.
    #[serde(with = "postcard::fixint::le")]
    pub backlog: u16,
}

/// HEARTBEAT of [`Schema::Two`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleHeartbeat {
    /// The heartbeat as in [`Schema::One`].
    pub heartbeat: DeviceHeartbeat,
    /// The running bundle.
    pub bundle: BundleState,
}

/// A message from the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToPlc {
    /// The link is open.
    HelloAck(HelloAck),
    /// The trigger was accepted.
    Busy(Busy),
    /// A verdict to act on.
    Verdict(VerdictMessage),
    /// The trigger was refused, or its verdict could not be stored.
    Nak(Nak),
    /// The device is alive.
    Heartbeat(DeviceHeartbeat),
    /// The device is alive, and this is the running bundle.
    BundleHeartbeat(BundleHeartbeat),
    /// The answer to a confirmation.
    Confirmed(Confirmed),
    /// A verdict for information only.
    Record(Record),
    /// A fault of the link.
    Error(LinkError),
}

impl ToPlc {
    /// The type in the frame's header.
    #[must_use]
    pub const fn frame_type(&self) -> FrameType {
        match self {
            Self::HelloAck(_) => FrameType::HELLO_ACK,
            Self::Busy(_) => FrameType::BUSY,
            Self::Verdict(_) => FrameType::VERDICT,
            Self::Nak(_) => FrameType::NAK,
            Self::Heartbeat(_) | Self::BundleHeartbeat(_) => FrameType::HEARTBEAT,
            Self::Confirmed(_) => FrameType::CONFIRMED,
            Self::Record(_) => FrameType::RECORD,
            Self::Error(_) => FrameType::ERROR,
        }
    }

    /// Does a link of this schema carry the message, with this payload?
    #[must_use]
    pub const fn is_of(&self, schema: Schema) -> bool {
        match self {
            Self::Heartbeat(_) => matches!(schema, Schema::One),
            Self::BundleHeartbeat(_) | Self::Confirmed(_) => matches!(schema, Schema::Two),
            Self::HelloAck(_) | Self::Busy(_) | Self::Verdict(_) | Self::Nak(_) | Self::Record(_) | Self::Error(_) => {
                true
            }
        }
    }

    /// The message as a link of this schema carries it: [`Schema::One`] has no bundle in HEARTBEAT. `None` if the schema has no such
    /// message.
    pub(crate) const fn in_schema(self, schema: Schema) -> Option<Self> {
        match (self, schema) {
            (Self::BundleHeartbeat(BundleHeartbeat { heartbeat, .. }), Schema::One) => Some(Self::Heartbeat(heartbeat)),
            (message, _) if message.is_of(schema) => Some(message),
            _ => None,
        }
    }
}
