//! Converts a file's unpacked bytes to levels.

use super::directory::ByteOrder;

/// Fills `levels` from `bytes`, two bytes per level.
pub(super) fn levels_from_bytes(bytes: &[u8], order: ByteOrder, levels: &mut [u16]) {
    debug_assert!(bytes.len() >= 2 * levels.len());
    let pairs = bytes.as_chunks::<2>().0;
    match order {
        ByteOrder::Little => levels.iter_mut().zip(pairs).for_each(|(level, pair)| *level = u16::from_le_bytes(*pair)),
        ByteOrder::Big => levels.iter_mut().zip(pairs).for_each(|(level, pair)| *level = u16::from_be_bytes(*pair)),
    }
}

/// Unpacks levels of `bits` (1 to 16) bits without gaps, the most significant bit first.
///
/// Packed samples are a stream of bits, so the file's byte order does not matter (as in libtiff and tifffile).
pub(super) fn levels_from_packed(bytes: &[u8], bits: u32, levels: &mut [u16]) {
    debug_assert!(bytes.len() * 8 >= levels.len() * bits as usize);
    let mask = (1_u32 << bits) - 1;
    let (mut window, mut available_bits) = (0_u32, 0);
    let mut bytes = bytes.iter();
    for level in levels {
        while available_bits < bits {
            window = window << 8 | u32::from(bytes.next().copied().unwrap_or(0));
            available_bits += 8;
        }
        available_bits -= bits;
        #[expect(clippy::cast_possible_truncation, reason = "the mask has at most 16 bits")]
        let sample = (window >> available_bits & mask) as u16;
        *level = sample;
    }
}

/// Undoes the horizontal predictor on a piece of a row: each level is the sum of all differences so far, modulo 65,536.
///
/// `left` is the level left of the first one, 0 at the start of a row. Returns the last level.
pub(super) fn undo_prediction(left: u16, levels: &mut [u16]) -> u16 {
    levels.iter_mut().fold(left, |left, level| {
        *level = level.wrapping_add(left);
        *level
    })
}

/// Reverses the bits within each of the two bytes of a level.
pub(super) fn reverse_bits(levels: &mut [u16]) {
    for level in levels {
        *level = level.reverse_bits().swap_bytes();
    }
}

/// The highest level of `bits` (1 to 16) bits.
pub(super) fn brightest(bits: u32) -> u16 {
    u16::MAX >> (16 - bits)
}

/// Inverts levels of `bits` bits: the darkest becomes the brightest.
pub(super) fn invert(bits: u32, levels: &mut [u16]) {
    let brightest = brightest(bits);
    for level in levels {
        *level = brightest - *level;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Packs `levels` bit by bit, in the slow and simple way.
    fn packed(bits: u32, levels: &[u16]) -> Vec<u8> {
        let stream: Vec<bool> =
            levels.iter().flat_map(|level| (0..bits).rev().map(move |bit| level >> bit & 1 == 1)).collect();
        stream
            .chunks(8)
            .map(|byte| (0..8).fold(0, |value, bit| value << 1 | u8::from(byte.get(bit) == Some(&true))))
            .collect()
    }

    #[test]
    fn packed_levels_of_12_bits_are_read_most_significant_bit_first() {
        let mut levels = [0; 3];
        levels_from_packed(&[0x12, 0x3a, 0xbc, 0xff, 0xf0], 12, &mut levels);
        assert_eq!(levels, [0x123, 0xabc, 0xfff]);
    }

    #[test]
    fn levels_are_read_in_both_byte_orders() {
        let mut levels = [0; 2];
        levels_from_bytes(&[1, 2, 3, 4], ByteOrder::Little, &mut levels);
        assert_eq!(levels, [0x0201, 0x0403]);
        levels_from_bytes(&[1, 2, 3, 4], ByteOrder::Big, &mut levels);
        assert_eq!(levels, [0x0102, 0x0304]);
    }

    #[test]
    fn the_bits_within_each_byte_are_reversed() {
        let mut levels = [0x0180, 0xff00, 0x1234];
        reverse_bits(&mut levels);
        assert_eq!(levels, [0x8001, 0xff00, 0x482c]);
    }

    #[test]
    fn undone_prediction_wraps_at_65536() {
        let mut levels = [5, 65_535, 10];
        assert_eq!(undo_prediction(3, &mut levels), 17);
        assert_eq!(levels, [8, 7, 17]);
    }

    proptest! {
        #[test]
        fn unpacking_undoes_packing(bits in 1_u32..=16, levels in prop::collection::vec(any::<u16>(), 0..100)) {
            let levels: Vec<u16> = levels.iter().map(|level| level & ((1_u32 << bits) - 1) as u16).collect();
            let mut unpacked = vec![0; levels.len()];
            levels_from_packed(&packed(bits, &levels), bits, &mut unpacked);
            prop_assert_eq!(unpacked, levels);
        }

        #[test]
        fn prediction_undone_in_two_pieces_gives_the_same_levels(levels in prop::collection::vec(any::<u16>(), 1..100), at in 0_usize..100) {
            let differences: Vec<u16> =
                levels.iter().enumerate().map(|(i, level)| level.wrapping_sub(if i == 0 { 0 } else { levels[i - 1] })).collect();
            let mut restored = differences;
            let (head, tail) = restored.split_at_mut(at.min(levels.len()));
            let left = undo_prediction(0, head);
            undo_prediction(left, tail);
            prop_assert_eq!(restored, levels);
        }

        #[test]
        fn inverting_twice_changes_nothing(bits in 9_u32..=16, level in any::<u16>()) {
            let level = level & ((1_u32 << bits) - 1) as u16;
            let mut levels = [level];
            invert(bits, &mut levels);
            prop_assert_eq!(u32::from(levels[0]) + u32::from(level), (1_u32 << bits) - 1);
            invert(bits, &mut levels);
            prop_assert_eq!(levels, [level]);
        }
    }
}
