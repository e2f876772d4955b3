//! Joins framer and server: takes received bytes and returns the bytes to send.

use super::codec::FrameBuffer;
use super::framer::{Direction, FRAME_MAX, FrameCounts, Framer};
use super::input::InputRegisters;
use super::server::{RequestCounts, Server, Written};
use super::unit::Unit;

/// The device's end of the link.
///
/// The link is half duplex: send an answer before feeding more bytes.
#[derive(Debug, Clone)]
pub struct Link {
    framer: Framer,
    server: Server,
    out: FrameBuffer,
}

impl Link {
    /// A link for this unit. [`silence_ms`](super::framer::silence_ms) computes the parameter of that name.
    #[must_use]
    pub fn new(unit: Unit, silence_ms: u64) -> Self {
        let framer = Framer::new(Direction::Requests, silence_ms);
        Self { framer, server: Server::new(unit), out: [0; FRAME_MAX] }
    }

    /// Feeds bytes that arrived at `now_ms`, answers from `input`, and passes each valid block to `on_written`.
    ///
    /// Returns the bytes to send, if any. If several requests came at once, all are executed and only the last is answered,
    /// because the client has stopped waiting for the others.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        now_ms: u64,
        input: &InputRegisters,
        on_written: impl FnMut(Written),
    ) -> Option<&[u8]> {
        self.serve(input, on_written, |framer, on_frame| framer.feed(bytes, now_ms, on_frame))
    }

    /// When to call [`poll`](Self::poll) if no byte comes before. `None` if no bytes wait.
    #[must_use]
    pub const fn poll_at_ms(&self) -> Option<u64> {
        self.framer.poll_at_ms()
    }

    /// Serves the request that a silence ended, if there is one, in the same way as [`receive`](Self::receive).
    pub fn poll(&mut self, now_ms: u64, input: &InputRegisters, on_written: impl FnMut(Written)) -> Option<&[u8]> {
        self.serve(input, on_written, |framer, on_frame| framer.poll(now_ms, on_frame))
    }

    /// Serves each frame of the framer. Returns the last answer.
    fn serve(
        &mut self,
        input: &InputRegisters,
        mut on_written: impl FnMut(Written),
        frames: impl FnOnce(&mut Framer, &mut dyn FnMut(&[u8])),
    ) -> Option<&[u8]> {
        let Self { framer, server, out } = self;
        let mut length = None;
        frames(framer, &mut |frame| {
            let served = server.serve(frame, input, out);
            length = served.answer.map(<[u8]>::len);
            if let Some(written) = served.written {
                on_written(written);
            }
        });
        length.map(|length| &out[..length])
    }

    /// Drops waiting bytes. Call this when the port was reopened.
    pub fn reopened(&mut self) {
        self.framer.drop_all();
    }

    /// Does the server execute commands? See [`Server::is_armed`].
    #[must_use]
    pub const fn is_armed(&self) -> bool {
        self.server.is_armed()
    }

    /// Counts of frames and bytes, and of requests.
    #[must_use]
    pub const fn counts(&self) -> (FrameCounts, RequestCounts) {
        (self.framer.counts(), self.server.counts())
    }
}
