//! Defines the addresses of the register map and the CRC-32C at the end of each of its blocks: the snapshot, the bundle's registers
//! after it, the command block, and the bundle block.
//!
//! Numbers of 32 and 64 bits take 2 and 4 registers, the high word first. The CRC-32C of a block covers its registers in order
//! of address, the high byte of each first. This is the order on the link.

use crate::frame::crc_32c;

/// The version of the map, in input register 0. Registers are only appended. Any other change makes a new version.
pub const VERSION: u16 = 2;

/// Input register 1: the letters `Cg`. A client that finds another value reads another kind of device or a wrong address.
pub const MAGIC: u16 = 0x4367;

/// How many registers a snapshot has. They are input registers from address 0. They are also read-only holding registers from
/// address 0, for clients that use function 03 or 23.
pub const SNAPSHOT_REGISTERS: usize = SNAPSHOT_COUNT as usize;
/// [`SNAPSHOT_REGISTERS`] as a `u16`, the type of the count in a request.
pub const SNAPSHOT_COUNT: u16 = 32;

/// How many registers a device with bundles has after the snapshot.
pub const BUNDLE_REGISTERS: usize = 10;

/// How many input registers a device with bundles has.
pub const INPUT_REGISTERS: usize = INPUT_COUNT as usize;
/// [`INPUT_REGISTERS`] as a `u16`, the type of the count in a request.
pub const INPUT_COUNT: u16 = 42;

/// The first register of the command block, which the PLC writes.
pub const COMMAND_ADDRESS: u16 = 0x100;

/// How many registers the command block has.
pub const COMMAND_REGISTERS: usize = 13;

/// The first register of the bundle block, which a PLC with bundles writes.
pub const BUNDLE_COMMAND_ADDRESS: u16 = 0x120;

/// How many registers the bundle block has.
pub const BUNDLE_COMMAND_REGISTERS: usize = 16;

/// Writes the CRC-32C of all registers but the last two into the last two.
pub(super) fn seal<const N: usize>(registers: &mut [u16; N]) {
    let crc = seal_of(registers);
    registers[N - 2..].copy_from_slice(&crc);
}

/// Are the last two registers the CRC-32C of the others?
pub(super) fn is_sealed<const N: usize>(registers: &[u16; N]) -> bool {
    registers[N - 2..] == seal_of(registers)
}

fn seal_of<const N: usize>(registers: &[u16; N]) -> [u16; 2] {
    const { assert!(N > 2) };
    split_u32(crc_32c(registers.map(u16::to_be_bytes)[..N - 2].as_flattened()))
}

/// The low 16 bits of a counter or a nonce, as one register has them.
pub(super) const fn low_u16(value: u32) -> u16 {
    (value & 0xffff) as u16
}

/// The low 32 bits of a counter, as two registers have them.
pub(super) const fn low_u32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

pub(super) const fn split_u32(value: u32) -> [u16; 2] {
    [(value >> 16) as u16, low_u16(value)]
}

pub(super) const fn joined_u32([high, low]: [u16; 2]) -> u32 {
    (high as u32) << 16 | low as u32
}

pub(super) const fn split_u64(value: u64) -> [u16; 4] {
    let ([a, b], [c, d]) = (split_u32((value >> 32) as u32), split_u32(low_u32(value)));
    [a, b, c, d]
}

pub(super) const fn joined_u64([a, b, c, d]: [u16; 4]) -> u64 {
    (joined_u32([a, b]) as u64) << 32 | joined_u32([c, d]) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seal_is_the_crc_of_the_bytes_on_the_link() {
        // RFC 3720, B.4: 32 bytes from 0 to 31.
        let mut registers: [u16; 18] = core::array::from_fn(|at| u16::from_be_bytes([2 * at as u8, 2 * at as u8 + 1]));
        assert!(!is_sealed(&registers));
        seal(&mut registers);
        assert_eq!(registers[16..], [0x46DD, 0x794E]);
        assert!(is_sealed(&registers));
    }

    #[test]
    fn the_high_word_comes_first() {
        assert_eq!(split_u32(0x0102_0304), [0x0102, 0x0304]);
        assert_eq!(split_u64(0x0102_0304_0506_0708), [0x0102, 0x0304, 0x0506, 0x0708]);
        assert_eq!(joined_u64(split_u64(0x8182_0304_0506_F7F8)), 0x8182_0304_0506_F7F8);
        assert_eq!(joined_u32(split_u32(0xF1F2_0304)), 0xF1F2_0304);
    }
}
