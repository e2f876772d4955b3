//! Computes and checks the CRC that ends every Modbus RTU frame: CRC-16/MODBUS, sent low byte first (Modbus over Serial Line
//! V1.02, section 2.5.1.2).
//!
//! This CRC's Hamming distance is 4 for frames of at most 256 bytes, so it detects every change of 1, 2 or 3 bits in a frame.
//! That is too weak for the decision on a part. The register map therefore has its own CRC-32C, see [`map`](super::map).

use crc::{CRC_16_MODBUS, Crc};

const CRC16: Crc<u16> = Crc::<u16>::new(&CRC_16_MODBUS);

/// The CRC of `bytes`, low byte first as in a frame.
#[must_use]
pub const fn bytes_of(bytes: &[u8]) -> [u8; 2] {
    CRC16.checksum(bytes).to_le_bytes()
}

/// The bytes of a frame before its CRC. `None` if the CRC is wrong or no bytes are before it.
#[must_use]
pub fn checked(frame: &[u8]) -> Option<&[u8]> {
    let (content, crc) = frame.split_last_chunk::<2>()?;
    (!content.is_empty() && bytes_of(content) == *crc).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_is_right() {
        assert_eq!(u16::from_le_bytes(bytes_of(b"123456789")), 0x4B37);
    }

    #[test]
    fn the_low_byte_comes_first() {
        assert_eq!(checked(&[0x02, 0x07, 0x41, 0x12]), Some(&[0x02, 0x07][..]));
        assert_eq!(checked(&[0x02, 0x07, 0x12, 0x41]), None);
    }

    #[test]
    fn an_empty_frame_is_refused() {
        assert_eq!(checked(&[]), None);
        assert_eq!(checked(&[0xFF]), None);
        // The right CRC of no bytes.
        assert_eq!(checked(&[0xFF, 0xFF]), None);
    }
}
