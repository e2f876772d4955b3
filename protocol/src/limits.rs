//! The limits of the protocol, which both sides rely on: sizes in bytes, times in milliseconds, and counts.

/// Bytes of a frame's header.
pub const HEADER: usize = 20;

/// Most bytes of a frame's payload.
pub const MAX_PAYLOAD: usize = 200;

/// Bytes of the CRC-32C after the payload.
pub const CHECK: usize = 4;

/// Most bytes of a frame before byte stuffing: header, payload, CRC-32C.
pub const MAX_RAW: usize = HEADER + MAX_PAYLOAD + CHECK;

/// Most bytes of a frame between its delimiters. COBS adds at most one byte per 254 bytes.
pub const MAX_STUFFED: usize = MAX_RAW + MAX_RAW.div_ceil(254);

/// Most bytes of a frame on the link, with both delimiters.
pub const MAX_FRAME: usize = MAX_STUFFED + 2;

/// The interval of the heartbeats of each side.
pub const HEARTBEAT_MS: u64 = 100;

/// The device holds when the PLC's heartbeat has not changed for this time.
pub const PLC_SILENT_MS: u64 = 500;

/// The PLC's gate rejects a part when the device's heartbeat has not changed for longer than this.
pub const DEVICE_STALE_MS: u64 = 300;

/// The time that a PLC and its gateway may need to answer. [`crate::session::repeat::first_wait_ms`] adds the time on the link.
pub const PLC_SCAN_MS: u64 = 50;

/// The longest wait between two repetitions, unless the first wait is longer.
pub const MAX_REPEAT_MS: u64 = 250;

/// How long a health token is valid.
pub const HEALTH_VALID_MS: u64 = 100;

/// The longest time that a live worker may take between two reports while a PASS may be sent. A worker that stopped counts as live
/// for at most this time after its last report. A token that was issued in this time is valid for less than [`HEALTH_VALID_MS`].
/// The device's heartbeat therefore stops less than [`DEVICE_STALE_MS`] after the worker's last report.
pub const MAX_WORKER_PAUSE_MS: u64 = DEVICE_STALE_MS - HEALTH_VALID_MS;

/// The session concludes an unjudged part as REJECT/TIMEOUT this long before its deadline, so that the REJECT still arrives in
/// time. If the part has less than twice this time, the session concludes it after half of its time.
pub const CONCLUDE_BEFORE_MS: u64 = 50;

/// The longest deadline that a trigger may have.
pub const MAX_DEADLINE_MS: u32 = 600_000;

/// The most models on a PLC's allow-list.
pub const ALLOWED_MODELS: usize = 8;

/// Bits of one byte on the link: start, eight data bits, parity, stop.
pub const BITS_PER_BYTE: u64 = 11;

/// The time in milliseconds, rounded up, that `bytes` take on a link of `baud` bits per second.
///
/// A `baud` of 0 counts as 1.
#[must_use]
pub const fn link_time_ms(bytes: usize, baud: u32) -> u64 {
    let bits = bytes as u64 * BITS_PER_BYTE;
    let baud = if baud == 0 { 1 } else { baud as u64 };
    (bits * 1000).div_ceil(baud)
}

// SPEC.md states these sizes.
const _: () = assert!(MAX_RAW == 224 && MAX_STUFFED == 225 && MAX_FRAME == 227);
