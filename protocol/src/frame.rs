//! Encodes and decodes frames: `00 | COBS(header | payload | CRC-32C little endian) | 00`.
//!
//! [`decode`] checks a frame in this order: byte stuffing, CRC, length, version, type, payload to its last byte. At the end it
//! encodes the frame again and requires the same bytes.

pub use crate::frame_type::FrameType;
use crate::{
    limits::{CHECK, HEADER, MAX_FRAME, MAX_PAYLOAD, MAX_RAW, MAX_STUFFED},
    to_device::ToDevice,
    to_plc::ToPlc,
    version,
};
use core::fmt;
use crc::{CRC_32_ISCSI, Crc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// CRC-32C (Castagnoli, RFC 3720): Hamming distance at least 6 up to 650 bytes.
static CRC_32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The CRC-32C of the bytes.
#[must_use]
pub fn crc_32c(bytes: &[u8]) -> u32 {
    CRC_32C.checksum(bytes)
}

/// The header fields that a caller sets. [`encode`] writes the others (version, type, length) and [`decode`] checks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The number with which the PLC opened the link. The PLC chooses a new one each time, and both sides send it in every frame.
    pub link_id: u32,
    /// The number of the device's start. The PLC sends the number that it knows, 0 before HELLO_ACK.
    pub boot_epoch: u32,
    /// The sender's count of its frames, wrapping. The first frame has 1.
    pub seq: u32,
    /// The last `seq` that the sender accepted with this link id, 0 before the first.
    pub ack: u32,
}

/// The 20 bytes of the header as they are in the frame, little endian.
#[derive(Serialize, Deserialize)]
struct RawHeader {
    version: u8,
    frame_type: FrameType,
    #[serde(with = "postcard::fixint::le")]
    length: u16,
    #[serde(with = "postcard::fixint::le")]
    link_id: u32,
    #[serde(with = "postcard::fixint::le")]
    boot_epoch: u32,
    #[serde(with = "postcard::fixint::le")]
    seq: u32,
    #[serde(with = "postcard::fixint::le")]
    ack: u32,
}

/// Why the bytes between two delimiters are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The byte stuffing is wrong, or there are too few or too many bytes.
    Stuffing,
    /// The CRC-32C is wrong.
    Check,
    /// The CRC-32C is right, but the header's length is not the length of the payload.
    Length,
    /// The CRC-32C is right, but the frame has another version: the sides are incompatible.
    Version {
        /// The frame's version.
        found: u8,
    },
    /// The type does not exist in this direction.
    Type {
        /// The frame's type.
        found: u8,
    },
    /// The payload does not have the layout of its type: it is too short, or bytes remain after it.
    Payload,
    /// Encoding the content of the frame again gives other bytes than the frame has.
    Canon,
}

impl fmt::Display for FrameError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuffing => out.write_str("the byte stuffing is wrong"),
            Self::Check => out.write_str("the CRC-32C is wrong"),
            Self::Length => out.write_str("the length in the header is not the length of the payload"),
            Self::Version { found } => write!(out, "found version {found}, expected {}", version::WIRE),
            Self::Type { found } => write!(out, "found type {found}, which does not exist in this direction"),
            Self::Payload => out.write_str("the payload does not have the layout of its type"),
            Self::Canon => out.write_str("encoding the same content gives other bytes"),
        }
    }
}

impl core::error::Error for FrameError {}

/// A message of one direction, which can be encoded and decoded.
pub trait Message: Payload {}
impl Message for ToDevice {}
impl Message for ToPlc {}

mod sealed {
    use super::{FrameError, FrameType};

    /// Encodes a message to a payload and decodes it. Sealed, so that other crates cannot add messages.
    pub trait Payload: Sized {
        fn frame_type(&self) -> FrameType;
        /// Writes the payload and returns its length, or `None` if it does not fit.
        fn write(&self, out: &mut [u8]) -> Option<usize>;
        fn read(frame_type: FrameType, payload: &[u8]) -> Result<Self, FrameError>;
    }
}
use sealed::Payload;

/// Writes one payload and returns its length, or `None` if it does not fit.
fn write<T: Serialize>(value: &T, out: &mut [u8]) -> Option<usize> {
    postcard::to_slice(value, out).ok().map(|written| written.len())
}

/// Reads one payload. Remaining bytes are an error.
fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(payload) {
        Ok((value, [])) => Ok(value),
        _ => Err(FrameError::Payload),
    }
}

/// Reads a payload that has a layout for each schema. The layouts differ in length, and every field has a fixed size, so at most one
/// of them fits.
fn either<M, A: DeserializeOwned, B: DeserializeOwned>(
    payload: &[u8],
    one: fn(A) -> M,
    two: fn(B) -> M,
) -> Result<M, FrameError> {
    read(payload).map(one).or_else(|_| read(payload).map(two))
}

impl Payload for ToDevice {
    fn frame_type(&self) -> FrameType {
        ToDevice::frame_type(self)
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        match self {
            Self::Hello(payload) => write(payload, out),
            Self::Trigger(payload) => write(payload, out),
            Self::BundleTrigger(payload) => write(payload, out),
            Self::Ack(payload) => write(payload, out),
            Self::GateAck(payload) => write(payload, out),
            Self::Confirm(payload) => write(payload, out),
            Self::Heartbeat(payload) => write(payload, out),
            Self::Error(payload) => write(payload, out),
        }
    }

