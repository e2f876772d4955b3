//! Finds Modbus RTU frames in received bytes by length, CRC and arrival time, also between noise.
//!
//! Modbus RTU separates frames by silences of 1.5 and 3.5 characters. Serial adapters and operating systems delay bytes for
//! longer than such a silence. This framer therefore ends a frame as soon as it has the length that its function implies and a
//! right CRC. Other bytes wait for a [silence](silence_ms). Then the framer looks for a frame of a known function at the end
//! of the bytes. If it finds no such frame, but all waiting bytes together have a right CRC, they are a frame of an unknown
//! function. The remaining bytes are dropped and counted.
//!
//! | a request that comes | is found |
//! |---|---|
//! | after a silence | at once, whatever came before the silence |
//! | directly after noise of any length | at the next silence; the last [`FRAME_MAX`] bytes are kept |
//! | directly after noise, and a CRC matches by chance | never; 1 chance in 65,536 for each frame length that the noise implies |
//!
//! A CRC can match by chance for noise together with the request's first bytes, or for the request's last bytes alone. Only that
//! one request is lost: its client waits for an answer, so the next request comes after a silence.

use super::crc16;

/// Bytes of the longest frame: unit, 253 bytes of function and data, CRC (Modbus over Serial Line V1.02, section 2.3).
pub const FRAME_MAX: usize = 256;

/// Bytes of the shortest frame: unit, function, CRC.
pub const FRAME_MIN: usize = 4;

/// Milliseconds without a byte after which an unfinished frame is dropped: 3.5 characters of 11 bits, rounded up, but at least
/// 20, because adapters deliver the bytes of one frame up to 16 ms apart. A `baud` of 0 counts as 1.
#[must_use]
pub const fn silence_ms(baud: u32) -> u64 {
    let baud = if baud == 0 { 1 } else { baud as u64 };
    // 38,500 is 3.5 characters of 11 bits, times 1000 for milliseconds.
    let characters = 38_500_u64.div_ceil(baud);
    if characters < 20 { 20 } else { characters }
}

/// The direction of the expected frames. Requests and responses have different lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Frames that a server receives.
    Requests,
    /// Frames that a client receives.
    Responses,
}

impl Direction {
    /// Bytes of the frame that begins with `start`. `None` if the function is unknown, or `start` is too short to tell.
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

/// Counts since the framer was created. They stop at their largest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameCounts {
    /// Frames found, of any unit and function.
    pub frames: u32,
    /// Frames found after noise.
    pub resynchronised: u32,
    /// How often the bytes had the length that their function implies, but a wrong CRC.
    pub bad_crc: u32,
    /// Bytes dropped because they did not belong to a frame.
    pub bytes_dropped: u32,
}

