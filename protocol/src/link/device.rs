//! The device's end of a native link: carries a [`DeviceSession`] in frames.

use super::{Counters, Open, Output};
use crate::{
    accumulator::Accumulator,
    fault::{FaultCode, LinkError},
    frame::{self, FrameError, Header},
    health::Health,
    limits::MAX_FRAME,
    reason::ReasonCode,
    session::device::{DeviceAction, DeviceEvent, DeviceSession},
    to_device::{BundleTrigger, GateAck, Hello, ToDevice},
    to_plc::{HelloAck, ToPlc},
    version::Schema,
};
use heapless::Deque;

/// The least time between two ERROR/INCOMPATIBLE answers, so that a PLC of another version cannot make the device flood the link.
const INCOMPATIBLE_EVERY_MS: u64 = 1_000;

/// Carries a [`DeviceSession`] in frames. After each input, and at least every 10 ms, call [`DeviceLink::poll`] until it
/// returns `None`.
#[derive(Debug)]
pub struct DeviceLink {
    session: DeviceSession,
    accumulator: Accumulator,
    open: Option<Open>,
    /// The `seq` of the last frame sent.
    sent: u32,
    /// Waiting answers of the link itself (HELLO_ACK and ERROR), each with its link id.
    answers: Deque<(u32, ToPlc), 4>,
    incompatible_sent_ms: Option<u64>,
    counters: Counters,
}

impl DeviceLink {
    /// A link that waits for HELLO.
    #[must_use]
    pub const fn new(session: DeviceSession) -> Self {
        let counters = Counters { frames: 0, dropped: 0, incompatible: 0, links: 0 };
        Self {
            session,
            accumulator: Accumulator::new(),
            open: None,
            sent: 0,
            answers: Deque::new(),
            incompatible_sent_ms: None,
            counters,
        }
    }

    /// The session behind the link.
    pub fn session(&mut self) -> &mut DeviceSession {
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

    /// Is a link open?
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Call this when the port was lost and reopened. Drops a partial frame; the link continues.
    pub fn reopened(&mut self) {
        self.accumulator = Accumulator::new();
    }

    /// Feeds received bytes.
    pub fn feed(&mut self, now_ms: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let fed = self.accumulator.feed::<ToDevice>(bytes);
            bytes = fed.rest;
            match fed.frame {
                Some(Ok((header, message))) => self.receive(now_ms, &header, &message),
                // The header of another version cannot be read. The link id is unknown, so the answer has 0.
                Some(Err(FrameError::Version { .. })) => self.report_incompatible(now_ms, 0),
                Some(Err(_)) | None => {}
            }
        }
    }

