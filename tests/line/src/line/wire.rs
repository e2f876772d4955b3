//! One direction of a bad line.

use super::referee::{BAUD, chance as strikes_by};
use crate::random::Random;
use cellgate_protocol::limits::link_time_ms;

/// Frames that are kept to be played again.
const KEPT: usize = 64;

/// Bytes on their way, and what can go wrong with them.
#[derive(Debug, Default)]
pub struct Wire {
    under_way: Vec<(u64, Vec<u8>)>,
    kept: Vec<Vec<u8>>,
    /// The time until which the line is taken by the bytes before.
    taken_until_ms: u64,
    /// Frames given to the wire.
    pub sent: u64,
    /// Faults that it made.
    pub faults: u64,
}

impl Wire {
    /// The next arrival.
    pub fn next_ms(&self) -> Option<u64> {
        self.under_way.iter().map(|(at_ms, _)| *at_ms).min()
    }

    /// Bytes that have arrived, the oldest first.
    pub fn take(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        let (index, (at_ms, _)) = self.under_way.iter().enumerate().min_by_key(|(_, (at_ms, _))| *at_ms)?;
        (*at_ms <= now_ms).then(|| self.under_way.remove(index).1)
    }

    /// Sends a frame; each of its faults has the same chance.
    pub fn send(&mut self, now_ms: u64, bytes: &[u8], random: &mut Random, chance: u32) {
        self.sent += 1;
        self.taken_until_ms = self.taken_until_ms.max(now_ms) + link_time_ms(bytes.len(), BAUD);
        let arrives_ms = self.taken_until_ms;
        if self.kept.len() < KEPT {
            self.kept.push(bytes.to_vec());
        } else {
            self.kept[(self.sent % KEPT as u64) as usize] = bytes.to_vec();
        }
        let mut faults = 0;
        let mut strikes = |random: &mut Random| {
            let strikes = strikes_by(random, chance);
            faults += u64::from(strikes);
            strikes
        };
        if strikes(random) {
            // Played again: any of the last frames, some time later.
            let old = self.kept[random.below(self.kept.len() as u64) as usize].clone();
            self.under_way.push((arrives_ms + random.below(600), old));
        }
        if strikes(random) {
            // Noise of its own.
            let noise = (0..1 + random.below(300)).map(|_| random.next_u64() as u8).collect();
            self.under_way.push((arrives_ms, noise));
        }
        if strikes(random) {
            self.under_way.push((arrives_ms + random.below(50), bytes.to_vec()));
        }
        if !strikes(random) {
            let mut bytes = bytes.to_vec();
            if strikes(random) {
                damage(&mut bytes, random);
            }
            // Delayed past others: reordered.
            let delay_ms = if strikes(random) { random.below(400) } else { 0 };
            self.under_way.push((arrives_ms + delay_ms, bytes));
        }
        self.faults += faults;
    }
}

/// Turns bits, cuts, or puts bytes in between.
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