/// Collects bytes into frames with a right CRC.
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
    /// A framer without bytes. [`silence_ms`] computes the parameter of that name.
    #[must_use]
    pub const fn new(direction: Direction, silence_ms: u64) -> Self {
        let counts = FrameCounts { frames: 0, resynchronised: 0, bad_crc: 0, bytes_dropped: 0 };
        Self { direction, silence_ms, bytes: [0; FRAME_MAX], used: 0, last_byte_ms: 0, counts }
    }

    /// Feeds bytes that arrived at `now_ms` and calls `on_frame` with each frame that they complete, CRC included.
    ///
    /// Waiting bytes that a silence ended are dropped if [`poll`](Self::poll) was not called before: the peer has sent more
    /// bytes since, and would take a late answer for the answer to its newer bytes.
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

    /// When to call [`poll`](Self::poll) if no byte comes before. `None` if no bytes wait.
    #[must_use]
    pub const fn poll_at_ms(&self) -> Option<u64> {
        if self.used == 0 { None } else { Some(self.last_byte_ms.saturating_add(self.silence_ms)) }
    }

    /// If the link was silent: looks for a frame at the end of the waiting bytes, calls `on_frame` with the frame if there is one,
    /// and drops all waiting bytes. Does nothing before [`poll_at_ms`](Self::poll_at_ms).
    pub fn poll(&mut self, now_ms: u64, on_frame: impl FnOnce(&[u8])) {
        if !self.is_silent(now_ms) {
            return;
        }
        let waiting = &self.bytes[..self.used];
        let is_whole = |frame: &[u8]| {
            let length = self.direction.length(frame);
            length == Some(frame.len()) && crc16::checked(frame).is_some()
        };
        // The shortest end is tried first: a longer one has more noise, which can look like a frame by chance.
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

    /// Counts since the framer was created.
    #[must_use]
    pub const fn counts(&self) -> FrameCounts {
        self.counts
    }

    /// Drops all waiting bytes, for example when the port was reopened.
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

    // Modbus Application Protocol V1.1b3, section 6.3: read registers 108-110. Unit and CRC were added.
    const READ: [u8; 8] = [0x11, 0x03, 0x00, 0x6B, 0x00, 0x03, 0x76, 0x87];

    fn framer() -> Framer {
        Framer::new(Direction::Requests, 20)
    }

    /// Returns how many frames were found. Each must be [`READ`].
    fn feed_and_count(framer: &mut Framer, bytes: &[u8], now_ms: u64) -> usize {
        let mut frames = 0;
        framer.feed(bytes, now_ms, |frame| {
            assert_eq!(frame, READ);
            frames += 1;
        });
        frames
    }

    /// Returns how many frames were found. Each must be [`READ`].
    fn poll_and_count(framer: &mut Framer, now_ms: u64) -> usize {
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
        assert_eq!(feed_and_count(&mut framer, &READ[..3], 0), 0);
        assert_eq!(framer.poll_at_ms(), Some(20));
        assert_eq!(feed_and_count(&mut framer, &READ[3..], 19), 1);
        assert_eq!(framer.poll_at_ms(), None);
        assert_eq!(framer.counts(), FrameCounts { frames: 1, ..FrameCounts::default() });
    }

    #[test]
    fn a_partial_frame_is_dropped_after_silence() {
        let mut framer = framer();
        feed_and_count(&mut framer, &READ[..3], 0);
        assert_eq!(feed_and_count(&mut framer, &READ, 20), 1);
        feed_and_count(&mut framer, &READ[..5], 100);
        assert_eq!(poll_and_count(&mut framer, 119), 0);
        assert_eq!(framer.counts().bytes_dropped, 3);
        assert_eq!(poll_and_count(&mut framer, 120), 0);
        assert_eq!(framer.counts(), FrameCounts { frames: 1, bytes_dropped: 8, ..FrameCounts::default() });
    }

    #[test]
    fn a_frame_directly_after_a_partial_one_is_found_at_silence() {
        let mut framer = framer();
        assert_eq!(feed_and_count(&mut framer, &READ[..5], 0), 0);
        assert_eq!(feed_and_count(&mut framer, &READ, 3), 0);
        assert_eq!(poll_and_count(&mut framer, 23), 1);
        assert_eq!(framer.counts(), FrameCounts { frames: 1, resynchronised: 1, bad_crc: 1, bytes_dropped: 5 });
    }

    #[test]
    fn a_frame_directly_after_long_noise_is_found_at_silence() {
        // Lengths around that of a request (8 bytes), and lengths that fill the framer (256 bytes) with or without the request.
        for noise in [1, 2, 7, 8, 9, 247, 248, 249, 256, 257, 4096] {
            let mut framer = framer();
            assert_eq!(feed_and_count(&mut framer, &[0xA5; 4096][..noise], 0), 0);
            assert_eq!(feed_and_count(&mut framer, &READ, 0), 0);
            assert_eq!(poll_and_count(&mut framer, 20), 1, "{noise} bytes of noise");
            assert_eq!(framer.counts().bytes_dropped as usize, noise);
        }
    }

    #[test]
    fn a_frame_of_an_unknown_function_is_found_at_silence() {
        let mut framer = framer();
        let mut frame = [0x11, 0x2B, 0x0E, 0x01, 0x00, 0, 0];
        let crc = crc16::bytes_of(&frame[..5]);
        frame[5..].copy_from_slice(&crc);
        framer.feed(&frame, 0, |_| panic!("a frame of unknown length was found before silence"));
        let mut found = 0;
        framer.poll(20, |found_frame| {
            assert_eq!(found_frame, frame);
            found += 1;
        });
        assert_eq!(found, 1);
    }

    #[test]
    fn responses_have_other_lengths_than_requests() {
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
        feed_and_count(&mut framer, &READ[..3], 1000);
        assert_eq!(feed_and_count(&mut framer, &READ[3..], 10), 1);
    }
}
