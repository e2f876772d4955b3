//! Framer and server together: bytes in, bytes out.

use super::codec::FrameBuffer;
use super::framer::{Direction, FRAME_MAX, FrameCounts, Framer};
use super::server::{RequestCounts, Server, Written};
use super::snapshot::SnapshotRegisters;
use super::unit::Unit;

/// The device's end of the link.
///
/// Half duplex: send an answer before feeding more bytes.
#[derive(Debug, Clone)]
pub struct Link {
    framer: Framer,
    server: Server,
    out: FrameBuffer,
}

impl Link {
    /// A link for this unit; see [`silence_ms`](super::framer::silence_ms) for that parameter.
    #[must_use]
    pub fn new(unit: Unit, silence_ms: u64) -> Self {
        let framer = Framer::new(Direction::Requests, silence_ms);
        Self { framer, server: Server::new(unit), out: [0; FRAME_MAX] }
    }

    /// Takes bytes that arrived at `now_ms`, answers from `snapshot`, and hands each right command block to `on_written`.
    ///
    /// Gives the bytes to send, if any. When several requests came at once, all are carried out and the last is answered:
    /// the client gave up waiting for the others.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        now_ms: u64,
        snapshot: &SnapshotRegisters,
        on_written: impl FnMut(Written),
    ) -> Option<&[u8]> {
        self.serve(snapshot, on_written, |framer, on_frame| framer.feed(bytes, now_ms, on_frame))
    }

    /// When to [`poll`](Self::poll) if no byte comes before; none while nothing waits.
    #[must_use]
    pub const fn poll_at_ms(&self) -> Option<u64> {
        self.framer.poll_at_ms()
    }

    /// Ends what silence ends; like [`receive`](Self::receive).
    pub fn poll(
        &mut self,
        now_ms: u64,
        snapshot: &SnapshotRegisters,
        on_written: impl FnMut(Written),
    ) -> Option<&[u8]> {
        self.serve(snapshot, on_written, |framer, on_frame| framer.poll(now_ms, on_frame))
    }

    /// Serves each frame that comes from the framer; the last answer counts.
    fn serve(
        &mut self,
        snapshot: &SnapshotRegisters,
        mut on_written: impl FnMut(Written),
        frames: impl FnOnce(&mut Framer, &mut dyn FnMut(&[u8])),
    ) -> Option<&[u8]> {
        let Self { framer, server, out } = self;
        let mut length = None;
        frames(framer, &mut |frame| {
            let served = server.serve(frame, snapshot, out);
            length = served.answer.map(<[u8]>::len);
            if let Some(written) = served.written {
                on_written(written);
            }
        });
        length.map(|length| &out[..length])
    }

    /// Forgets bytes that wait, for a port that was reopened.
    pub fn reopened(&mut self) {
        self.framer.drop_all();
    }

    /// Whether commands are done, see [`Server::is_armed`].
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
