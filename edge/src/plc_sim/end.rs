//! Joins the PLC's session with the profile that carries it over the link.

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

/// The PLC's end of the link: a session and the profile that carries it.
pub enum PlcEnd {
    /// Native frames.
    Native(Box<PlcLink>),
    /// Modbus registers.
    Modbus(Box<ModbusPlc>),
}

impl PlcEnd {
    /// Joins `session` with the profile in `options`.
    #[must_use]
    pub fn new(now_ms: u64, session: PlcSession, options: &SimulatorOptions, ends: Ends) -> Self {
        match options.profile {
            Profile::Native => Self::Native(Box::new(PlcLink::new(now_ms, session, ends))),
            Profile::Modbus => Self::Modbus(Box::new(ModbusPlc::new(now_ms, session, options.unit, ends))),
        }
    }

    /// The session.
    pub fn session(&mut self) -> &mut PlcSession {
        match self {
            Self::Native(link) => link.session(),
            Self::Modbus(plc) => plc.session(),
        }
    }

    /// Notes that the port was opened, for the first time or again after a loss.
    pub fn reopened(&mut self) {
        match self {
            Self::Native(link) => link.reopened(),
            Self::Modbus(plc) => plc.reopened(),
        }
    }

    /// Takes received bytes.
    pub fn feed(&mut self, now_ms: u64, bytes: &[u8]) {
        match self {
            Self::Native(link) => link.feed(now_ms, bytes),
            Self::Modbus(plc) => plc.feed(now_ms, bytes),
        }
    }

    /// Returns the next event. `None` if there is nothing to do now. Appends the bytes to send to `out`.
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
