//! Bytes and a time become frames, in noise too.
//!
//! Serial adapters and operating systems hold bytes back for longer than the 1.5 and 3.5 characters of silence by which
//! Modbus RTU tells frames apart. Here a frame ends with the length that its function gives, checked by its CRC, at once.
//! Whatever is not such a frame waits for [silence](silence_ms); then each end of it is tried as a frame (noise, then a
//! frame), and last the whole of it (a function that we don't know). What remains is dropped and counted.
//!
//! A request that comes after silence is always found, at once, whatever was before it. One that comes right behind noise
//! is found once the link is silent again, behind any number of bytes: the last [`FRAME_MAX`] are kept. It is lost only
//! where a CRC fits by chance, 1 in 65,536 for each length that the noise may seem to have: when noise and the request's
//! first bytes look like a frame, or when its last bytes alone do. The request after that one follows silence, as its client
//! waited for an answer, so no more than one is lost.

use super::crc16;

/// Bytes of the longest frame: unit, 253 bytes of function and data, CRC (Modbus over Serial Line V1.02, section 2.3).
pub const FRAME_MAX: usize = 256;

/// Bytes of the shortest frame: unit, function, CRC.
pub const FRAME_MIN: usize = 4;

/// Milliseconds without a byte after which an unfinished frame is dropped: 3.5 characters of 11 bits, rounded up, and no
/// less than 20, as adapters deliver the bytes of one frame up to 16 apart. A `baud` of 0 is taken as 1.
#[must_use]
pub const fn silence_ms(baud: u32) -> u64 {
    let baud = if baud == 0 { 1 } else { baud as u64 };
    let characters = 38_500_u64.div_ceil(baud);
    if characters < 20 { 20 } else { characters }
}

/// Which side's frames are expected: the two have different lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Frames that a server receives.
    Requests,
    /// Frames that a client receives.
    Responses,
}

impl Direction {
    /// Bytes of the frame that begins with `start`, when its function is one of ours and enough of it is there to tell.
    fn length(self, start: &[u8]) -> Option<usize> {
        let counted = |at: usize| start.get(at).map(|&count| at + 1 + usize::from(count) + 2);
        match (self, *start.get(1)?) {
            (Self::Requests, 0x03 | 0x04 | 0x06) | (Self::Responses, 0x06 | 0x10) => Some(8),
            (Self::Requests, 0x10) => counted(6),
            (Self::Requests, 0x17) => counted(10),
            (Self::Responses, 0x03 | 0x04 | 0x17) => counted(2),
            (Self::Responses, 0x80..) => Some(5),
            _ => None,
        }
    }
}

/// What happened on the link since the framer was made; counts stop at their largest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameCounts {
    /// Frames handed on, of any unit and function.
    pub frames: u32,
    /// Those of them that were found behind noise.
    pub resynchronised: u32,
    /// Frames of a known length whose CRC was wrong.
    pub bad_crc: u32,
    /// Bytes dropped because they were part of no frame.
    pub bytes_dropped: u32,
}

/// Collects bytes into frames whose CRC is right.
#[derive(Debug, Clone)]
pub struct Framer {
    direction: Direction,
    silence_ms: u64,
    bytes: [u8; FRAME_MAX],
    used: usize,
    last_byte_ms: u64,
    counts: FrameCounts,
}

impl Framer {
    /// Nothing received yet; see [`silence_ms`] for that parameter.
    #[must_use]
    pub const fn new(direction: Direction, silence_ms: u64) -> Self {
        let counts = FrameCounts { frames: 0, resynchronised: 0, bad_crc: 0, bytes_dropped: 0 };
        Self { direction, silence_ms, bytes: [0; FRAME_MAX], used: 0, last_byte_ms: 0, counts }
    }

