//! Tries a small number of flipped bits in a VERDICT frame. The large test, with all flips of 3 bits and 10^8 random flips of 4
//! or 5 bits, is `cargo run --release -p cellgate-protocol --example flips`.

use cellgate_test_line::{flips, random};

#[test]
fn no_flip_of_one_or_two_bits_is_accepted() {
    let frame = flips::verdict_frame();
    let bits = frame.len() as u64 * 8;
    assert_eq!(flips::all(&frame, 1), flips::Found { tried: bits, accepted: 0 });
    assert_eq!(flips::all(&frame, 2), flips::Found { tried: bits * (bits - 1) / 2, accepted: 0 });
}

#[test]
fn no_random_flip_of_three_to_five_bits_is_accepted() {
    let frame = flips::verdict_frame();
    let mut random = random::Random::new(1);
    for bits in 3..=5 {
        assert_eq!(flips::some(&frame, bits, 50_000, &mut random).accepted, 0);
    }
}
