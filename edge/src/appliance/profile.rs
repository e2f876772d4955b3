//! Carries the session with the PLC over the configured profile: native frames or Modbus registers.

use crate::config::{PlcConfig, Profile};
use crate::metrics::LinkCounts;
use cellgate_protocol::health::Health;
use cellgate_protocol::limits::MAX_FRAME;
use cellgate_protocol::link::{Counters, Output, device::DeviceLink};
use cellgate_protocol::modbus::device::ModbusDevice;
use cellgate_protocol::modbus::framer::{FRAME_MAX, silence_ms};
use cellgate_protocol::modbus::link::Link;
use cellgate_protocol::session::device::{DeviceEvent, DeviceSession};

/// A session and the protocol that carries it.
pub(super) enum PlcTransport {
    Native(Box<DeviceLink>),
    Modbus(Box<ModbusDevice>),
}

impl PlcTransport {
    /// The session over the configured profile.
    pub(super) fn new(session: DeviceSession, plc: &PlcConfig) -> Self {
        let session = session.with_longest_deadline(plc.deadline_ms.get());
        match plc.profile {
            Profile::Native => Self::Native(Box::new(DeviceLink::new(session))),
            Profile::Modbus => {
                let link = Link::new(plc.unit, silence_ms(plc.baud.get()));
                Self::Modbus(Box::new(ModbusDevice::new(session, link, plc.deadline_ms.get())))
            }
        }
    }

    pub(super) fn session(&mut self) -> &mut DeviceSession {
        match self {
            Self::Native(link) => link.session(),
            Self::Modbus(device) => device.session(),
        }
    }

    /// The counters of link and session for the metrics. `heartbeat` is the heartbeat's value that the PLC reads.
    pub(super) fn counts(&mut self, heartbeat: u32) -> LinkCounts {
        let (bad_acks, refused) = (self.session().bad_acks(), *self.session().refused());
        let counts = LinkCounts { bad_acks, refused, heartbeat, ..LinkCounts::default() };
        match self {
            Self::Native(link) => {
                let Counters { frames, dropped, incompatible, .. } = *link.counters();
                LinkCounts { frames, dropped, incompatible, resyncs: link.resyncs(), ..counts }
            }
            Self::Modbus(device) => {
                let (received, requests) = device.link().counts();
                LinkCounts {
                    frames: received.frames,
                    resyncs: received.resynchronised,
                    bad_crc: received.bad_crc,
                    bytes_dropped: received.bytes_dropped,
                    exceptions: requests.refused,
                    ..counts
                }
            }
        }
    }

    /// Whether a RECORD can be sent.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Native(link) => link.is_open(),
            // Always: the registers show a RECORD until it is acknowledged or replaced.
            Self::Modbus(_) => true,
        }
    }

    pub(super) fn reopened(&mut self) {
        match self {
            Self::Native(link) => link.reopened(),
            Self::Modbus(device) => device.reopened(),
        }
    }

    pub(super) fn feed(&mut self, now_ms: u64, bytes: &[u8]) {
        match self {
            Self::Native(link) => link.feed(now_ms, bytes),
            Self::Modbus(device) => device.feed(now_ms, bytes),
        }
    }

    /// The next event, if any. Bytes that are to be sent before the event is handled are added to `out`.
    pub(super) fn poll(&mut self, now_ms: u64, health: Option<&Health>, out: &mut Vec<u8>) -> Option<DeviceEvent> {
        let (mut frame, mut answer) = ([0; MAX_FRAME], [0; FRAME_MAX]);
        loop {
            let output = match self {
                Self::Native(link) => link.poll(now_ms, health, &mut frame),
                Self::Modbus(device) => device.poll(now_ms, health, &mut answer),
            };
            match output? {
                Output::Bytes(bytes) => out.extend_from_slice(bytes),
                Output::Event(event) => return Some(event),
            }
        }
    }
}