    /// Takes bytes that arrived at `now_ms` and calls `on_frame` with each frame that they complete, CRC included.
    ///
    /// Frames that silence alone could have ended are lost when nobody [polled](Self::poll) in between: more has been said
    /// since, and an answer would be taken for the answer to that.
    pub fn feed(&mut self, bytes: &[u8], now_ms: u64, mut on_frame: impl FnMut(&[u8])) {
        if bytes.is_empty() {
            return;
        }
        if self.is_silent(now_ms) {
            self.drop_all();
        }
        self.last_byte_ms = now_ms;
        for &byte in bytes {
            if self.used == FRAME_MAX {
                self.bytes.copy_within(1.., 0);
                self.used -= 1;
                self.dropped(1);
            }
            self.bytes[self.used] = byte;
            self.used += 1;
            let frame = &self.bytes[..self.used];
            if self.direction.length(frame) != Some(self.used) {
                continue;
            }
            if crc16::checked(frame).is_some() {
                on_frame(frame);
                self.used = 0;
                add(&mut self.counts.frames, 1);
            } else {
                add(&mut self.counts.bad_crc, 1);
            }
        }
    }

    /// When [`poll`](Self::poll) is to be called if no byte comes before; none while nothing waits.
    #[must_use]
    pub const fn poll_at_ms(&self) -> Option<u64> {
        if self.used == 0 { None } else { Some(self.last_byte_ms.saturating_add(self.silence_ms)) }
    }

    /// Ends what silence ends: calls `on_frame` with the frame that the waiting bytes are or end with, if any, and drops
    /// them. Does nothing before [`poll_at_ms`](Self::poll_at_ms).
    pub fn poll(&mut self, now_ms: u64, on_frame: impl FnOnce(&[u8])) {
        if !self.is_silent(now_ms) {
            return;
        }
        let waiting = &self.bytes[..self.used];
        let is_whole = |frame: &[u8]| {
            let length = self.direction.length(frame);
            length == Some(frame.len()) && crc16::checked(frame).is_some()
        };
        // The shortest end first: noise is long enough to look like a frame by chance, a request is not.
        let known = (0..waiting.len()).rev().find(|&start| is_whole(&waiting[start..]));
        let start = known.or((waiting.len() >= FRAME_MIN && crc16::checked(waiting).is_some()).then_some(0));
        if let Some(start) = start {
            on_frame(&waiting[start..]);
            self.used = start;
            add(&mut self.counts.frames, 1);
            add(&mut self.counts.resynchronised, u32::from(start > 0));
        }
        self.drop_all();
    }

    /// Counts since the framer was made.
    #[must_use]
    pub const fn counts(&self) -> FrameCounts {
        self.counts
    }

    /// Forgets waiting bytes, for a port that was reopened.
    pub fn drop_all(&mut self) {
        self.dropped(self.used);
        self.used = 0;
    }

    const fn is_silent(&self, now_ms: u64) -> bool {
        self.used > 0 && now_ms.saturating_sub(self.last_byte_ms) >= self.silence_ms
    }

    fn dropped(&mut self, bytes: usize) {
        add(&mut self.counts.bytes_dropped, u32::try_from(bytes).unwrap_or(u32::MAX));
    }
}

