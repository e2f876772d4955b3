//! Framer and server together: bytes in, bytes out.

use super::codec::FrameBuffer;
use super::framer::{Counts as LineCounts, Direction, FRAME_MAX, Framer};
use super::server::{Counts as RequestCounts, Server, Written};
use super::snapshot::SnapshotRegisters;

/// The device's end of the line.
///
/// Half of the line at a time: send an answer before feeding more bytes.
#[derive(Debug, Clone)]
pub struct Link {
    framer: Framer,
    server: Server,
    out: FrameBuffer,
    used: usize,
}

impl Link {
    /// A link for `unit`, 1 to [`UNIT_MAX`](super::server::UNIT_MAX), none for another number; see
    /// [`silence_ms`](super::framer::silence_ms) for that parameter.
    #[must_use]
    pub fn new(unit: u8, silence_ms: u64) -> Option<Self> {
        let framer = Framer::new(Direction::Requests, silence_ms);
        Some(Self { framer, server: Server::new(unit)?, out: [0; FRAME_MAX], used: 0 })
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
        mut on_written: impl FnMut(Written),
    ) -> Option<&[u8]> {
        self.used = 0;
        let Self { framer, server, out, used } = self;
        framer.feed(bytes, now_ms, |frame| *used = serve(server, frame, snapshot, out, &mut on_written));
        self.answer()
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
        mut on_written: impl FnMut(Written),
    ) -> Option<&[u8]> {
        self.used = 0;
        let Self { framer, server, out, used } = self;
        framer.poll(now_ms, |frame| *used = serve(server, frame, snapshot, out, &mut on_written));
        self.answer()
    }

    /// Forgets bytes that wait, for a line that was reopened.
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
    pub const fn counts(&self) -> (LineCounts, RequestCounts) {
        (self.framer.counts(), self.server.counts())
    }

    /// The bytes to send, as the last call gave them.
    #[must_use]
    pub fn answer(&self) -> Option<&[u8]> {
        if self.used == 0 { None } else { Some(&self.out[..self.used]) }
    }
}

fn serve(
    server: &mut Server,
    frame: &[u8],
    snapshot: &SnapshotRegisters,
    out: &mut FrameBuffer,
    on_written: &mut impl FnMut(Written),
) -> usize {
    let served = server.serve(frame, snapshot, out);
    if let Some(written) = served.written {
        on_written(written);
    }
    served.answer.map_or(0, <[u8]>::len)
}
