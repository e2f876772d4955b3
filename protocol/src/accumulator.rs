//! Bytes to frames: finds the delimiters, and finds its way back after noise.

use crate::{
    frame::{self, FrameError, Header, Message},
    limits::MAX_STUFFED,
};
use heapless::Vec;

/// Collects bytes until a delimiter. Whatever it is fed, it never panics and never keeps more than one frame.
#[derive(Debug, Default)]
pub struct Accumulator {
    buffer: Vec<u8, MAX_STUFFED>,
    /// More bytes than any frame has came since the last delimiter: all up to the next one are dropped.
    overlong: bool,
    resyncs: u32,
}

/// What came out of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Fed<'a, M> {
    /// A frame, or why what stood between two delimiters is none; `None` where no delimiter came.
    pub frame: Option<Result<(Header, M), FrameError>>,
    /// The bytes behind it, to be fed again.
    pub rest: &'a [u8],
}

impl Accumulator {
    /// An empty one, which takes its first byte for the begin of a frame.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), overlong: false, resyncs: 0 }
    }

    /// How often bytes between two delimiters were no frame, wrapping.
    #[must_use]
    pub const fn resyncs(&self) -> u32 {
        self.resyncs
    }

    /// Takes bytes up to the end of the first frame, good or bad, and hands back the rest.
    pub fn feed<'a, M: Message>(&mut self, mut bytes: &'a [u8]) -> Fed<'a, M> {
        loop {
            let end = bytes.iter().position(|byte| *byte == 0);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.overlong || self.buffer.extend_from_slice(part).is_err() {
                self.overlong = true;
            }
            let Some(end) = end else { return Fed { frame: None, rest: &[] } };
            bytes = &bytes[end + 1..];
            let frame = if self.overlong {
                Err(FrameError::Stuffing)
            } else if self.buffer.is_empty() {
                // Two delimiters in a row: the end of one frame and the begin of the next.
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