fn add(count: &mut u32, more: u32) {
    *count = count.saturating_add(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    // Modbus Application Protocol V1.1b3, section 6.3: read registers 108-110; unit and CRC added.
    const READ: [u8; 8] = [0x11, 0x03, 0x00, 0x6B, 0x00, 0x03, 0x76, 0x87];

    fn framer() -> Framer {
        Framer::new(Direction::Requests, 20)
    }

    fn fed(framer: &mut Framer, bytes: &[u8], now_ms: u64) -> usize {
        let mut frames = 0;
        framer.feed(bytes, now_ms, |frame| {
            assert_eq!(frame, READ);
            frames += 1;
        });
        frames
    }

    fn polled(framer: &mut Framer, now_ms: u64) -> usize {
        let mut frames = 0;
        framer.poll(now_ms, |frame| {
            assert_eq!(frame, READ);
            frames += 1;
        });
        frames
    }

    #[test]
    fn a_clean_frame_needs_no_silence() {
        let mut framer = framer();
        assert_eq!(fed(&mut framer, &READ[..3], 0), 0);
        assert_eq!(framer.poll_at_ms(), Some(20));
        assert_eq!(fed(&mut framer, &READ[3..], 19), 1);
        assert_eq!(framer.poll_at_ms(), None);
        assert_eq!(framer.counts(), FrameCounts { frames: 1, ..FrameCounts::default() });
    }

    #[test]
    fn a_partial_frame_is_dropped_after_silence() {
        let mut framer = framer();
        fed(&mut framer, &READ[..3], 0);
        assert_eq!(fed(&mut framer, &READ, 20), 1);
        fed(&mut framer, &READ[..5], 100);
        assert_eq!(polled(&mut framer, 119), 0);
        assert_eq!(framer.counts().bytes_dropped, 3);
        assert_eq!(polled(&mut framer, 120), 0);
        assert_eq!(framer.counts(), FrameCounts { frames: 1, bytes_dropped: 8, ..FrameCounts::default() });
    }

    #[test]
    fn a_frame_right_behind_a_partial_one_is_found_at_silence() {
        let mut framer = framer();
        assert_eq!(fed(&mut framer, &READ[..5], 0), 0);
        assert_eq!(fed(&mut framer, &READ, 3), 0);
        assert_eq!(polled(&mut framer, 23), 1);
        assert_eq!(framer.counts(), FrameCounts { frames: 1, resynchronised: 1, bad_crc: 1, bytes_dropped: 5 });
    }

    #[test]
    fn a_frame_right_behind_much_noise_is_found_at_silence() {
        for noise in [1, 2, 7, 8, 9, 247, 248, 249, 256, 257, 4096] {
            let mut framer = framer();
            assert_eq!(fed(&mut framer, &[0xA5; 4096][..noise], 0), 0);
            assert_eq!(fed(&mut framer, &READ, 0), 0);
            assert_eq!(polled(&mut framer, 20), 1, "{noise} bytes of noise");
            assert_eq!(framer.counts().bytes_dropped as usize, noise);
        }
    }

    #[test]
    fn an_unknown_function_ends_with_silence() {
        let mut framer = framer();
        let mut frame = [0x11, 0x2B, 0x0E, 0x01, 0x00, 0, 0];
        let crc = crc16::bytes_of(&frame[..5]);
        frame[5..].copy_from_slice(&crc);
        framer.feed(&frame, 0, |_| panic!("its length is not known"));
        let mut found = 0;
        framer.poll(20, |found_frame| {
            assert_eq!(found_frame, frame);
            found += 1;
        });
        assert_eq!(found, 1);
    }

    #[test]
    fn responses_have_their_own_lengths() {
        let mut framer = Framer::new(Direction::Responses, 20);
        let response = [0x11, 0x03, 0x06, 0xAE, 0x41, 0x56, 0x52, 0x43, 0x40, 0x49, 0xAD];
        let exception = [0x0A, 0x81, 0x02, 0xB0, 0x53];
        let mut frames = 0;
        for frame in [&response[..], &exception] {
            framer.feed(frame, 0, |found| {
                assert_eq!(found, frame);
                frames += 1;
            });
        }
        assert_eq!(frames, 2);
    }

    #[test]
    fn silence_is_never_below_20_ms() {
        assert_eq!(silence_ms(115_200), 20);
        assert_eq!(silence_ms(9600), 20);
        assert_eq!(silence_ms(1200), 33);
        assert_eq!(silence_ms(0), 38_500);
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing() {
        let mut framer = framer();
        fed(&mut framer, &READ[..3], 1000);
        assert_eq!(fed(&mut framer, &READ[3..], 10), 1);
    }
}
