//! The PLC's end of a native link: carries a [`PlcSession`] in frames.

use super::{Counters, Open, Output};
use crate::{
    accumulator::Accumulator,
    fault::FaultCode,
    frame::{self, FrameError, Header},
    limits::{MAX_FRAME, PLC_SILENT_MS},
    session::{
        plc::{PlcAction, PlcEvent, PlcSession},
        repeat::Repeat,
    },
    to_device::{Hello, ToDevice},
    to_plc::{HelloAck, ToPlc},
};

/// The identities of both ends, and the settings of their link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The PLC's own number. 0 if it has none.
    pub plc: u32,
    /// The device's number. `None` accepts any device.
    pub device: Option<u32>,
    /// The first link id. It must differ at each start of the PLC. Later link ids count up from it.
    pub first_link_id: u32,
    /// The wait before HELLO is repeated, computed by [`crate::session::repeat::first_wait_ms`].
    pub first_wait_ms: u64,
}

/// The stage of the link.
#[derive(Debug)]
enum LinkStage {
    /// HELLO is repeated until the device answers.
    Calling(Repeat),
    /// HELLO_ACK came from the device, which is in this boot epoch. `heard_ms` is the time of the last accepted frame.
    Open { boot_epoch: u32, heard_ms: u64 },
}

/// Carries a [`PlcSession`] in frames. After each input, and at least every 10 ms, call [`PlcLink::poll`] until it returns
/// `None`.
#[derive(Debug)]
pub struct PlcLink {
    session: PlcSession,
    ends: Ends,
    accumulator: Accumulator,
    stage: LinkStage,
    /// The link id that is open or that HELLO asks for.
    open: Open,
    /// The `seq` of the last frame sent.
    sent: u32,
    counters: Counters,
}

impl PlcLink {
    /// A link that starts by sending HELLO.
    #[must_use]
    pub fn new(now_ms: u64, session: PlcSession, ends: Ends) -> Self {
        let schema = session.config().schema;
        Self {
            session,
            ends,
            accumulator: Accumulator::new(),
            stage: LinkStage::Calling(Repeat::from(now_ms, ends.first_wait_ms)),
            open: Open { link_id: ends.first_link_id, schema, received: 0 },
            sent: 0,
            counters: Counters::default(),
        }
    }

    /// The session behind the link.
    pub fn session(&mut self) -> &mut PlcSession {
        &mut self.session
    }

    /// The counters of the link.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How often the bytes between two delimiters were not a frame, wrapping.
    #[must_use]
    pub const fn resyncs(&self) -> u32 {
        self.accumulator.resyncs()
    }

    /// The device's boot epoch, while a link is open.
    #[must_use]
    pub const fn boot_epoch(&self) -> Option<u32> {
        match self.stage {
            LinkStage::Open { boot_epoch, .. } => Some(boot_epoch),
            LinkStage::Calling(_) => None,
        }
    }

    /// Call this when the port was lost and reopened. Drops a partial frame; the link continues.
    pub fn reopened(&mut self) {
        self.accumulator = Accumulator::new();
    }

    /// Feeds received bytes.
    pub fn feed(&mut self, now_ms: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let fed = self.accumulator.feed::<ToPlc>(bytes);
            bytes = fed.rest;
            match fed.frame {
                Some(Ok((header, message))) => self.receive(now_ms, &header, &message),
                Some(Err(FrameError::Version { .. })) => self.incompatible(now_ms),
                Some(Err(_)) | None => {}
            }
        }
    }

    /// The next action. Bytes to send are in `out`.
    pub fn poll<'a>(&mut self, now_ms: u64, out: &'a mut [u8; MAX_FRAME]) -> Option<Output<'a, PlcEvent>> {
        if let LinkStage::Open { heard_ms, .. } = self.stage
            && now_ms.saturating_sub(heard_ms) >= PLC_SILENT_MS
        {
            self.call(now_ms);
        }
        let message = loop {
            if let LinkStage::Calling(repeat) = &mut self.stage
                && repeat.is_due(now_ms)
            {
                repeat.sent(now_ms);
                break ToDevice::Hello(Hello { schema: self.open.schema.number(), plc: self.ends.plc });
            }
            match (self.session.poll(now_ms)?, &self.stage) {
                (PlcAction::Event(event), _) => return Some(Output::Event(event)),
                (PlcAction::Send(message), LinkStage::Open { .. }) => break message,
                // No link is open, so the message is dropped. The session repeats a trigger, and the device repeats a verdict
                // that was not acknowledged.
                (PlcAction::Send(_), LinkStage::Calling(_)) => {}
            }
        };
        self.sent = self.sent.wrapping_add(1);
        let header = Header {
            link_id: self.open.link_id,
            boot_epoch: self.boot_epoch().unwrap_or(0),
            seq: self.sent,
            ack: self.open.received,
        };
        frame::encode(&header, &message, out).ok().map(Output::Bytes)
    }

    fn receive(&mut self, now_ms: u64, header: &Header, message: &ToPlc) {
        self.counters.frames = self.counters.frames.wrapping_add(1);
        if header.link_id != self.open.link_id {
            self.counters.dropped = self.counters.dropped.wrapping_add(1);
            return;
        }
        match (&mut self.stage, message) {
            (_, ToPlc::Error(error)) if error.fault == FaultCode::INCOMPATIBLE => self.incompatible(now_ms),
            (LinkStage::Open { .. }, ToPlc::Error(_)) => self.call(now_ms),
            (LinkStage::Calling(_), ToPlc::HelloAck(hello)) => self.hello_ack(now_ms, header, hello),
            (LinkStage::Open { boot_epoch, heard_ms }, _)
                if *boot_epoch == header.boot_epoch
                    && message.is_of(self.open.schema)
                    && self.open.accept(header, self.sent) =>
            {
                *heard_ms = now_ms;
                self.session.receive(now_ms, message);
            }
            _ => self.counters.dropped = self.counters.dropped.wrapping_add(1),
        }
    }

    fn hello_ack(&mut self, now_ms: u64, header: &Header, hello: &HelloAck) {
        let is_expected = self.ends.device.is_none_or(|device| device == hello.device);
        if hello.schema != self.open.schema.number() || !is_expected {
            return self.incompatible(now_ms);
        }
        self.open.received = header.seq;
        self.counters.links = self.counters.links.wrapping_add(1);
        self.stage = LinkStage::Open { boot_epoch: header.boot_epoch, heard_ms: now_ms };
        self.session.device_found(now_ms, header.boot_epoch);
    }

    /// Ends the open part and closes the link, because the device has another version or schema, or is another device.
    fn incompatible(&mut self, now_ms: u64) {
        self.counters.incompatible = self.counters.incompatible.wrapping_add(1);
        self.session.device_incompatible(now_ms);
        if matches!(self.stage, LinkStage::Open { .. }) {
            self.call(now_ms);
        }
    }

    /// Opens the link again, with a link id that was not used before.
    fn call(&mut self, now_ms: u64) {
        self.open = Open { link_id: self.open.link_id.wrapping_add(1), received: 0, ..self.open };
        self.stage = LinkStage::Calling(Repeat::from(now_ms, self.ends.first_wait_ms));
    }
}
