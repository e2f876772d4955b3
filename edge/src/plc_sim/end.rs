//! The PLC's session behind the chosen profile.

use super::SimulatorOptions;
use crate::config::Profile;
use cellgate_protocol::limits::MAX_FRAME;
use cellgate_protocol::link::{
    Output,
    plc::{Ends, PlcLink},
};
use cellgate_protocol::modbus::framer::FRAME_MAX;
use cellgate_protocol::modbus::plc::ModbusPlc;
use cellgate_protocol::session::plc::{PlcEvent, PlcSession};

/// A session and what carries it.
pub enum PlcEnd {
    /// Frames.
    Native(Box<PlcLink>),
    /// Registers.
    Modbus(Box<ModbusPlc>),
}

impl PlcEnd {
    /// The session behind the profile of `options`.
    #[must_use]
    pub fn new(now_ms: u64, session: PlcSession, options: &SimulatorOptions, ends: Ends) -> Self {
        match options.profile {
            Profile::Native => Self::Native(Box::new(PlcLink::new(now_ms, session, ends))),
            Profile::Modbus => Self::Modbus(Box::new(ModbusPlc::new(now_ms, session, options.unit, ends))),
        }
    }

    /// The session behind it.
    pub fn session(&mut self) -> &mut PlcSession {
        match self {
            Self::Native(link) => link.session(),
            Self::Modbus(plc) => plc.session(),
        }
    }

    /// The port was lost and opened anew.
    pub fn reopened(&mut self) {
        match self {
            Self::Native(link) => link.reopened(),
            Self::Modbus(plc) => plc.reopened(),
        }
    }

    /// Bytes that came.
    pub fn feed(&mut self, now_ms: u64, bytes: &[u8]) {
        match self {
            Self::Native(link) => link.feed(now_ms, bytes),
            Self::Modbus(plc) => plc.feed(now_ms, bytes),
        }
    }

    /// The next event, or none; bytes to send until then are added to `out`.
    pub fn poll(&mut self, now_ms: u64, out: &mut Vec<u8>) -> Option<PlcEvent> {
        let (mut frame, mut request) = ([0; MAX_FRAME], [0; FRAME_MAX]);
        loop {
            let output = match self {
                Self::Native(link) => link.poll(now_ms, &mut frame),
                Self::Modbus(plc) => plc.poll(now_ms, &mut request),
            };
            match output? {
                Output::Bytes(bytes) => out.extend_from_slice(bytes),
                Output::Event(event) => return Some(event),
            }
        }
    }
}
