//! The native profile: a session behind frames. A link is opened by the PLC's HELLO; both sides drop what belongs to
//! another link, another start of the device, or was received before.

pub mod device;
pub mod plc;

use crate::frame::Header;

/// What a link met, all wrapping counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames received whole and right.
    pub frames: u32,
    /// Frames of another link, another start, or received before.
    pub dropped: u32,
    /// Frames of another version.
    pub incompatible: u32,
    /// Links opened.
    pub links: u32,
}

/// One link as one side sees it.
#[derive(Debug, Clone, Copy)]
struct Open {
    link_id: u32,
    /// The greatest `seq` received, as far as wrapping numbers have one.
    received: u32,
}

impl Open {
    /// Takes a header of this link if it is newer than all before, and acknowledges nothing that was never sent.
    fn take(&mut self, header: &Header, sent: u32) -> bool {
        let newer = header.seq.wrapping_sub(self.received).cast_signed() > 0;
        let answers = sent.wrapping_sub(header.ack).cast_signed() >= 0;
        if newer && answers {
            self.received = header.seq;
        }
        newer && answers
    }
}

/// Bytes to send, or something to do.
#[derive(Debug)]
pub enum Output<'a, E> {
    /// Send these bytes.
    Bytes(&'a [u8]),
    /// Do this.
    Event(E),
}