    fn read(frame_type: FrameType, payload: &[u8]) -> Result<Self, FrameError> {
        match frame_type {
            FrameType::HELLO => read(payload).map(Self::Hello),
            FrameType::TRIGGER => either(payload, Self::Trigger, Self::BundleTrigger),
            FrameType::ACK => either(payload, Self::Ack, Self::GateAck),
            FrameType::CONFIRM => read(payload).map(Self::Confirm),
            FrameType::HEARTBEAT => read(payload).map(Self::Heartbeat),
            FrameType::ERROR => read(payload).map(Self::Error),
            FrameType(found) => Err(FrameError::Type { found }),
        }
    }
}

impl Payload for ToPlc {
    fn frame_type(&self) -> FrameType {
        ToPlc::frame_type(self)
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        match self {
            Self::HelloAck(payload) => write(payload, out),
            Self::Busy(payload) => write(payload, out),
            Self::Verdict(payload) => write(payload, out),
            Self::Nak(payload) => write(payload, out),
            Self::Heartbeat(payload) => write(payload, out),
            Self::BundleHeartbeat(payload) => write(payload, out),
            Self::Confirmed(payload) => write(payload, out),
            Self::Record(payload) => write(payload, out),
            Self::Error(payload) => write(payload, out),
        }
    }

    fn read(frame_type: FrameType, payload: &[u8]) -> Result<Self, FrameError> {
        match frame_type {
            FrameType::HELLO_ACK => read(payload).map(Self::HelloAck),
            FrameType::BUSY => read(payload).map(Self::Busy),
            FrameType::VERDICT => read(payload).map(Self::Verdict),
            FrameType::NAK => read(payload).map(Self::Nak),
            FrameType::HEARTBEAT => either(payload, Self::Heartbeat, Self::BundleHeartbeat),
            FrameType::CONFIRMED => read(payload).map(Self::Confirmed),
            FrameType::RECORD => read(payload).map(Self::Record),
            FrameType::ERROR => read(payload).map(Self::Error),
            FrameType(found) => Err(FrameError::Type { found }),
        }
    }
}

/// Writes a frame with both delimiters into `out` and returns its bytes.
///
/// Callers can encode messages of both directions, but they get a new [`ToPlc::Verdict`] only from a device's session.
///
/// # Errors
/// [`FrameError::Length`] if the payload is longer than [`MAX_PAYLOAD`]. No message of this version has such a payload.
pub fn encode<'a, M: Message>(
    header: &Header,
    message: &M,
    out: &'a mut [u8; MAX_FRAME],
) -> Result<&'a [u8], FrameError> {
    let mut raw = [0; MAX_RAW];
    let length = message.write(&mut raw[HEADER..HEADER + MAX_PAYLOAD]).ok_or(FrameError::Length)?;
    let raw_header = RawHeader {
        version: version::WIRE,
        frame_type: message.frame_type(),
        length: u16::try_from(length).map_err(|_| FrameError::Length)?,
        link_id: header.link_id,
        boot_epoch: header.boot_epoch,
        seq: header.seq,
        ack: header.ack,
    };
    if write(&raw_header, &mut raw) != Some(HEADER) {
        return Err(FrameError::Length);
    }
    let end = HEADER + length;
    let check = crc_32c(&raw[..end]);
    raw[end..end + CHECK].copy_from_slice(&check.to_le_bytes());
    let stuffed = cobs::try_encode(&raw[..end + CHECK], &mut out[1..=MAX_STUFFED]).map_err(|_| FrameError::Length)?;
    out[0] = 0;
    out[1 + stuffed] = 0;
    Ok(&out[..stuffed + 2])
}

/// Reads the bytes between two delimiters.
///
/// # Errors
/// The first check that fails, in the order of the variants of [`FrameError`].
pub fn decode<M: Message>(stuffed: &[u8]) -> Result<(Header, M), FrameError> {
    let mut raw = [0; MAX_STUFFED];
    if stuffed.len() > MAX_STUFFED {
        return Err(FrameError::Stuffing);
    }
    let length = cobs::decode(stuffed, &mut raw).map_err(|_| FrameError::Stuffing)?;
    if !(HEADER + CHECK..=MAX_RAW).contains(&length) {
        return Err(FrameError::Stuffing);
    }
    let (body, check) = raw[..length].split_at(length - CHECK);
    if check != crc_32c(body).to_le_bytes() {
        return Err(FrameError::Check);
    }
    let (header, payload) = body.split_at(HEADER);
    let raw_header: RawHeader = read(header).map_err(|_| FrameError::Length)?;
    if usize::from(raw_header.length) != payload.len() {
        return Err(FrameError::Length);
    }
    if raw_header.version != version::WIRE {
        return Err(FrameError::Version { found: raw_header.version });
    }
    let message = M::read(raw_header.frame_type, payload)?;
    let RawHeader { link_id, boot_epoch, seq, ack, .. } = raw_header;
    let header = Header { link_id, boot_epoch, seq, ack };
    let mut again = [0; MAX_FRAME];
    match encode(&header, &message, &mut again) {
        Ok([0, same @ .., 0]) if same == stuffed => Ok((header, message)),
        _ => Err(FrameError::Canon),
    }
}