    /// The next action. Bytes to send are in `out`.
    pub fn poll<'a>(
        &mut self,
        now_ms: u64,
        health: Option<&Health>,
        out: &'a mut [u8; MAX_FRAME],
    ) -> Option<Output<'a, DeviceEvent>> {
        let (link_id, message) = loop {
            if let Some(answer) = self.answers.pop_front() {
                break answer;
            }
            match (self.session.poll(now_ms, health)?, self.open) {
                (DeviceAction::Event(event), _) => return Some(Output::Event(event)),
                (DeviceAction::Send(message), Some(open)) => {
                    // The link's schema may lack the message: the answer to a confirmation that came over an earlier link.
                    if let Some(message) = message.in_schema(open.schema) {
                        break (open.link_id, message);
                    }
                }
                // No link is open, so the message is dropped. The session repeats a verdict, and its caller a record.
                (DeviceAction::Send(_), None) => {}
            }
        };
        self.sent = self.sent.wrapping_add(1);
        let ack = self.open.filter(|open| open.link_id == link_id).map_or(0, |open| open.received);
        let header = Header { link_id, boot_epoch: self.session.config().boot_epoch, seq: self.sent, ack };
        frame::encode(&header, &message, out).ok().map(Output::Bytes)
    }

    fn receive(&mut self, now_ms: u64, header: &Header, message: &ToDevice) {
        self.counters.frames = self.counters.frames.wrapping_add(1);
        match message {
            ToDevice::Hello(hello) => return self.hello(now_ms, header, hello),
            ToDevice::Error(error) if error.fault == FaultCode::INCOMPATIBLE => {
                self.counters.incompatible = self.counters.incompatible.wrapping_add(1);
                self.open = None;
                return;
            }
            _ => {}
        }
        let boot_epoch = self.session.config().boot_epoch;
        match &mut self.open {
            Some(open) if open.link_id == header.link_id && header.boot_epoch == boot_epoch => {
                if !message.is_of(open.schema) || !open.accept(header, self.sent) {
                    self.counters.dropped = self.counters.dropped.wrapping_add(1);
                    return;
                }
            }
            _ => {
                self.counters.dropped = self.counters.dropped.wrapping_add(1);
                if !matches!(message, ToDevice::Error(_)) {
                    self.answer(header.link_id, self.error(FaultCode::UNKNOWN_LINK));
                }
                return;
            }
        }
        match message {
            ToDevice::Trigger(trigger) => self.session.trigger(now_ms, trigger, 0),
            ToDevice::BundleTrigger(BundleTrigger { trigger, bundle }) => {
                self.session.trigger(now_ms, trigger, *bundle);
            }
            ToDevice::Ack(ack) => self.session.acknowledge(ack, ReasonCode::NONE),
            ToDevice::GateAck(GateAck { ack, gate }) => self.session.acknowledge(ack, *gate),
            ToDevice::Confirm(confirm) => self.session.confirm(confirm),
            ToDevice::Heartbeat(heartbeat) => self.session.plc_heartbeat(now_ms, heartbeat.counter),
            ToDevice::Error(_) => self.open = None,
            ToDevice::Hello(_) => {}
        }
    }

    fn hello(&mut self, now_ms: u64, header: &Header, hello: &Hello) {
        let highest = self.session.config().schema;
        let known = Schema::from_number(hello.schema).filter(|schema| *schema <= highest);
        // A PLC chooses a new link id for another schema.
        let is_other = |open: &Open| open.link_id == header.link_id && Some(open.schema) != known;
        let Some(schema) = known.filter(|_| !self.open.as_ref().is_some_and(is_other)) else {
            self.open = None;
            self.report_incompatible(now_ms, header.link_id);
            return;
        };
        match &mut self.open {
            // The PLC repeats HELLO, for example because the answer was lost.
            Some(open) if open.link_id == header.link_id => {
                if !open.accept(header, self.sent) {
                    self.counters.dropped = self.counters.dropped.wrapping_add(1);
                    return;
                }
            }
            _ => {
                self.open = Some(Open { link_id: header.link_id, schema, received: header.seq });
                self.counters.links = self.counters.links.wrapping_add(1);
                self.session.link_opened(now_ms);
            }
        }
        let device = self.session.config().device;
        let state = self.session.state(now_ms).code();
        self.answer(header.link_id, ToPlc::HelloAck(HelloAck { schema: schema.number(), device, state }));
    }

    /// Counts a frame of a PLC with another version or an unknown schema. Answers with ERROR/INCOMPATIBLE, unless the last such answer was
    /// less than [`INCOMPATIBLE_EVERY_MS`] ago.
    fn report_incompatible(&mut self, now_ms: u64, link_id: u32) {
        self.counters.incompatible = self.counters.incompatible.wrapping_add(1);
        if self.incompatible_sent_ms.is_none_or(|last_ms| now_ms.saturating_sub(last_ms) >= INCOMPATIBLE_EVERY_MS) {
            self.incompatible_sent_ms = Some(now_ms);
            self.answer(link_id, self.error(FaultCode::INCOMPATIBLE));
        }
    }

    fn error(&self, fault: FaultCode) -> ToPlc {
        ToPlc::Error(LinkError::new(fault, self.session.config().schema))
    }

    fn answer(&mut self, link_id: u32, message: ToPlc) {
        if self.answers.is_full() {
            self.answers.pop_front();
        }
        let _ = self.answers.push_back((link_id, message));
    }
}
