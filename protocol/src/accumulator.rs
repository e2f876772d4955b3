//! Finds frames in a byte stream: splits it at its delimiters and resynchronises after noise.

use crate::{
    frame::{self, FrameError, Header, Message},
    limits::MAX_STUFFED,
};
use heapless::Vec;

/// Collects bytes until a delimiter. It never panics on any input and never keeps more than one frame.
#[derive(Debug, Default)]
pub struct Accumulator {
    buffer: Vec<u8, MAX_STUFFED>,
    /// More bytes came since the last delimiter than the longest frame has. All bytes up to the next delimiter are dropped.
    overlong: bool,
    resyncs: u32,
}

/// The result of one call of [`Accumulator::feed`].
#[derive(Debug, PartialEq, Eq)]
pub struct Fed<'a, M> {
    /// A frame, or why the bytes between two delimiters are not a frame. `None` if the bytes end before a frame does.
    pub frame: Option<Result<(Header, M), FrameError>>,
    /// The bytes after the frame, not consumed yet. Feed them in the next call.
    pub rest: &'a [u8],
}

impl Accumulator {
    /// An empty accumulator. It treats the first byte as the start of a frame.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), overlong: false, resyncs: 0 }
    }

    /// How often the bytes between two delimiters were not a frame, wrapping.
    #[must_use]
    pub const fn resyncs(&self) -> u32 {
        self.resyncs
    }

    /// Consumes bytes up to the end of the first frame, valid or not, and returns the rest.
    pub fn feed<'a, M: Message>(&mut self, mut bytes: &'a [u8]) -> Fed<'a, M> {
        loop {
            let end = bytes.iter().position(|byte| *byte == 0);
            let before_end = &bytes[..end.unwrap_or(bytes.len())];
            if self.overlong || self.buffer.extend_from_slice(before_end).is_err() {
                self.overlong = true;
            }
            let Some(end) = end else { return Fed { frame: None, rest: &[] } };
            bytes = &bytes[end + 1..];
            let frame = if self.overlong {
                Err(FrameError::Stuffing)
            } else if self.buffer.is_empty() {
                // There is nothing between two delimiters in a row: the end of one frame and the start of the next.
                continue;
            } else {
                frame::decode(&self.buffer)
            };
            self.buffer.clear();
            self.overlong = false;
            if frame.is_err() {
                self.resyncs = self.resyncs.wrapping_add(1);
            }
            return Fed { frame: Some(frame), rest: bytes };
        }
    }
}
