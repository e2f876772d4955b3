//! Defines the messages on the pipes between parent and decode worker. Each has a header of fixed length with little-endian
//! integers. The header says how many bytes follow.
//!
//! | message | bytes |
//! |---|---|
//! | settings, once, to the decode worker | limit of pixels u64, limit of a file's bytes u64, longest time in microseconds u64 |
//! | request, to the decode worker | sequence u32, length u64, that many bytes of the file |
//! | answer, to the parent | kind u32, sequence u32, a u32, b u32, then the bytes of the second table |
//!
//! | kind | a, b | followed by |
//! |---|---|---|
//! | 1 ready (sequence 0, once) | protections as bits, 0 | nothing |
//! | 2 image | width, height | 2 bytes a level in native byte order, row by row |
//! | 6 in the file | width, height | u64: offset of the levels in the file, where each has 2 bytes in native byte order |
//! | 3 malformed, 4 unsupported, 5 over the limit | lengths of two texts | the texts: what was found, what was expected |

use cellgate_models::radiograph::RadiographLimits;
use std::time::Duration;

/// Length of the settings in bytes.
pub(super) const SETTINGS_BYTES: usize = 24;
/// Length of a request's header in bytes.
pub(super) const REQUEST_BYTES: usize = 12;
/// Length of an answer's header in bytes.
pub(super) const ANSWER_BYTES: usize = 16;
/// Length of the offset of levels in a file, in bytes.
pub(super) const PLACE_BYTES: usize = 8;
/// The length limit of a refusal's text, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 512;

/// Kinds of answers, as in the second table of this file. An answer of an unknown kind is invalid.
pub(super) mod kind {
    pub(in super::super) const READY: u32 = 1;
    pub(in super::super) const IMAGE: u32 = 2;
    pub(in super::super) const MALFORMED: u32 = 3;
    pub(in super::super) const UNSUPPORTED: u32 = 4;
    pub(in super::super) const OVER_LIMIT: u32 = 5;
    pub(in super::super) const IN_FILE: u32 = 6;
}

/// The header of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) kind: u32,
    pub(super) sequence: u32,
    /// The meaning depends on `kind`: see the second table of this file.
    pub(super) a: u32,
    /// As `a`.
    pub(super) b: u32,
}

impl Answer {
    pub(super) fn to_bytes(self) -> [u8; ANSWER_BYTES] {
        let mut bytes = [0; ANSWER_BYTES];
        for (place, value) in bytes.chunks_exact_mut(4).zip([self.kind, self.sequence, self.a, self.b]) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; ANSWER_BYTES]) -> Self {
        let value = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { kind: value(0), sequence: value(4), a: value(8), b: value(12) }
    }
}

pub(super) fn request_to_bytes(sequence: u32, len: u64) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    bytes[..4].copy_from_slice(&sequence.to_le_bytes());
    bytes[4..].copy_from_slice(&len.to_le_bytes());
    bytes
}

/// Returns the request's sequence number and the file's length.
pub(super) fn request_from_bytes(bytes: [u8; REQUEST_BYTES]) -> (u32, u64) {
    let (sequence, len) = bytes.split_at(4);
    (u32::from_le_bytes(array(sequence)), u64::from_le_bytes(array(len)))
}

pub(super) fn settings_to_bytes(limits: &RadiographLimits) -> [u8; SETTINGS_BYTES] {
    let max_time_us = u64::try_from(limits.max_time.as_micros()).unwrap_or(u64::MAX);
    let mut bytes = [0; SETTINGS_BYTES];
    for (place, value) in bytes.chunks_exact_mut(8).zip([limits.max_pixels, limits.max_file_bytes, max_time_us]) {
        place.copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

pub(super) fn settings_from_bytes(bytes: [u8; SETTINGS_BYTES]) -> RadiographLimits {
    let value = |at: usize| u64::from_le_bytes(array(&bytes[at..at + 8]));
    RadiographLimits { max_pixels: value(0), max_file_bytes: value(8), max_time: Duration::from_micros(value(16)) }
}

/// The first `N` bytes, padded with zeros.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    for (place, byte) in array.iter_mut().zip(bytes) {
        *place = *byte;
    }
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_survive_a_round_trip(kind: u32, sequence: u32, a: u32, b: u32, len: u64, pixels: u64, us: u64) {
            let answer = Answer { kind, sequence, a, b };
            prop_assert_eq!(Answer::from_bytes(answer.to_bytes()), answer);
            prop_assert_eq!(request_from_bytes(request_to_bytes(sequence, len)), (sequence, len));
            let limits = RadiographLimits { max_pixels: pixels, max_file_bytes: len, max_time: Duration::from_micros(us) };
            prop_assert_eq!(settings_from_bytes(settings_to_bytes(&limits)), limits);
        }
    }

    #[test]
    fn the_bytes_are_little_endian_in_the_order_of_the_table() {
        assert_eq!(request_to_bytes(0x0403_0201, 5), [1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0]);
        let answer = Answer { kind: kind::IMAGE, sequence: 7, a: 258, b: 1 };
        assert_eq!(answer.to_bytes(), [2, 0, 0, 0, 7, 0, 0, 0, 2, 1, 0, 0, 1, 0, 0, 0]);
    }
}
