//! Flips bits of a VERDICT frame and counts how often the result is accepted as a frame.

use crate::{random::Random, sessions};
use cellgate_protocol::{
    accumulator::Accumulator,
    code::WireVerdict,
    digest::DigestStart,
    frame::{self, Header},
    limits::MAX_FRAME,
    part::Outcome,
    reason::ReasonCode,
    score::ScoreE4,
    to_device::TriggerRequest,
    to_plc::{Flags, ToPlc},
};
use std::num::NonZeroU64;

/// How many flips were tried, and how many results were accepted as a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub tried: u64,
    pub accepted: u64,
}

/// The frame of a REJECT.
pub fn verdict_frame() -> Vec<u8> {
    let outcome = Outcome {
        verdict: WireVerdict::Reject,
        reason: ReasonCode::SCORE_FROM_REJECT,
        score: ScoreE4(9_731),
        model: DigestStart([0x9F, 0x2C, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55]),
        image: DigestStart([0x41, 0xD2, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB]),
        flags: Flags::default(),
    };
    let request = TriggerRequest { part_id: 1_000_001, nonce: 0xCAFE_0002, deadline_ms: 500 };
    let verdict = ToPlc::Verdict(sessions::verdict(&request, outcome, NonZeroU64::MIN, 142));
    let header = Header { link_id: 0x1122_3344, boot_epoch: 3, seq: 3, ack: 2 };
    frame::encode(&header, &verdict, &mut [0; MAX_FRAME]).expect("a verdict fits").to_vec()
}

/// Does the accumulator find a frame in these bytes?
fn is_accepted(bytes: &[u8]) -> bool {
    let mut accumulator = Accumulator::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let fed = accumulator.feed::<ToPlc>(rest);
        if matches!(fed.frame, Some(Ok(_))) {
            return true;
        }
        rest = fed.rest;
    }
    false
}

fn flip(bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// Tries all flips of `bits` bits in the frame, including its delimiters.
pub fn all(frame: &[u8], bits: u32) -> Found {
    /// Tries all flips of `left` more bits, which are at or after the bit `from`.
    fn flip_rest(bytes: &mut [u8], from: usize, left: u32, found: &mut Found) {
        if left == 0 {
            found.tried += 1;
            found.accepted += u64::from(is_accepted(bytes));
            return;
        }
        for bit in from..bytes.len() * 8 {
            flip(bytes, bit);
            flip_rest(bytes, bit + 1, left - 1, found);
            flip(bytes, bit);
        }
    }
    let mut found = Found::default();
    flip_rest(&mut frame.to_vec(), 0, bits, &mut found);
    found
}

/// Tries `count` random flips, each of `bits` different bits.
pub fn some(frame: &[u8], bits: usize, count: u64, random: &mut Random) -> Found {
    let (mut bytes, mut chosen) = (frame.to_vec(), Vec::with_capacity(bits));
    let mut found = Found::default();
    for _ in 0..count {
        chosen.clear();
        while chosen.len() < bits {
            let bit = random.below(frame.len() as u64 * 8) as usize;
            if !chosen.contains(&bit) {
                chosen.push(bit);
            }
        }
        chosen.iter().for_each(|bit| flip(&mut bytes, *bit));
        found.tried += 1;
        found.accepted += u64::from(is_accepted(&bytes));
        chosen.iter().for_each(|bit| flip(&mut bytes, *bit));
    }
    found
}
