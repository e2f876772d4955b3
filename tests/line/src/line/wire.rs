//! Simulates one direction of a faulty link.

use super::referee::{BAUD, chance as happens_by};
use crate::random::Random;
use cellgate_protocol::limits::link_time_ms;

/// How many of the last frames are kept, to be replayed later.
const KEPT: usize = 64;

/// Bytes in transit, and random faults.
#[derive(Debug, Default)]
pub struct Wire {
    /// Arrival times and bytes.
    in_transit: Vec<(u64, Vec<u8>)>,
    kept: Vec<Vec<u8>>,
    /// The time at which all bytes sent so far have passed.
    free_at_ms: u64,
    /// Frames sent.
    pub sent: u64,
    /// Faults made.
    pub faults: u64,
}

impl Wire {
    /// The time of the next arrival.
    pub fn next_ms(&self) -> Option<u64> {
        self.in_transit.iter().map(|(at_ms, _)| *at_ms).min()
    }

    /// The oldest bytes that have arrived.
    pub fn take(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        let (index, (at_ms, _)) = self.in_transit.iter().enumerate().min_by_key(|(_, (at_ms, _))| *at_ms)?;
        (*at_ms <= now_ms).then(|| self.in_transit.remove(index).1)
    }

    /// Sends a frame. Each kind of fault happens with a chance of `chance` in 100,000.
    pub fn send(&mut self, now_ms: u64, bytes: &[u8], random: &mut Random, chance: u32) {
        self.sent += 1;
        self.free_at_ms = self.free_at_ms.max(now_ms) + link_time_ms(bytes.len(), BAUD);
        let arrives_ms = self.free_at_ms;
        if self.kept.len() < KEPT {
            self.kept.push(bytes.to_vec());
        } else {
            self.kept[(self.sent % KEPT as u64) as usize] = bytes.to_vec();
        }
        let mut faults = 0;
        let mut happens = |random: &mut Random| {
            let happens = happens_by(random, chance);
            faults += u64::from(happens);
            happens
        };
        if happens(random) {
            // Replay one of the last frames later.
            let old = self.kept[random.below(self.kept.len() as u64) as usize].clone();
            self.in_transit.push((arrives_ms + random.below(600), old));
        }
        if happens(random) {
            // Noise.
            let noise = (0..1 + random.below(300)).map(|_| random.next_u64() as u8).collect();
            self.in_transit.push((arrives_ms, noise));
        }
        if happens(random) {
            // A second copy of the frame.
            self.in_transit.push((arrives_ms + random.below(50), bytes.to_vec()));
        }
        // If this fault happens, the frame is lost.
        if !happens(random) {
            let mut bytes = bytes.to_vec();
            if happens(random) {
                damage(&mut bytes, random);
            }
            // A delay can reorder frames.
            let delay_ms = if happens(random) { random.below(400) } else { 0 };
            self.in_transit.push((arrives_ms + delay_ms, bytes));
        }
        self.faults += faults;
    }
}

/// Damages a frame: flips bits, truncates it, or inserts a byte.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    match random.below(3) {
        0 => {
            for _ in 0..=random.below(8) {
                let bit = random.below(bytes.len() as u64 * 8);
                bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
            }
        }
        1 => bytes.truncate(random.below(bytes.len() as u64) as usize),
        _ => bytes.insert(random.below(bytes.len() as u64) as usize, random.next_u64() as u8),
    }
}
