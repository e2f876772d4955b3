//! Computes when to repeat a message: first after the time that the link and the other side need, then at growing intervals.

use crate::limits::{MAX_REPEAT_MS, PLC_SCAN_MS, link_time_ms};

/// Bytes of a VERDICT frame, the longest of the frames that are repeated: 54 of payload, 24 of header and CRC-32C, 1 of byte
/// stuffing, 2 delimiters.
const VERDICT_FRAME: usize = 81;

/// The wait before the first repetition on a link of `baud` bits per second: the time of two VERDICT frames, and [`PLC_SCAN_MS`].
#[must_use]
pub const fn first_wait_ms(baud: u32) -> u64 {
    2 * link_time_ms(VERDICT_FRAME, baud) + PLC_SCAN_MS
}

/// When a message is due next, and the wait after that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeat {
    next_ms: u64,
    wait_ms: u64,
}

impl Repeat {
    /// A message that is due now. Its first repetition is due `first_wait_ms` later.
    pub(crate) fn from(now_ms: u64, first_wait_ms: u64) -> Self {
        Self { next_ms: now_ms, wait_ms: first_wait_ms.max(1) }
    }

    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.next_ms
    }

    /// Notes that the message was sent. Each wait is one and a half times the previous one, but at most [`MAX_REPEAT_MS`], or the
    /// first wait if that is longer.
    pub(crate) fn sent(&mut self, now_ms: u64) {
        self.next_ms = now_ms.saturating_add(self.wait_ms);
        self.wait_ms = (self.wait_ms + self.wait_ms.div_ceil(2)).min(MAX_REPEAT_MS.max(self.wait_ms));
    }

    /// Makes the message due now, for example because the other side asked for it.
    pub(crate) fn make_due(&mut self, now_ms: u64) {
        self.next_ms = self.next_ms.min(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_half_up_to_the_maximum() {
        let (mut repeat, mut now_ms, mut waits) = (Repeat::from(0, 66), 0, std::vec::Vec::new());
        for _ in 0..6 {
            assert!(repeat.is_due(now_ms));
            repeat.sent(now_ms);
            let wait = (1..).find(|wait| repeat.is_due(now_ms + wait)).unwrap();
            waits.push(wait);
            now_ms += wait;
        }
        assert_eq!(waits, [66, 99, 149, 224, 250, 250]);
        assert_eq!(first_wait_ms(115_200), 66);
    }
}
