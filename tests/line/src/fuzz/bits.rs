//! Computes CRCs bit by bit, to compare the protocol's CRCs with.

/// A reflected CRC with this polynomial and start value. The computation of a bit has no branch, because a fuzzer would count a
/// branch for each bit.
pub(crate) fn crc(bytes: &[u8], polynomial: u32, start: u32) -> u32 {
    let shifted = |crc: u32| crc >> 1 ^ polynomial & (crc & 1).wrapping_neg();
    bytes.iter().fold(start, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shifted(crc)))
}

/// The CRC-32C of a frame's body and of a block of registers.
pub(crate) fn crc_32c(bytes: &[u8]) -> u32 {
    !crc(bytes, 0x82F6_3B78, u32::MAX)
}
