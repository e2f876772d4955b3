//! Where things stand: the addresses of the register map, and the checksum that protects each of its two blocks.
//!
//! Numbers of 32 and 64 bits take 2 and 4 registers, the high word first. The CRC-32C of a block is computed over its
//! registers in order of address, the high byte of each first: the order in which they travel.

use crc::{CRC_32_ISCSI, Crc};

/// The version of the map, in input register 0. Registers are only ever appended; whatever else changes makes a new version.
pub const VERSION: u16 = 1;

/// Input register 1: the letters `Cg`. It tells a wrong unit or offset from a wrong value.
pub const MAGIC: u16 = 0x4367;

/// Registers of a snapshot. They are input registers from address 0, and again read-only holding registers from address 0
/// for clients that use function 03 or 23.
pub const SNAPSHOT_REGISTERS: usize = 32;

/// The first register of the command block, which the PLC writes.
pub const COMMAND_ADDRESS: u16 = 0x100;

/// Registers of the command block.
pub const COMMAND_REGISTERS: usize = 13;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// CRC-32C (Castagnoli) of registers as they travel, as its high and low word.
pub(super) fn crc32c(registers: &[u16]) -> [u16; 2] {
    let mut digest = CRC32C.digest();
    for register in registers {
        digest.update(&register.to_be_bytes());
    }
    split_u32(digest.finalize())
}

pub(super) const fn split_u32(value: u32) -> [u16; 2] {
    [(value >> 16) as u16, value as u16]
}

pub(super) const fn joined_u32([high, low]: [u16; 2]) -> u32 {
    (high as u32) << 16 | low as u32
}

pub(super) const fn split_u64(value: u64) -> [u16; 4] {
    [(value >> 48) as u16, (value >> 32) as u16, (value >> 16) as u16, value as u16]
}

pub(super) const fn joined_u64([a, b, c, d]: [u16; 4]) -> u64 {
    (joined_u32([a, b]) as u64) << 32 | joined_u32([c, d]) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_registers_is_that_of_their_bytes_on_the_wire() {
        // RFC 3720, B.4: 32 bytes of zeros; 32 bytes that count up.
        assert_eq!(joined_u32(crc32c(&[0; 16])), 0x8A91_36AA);
        let counting: [u16; 16] = core::array::from_fn(|at| u16::from_be_bytes([2 * at as u8, 2 * at as u8 + 1]));
        assert_eq!(joined_u32(crc32c(&counting)), 0x46DD_794E);
    }

    #[test]
    fn high_words_first() {
        assert_eq!(split_u32(0x0102_0304), [0x0102, 0x0304]);
        assert_eq!(split_u64(0x0102_0304_0506_0708), [0x0102, 0x0304, 0x0506, 0x0708]);
        assert_eq!(joined_u64(split_u64(0x8182_0304_0506_F7F8)), 0x8182_0304_0506_F7F8);
        assert_eq!(joined_u32(split_u32(0xF1F2_0304)), 0xF1F2_0304);
    }
}
