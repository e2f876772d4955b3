//! The native profile: carries a session in frames. The PLC's HELLO opens the link with a new link id. Both sides drop frames with
//! another link id or boot epoch, and frames that are not newer than the last accepted one.

pub mod device;
pub mod plc;

use crate::{frame::Header, version::Schema};

/// Counters of a link, all wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Valid frames received.
    pub frames: u32,
    /// Valid frames that were dropped, because their link id is not open, their boot epoch is another, they are not newer than the
    /// last accepted frame, their `ack` is for a frame that was never sent, or they have a payload of another schema.
    pub dropped: u32,
    /// Messages from an incompatible peer: of another version, another schema or another device, or ERROR/INCOMPATIBLE.
    pub incompatible: u32,
    /// How often the link was opened.
    pub links: u32,
}

/// The link id in use, its schema, and what one side accepted with it.
#[derive(Debug, Clone, Copy)]
struct Open {
    link_id: u32,
    schema: Schema,
    /// The newest `seq` that was accepted.
    received: u32,
}

impl Open {
    /// Accepts a header with this link id if its `seq` is newer than all before and its `ack` is not newer than `sent`, the last
    /// `seq` of this side.
    fn accept(&mut self, header: &Header, sent: u32) -> bool {
        let is_newer = header.seq.wrapping_sub(self.received).cast_signed() > 0;
        let was_sent = sent.wrapping_sub(header.ack).cast_signed() >= 0;
        if is_newer && was_sent {
            self.received = header.seq;
        }
        is_newer && was_sent
    }
}

/// Bytes to send, or an event to handle.
#[derive(Debug)]
pub enum Output<'a, E> {
    /// Send these bytes.
    Bytes(&'a [u8]),
    /// Handle this event.
    Event(E),
}
