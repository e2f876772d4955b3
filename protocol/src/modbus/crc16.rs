//! The checksum that ends every Modbus RTU frame: CRC-16/MODBUS, sent low byte first (Modbus over Serial Line V1.02,
//! section 2.5.1.2).
//!
//! Its Hamming distance is 4 for the frames of at most 256 bytes, so it finds every change of 1, 2 or 3 bits within one
//! frame. It is too weak to gate a part on: the register map therefore carries CRC-32C of its own, see
//! [`map`](super::map).

use crc::{CRC_16_MODBUS, Crc};

const CRC16: Crc<u16> = Crc::<u16>::new(&CRC_16_MODBUS);

/// The two bytes that end a frame with these `bytes` before them, in the order of the wire.
#[must_use]
pub const fn bytes_of(bytes: &[u8]) -> [u8; 2] {
    CRC16.checksum(bytes).to_le_bytes()
}

/// What a frame says when its last two bytes are the checksum of the others; none when they are not, or when there are
/// no others.
#[must_use]
pub fn checked(frame: &[u8]) -> Option<&[u8]> {
    let (said, crc) = frame.split_last_chunk::<2>()?;
    (!said.is_empty() && bytes_of(said) == *crc).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_the_catalogue() {
        assert_eq!(u16::from_le_bytes(bytes_of(b"123456789")), 0x4B37);
    }

    #[test]
    fn low_byte_first() {
        assert_eq!(checked(&[0x02, 0x07, 0x41, 0x12]), Some(&[0x02, 0x07][..]));
        assert_eq!(checked(&[0x02, 0x07, 0x12, 0x41]), None);
    }

    #[test]
    fn nothing_is_no_frame() {
        assert_eq!(checked(&[]), None);
        assert_eq!(checked(&[0xFF]), None);
        // The checksum of nothing.
        assert_eq!(checked(&[0xFF, 0xFF]), None);
    }
}
