//! Sizes in bytes and times in milliseconds that both sides rely on.

/// Bytes of a frame's header.
pub const HEADER: usize = 20;

/// Most bytes of a frame's payload.
pub const MAX_PAYLOAD: usize = 200;

/// Bytes of the check sum behind the payload.
pub const CHECK: usize = 4;

/// Most bytes of a frame before byte stuffing: header, payload, check sum.
pub const MAX_RAW: usize = HEADER + MAX_PAYLOAD + CHECK;

/// Most bytes of a frame between its delimiters: COBS adds one byte to each 254 it is given.
pub const MAX_STUFFED: usize = MAX_RAW + MAX_RAW.div_ceil(254);

/// Most bytes of a frame on the link, with a delimiter on both sides.
pub const MAX_FRAME: usize = MAX_STUFFED + 2;

/// How often each side sends a heartbeat.
pub const HEARTBEAT_MS: u64 = 100;

/// The PLC's heartbeat unchanged for so long: the device holds.
pub const PLC_SILENT_MS: u64 = 500;

/// The device's heartbeat unchanged for so long: the PLC rejects.
pub const DEVICE_STALE_MS: u64 = 300;

/// What a PLC may need to answer: its scan and its gateway, added to two frame times before the first repetition.
pub const PLC_SCAN_MS: u64 = 50;

/// The longest wait between two repetitions.
pub const MAX_REPEAT_MS: u64 = 250;

/// A health token is good for so long. With the time that a worker may stand still it must stay below
/// [`DEVICE_STALE_MS`].
pub const HEALTH_VALID_MS: u64 = 100;

/// The session concludes a part by itself this long before its deadline, so that the REJECT still arrives in time.
pub const CONCLUDE_BEFORE_MS: u64 = 50;

/// The longest deadline that a trigger may give.
pub const MAX_DEADLINE_MS: u32 = 600_000;

/// Models on a PLC's allow-list.
pub const ALLOWED_MODELS: usize = 8;

/// Bits that one byte takes on the link: start, eight bits, parity, stop.
pub const BITS_PER_BYTE: u64 = 11;

/// The time in milliseconds, rounded up, that `bytes` take on a line of `baud` bits per second.
///
/// A `baud` of 0 is taken as 1.
#[must_use]
pub const fn link_time_ms(bytes: usize, baud: u32) -> u64 {
    let bits = bytes as u64 * BITS_PER_BYTE;
    let baud = if baud == 0 { 1 } else { baud as u64 };
    (bits * 1000).div_ceil(baud)
}

const _: () = assert!(MAX_RAW == 224 && MAX_STUFFED == 225 && MAX_FRAME == 227);
