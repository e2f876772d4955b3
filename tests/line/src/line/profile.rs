//! Gives both ends of the link one interface for the two profiles.

use super::referee::{BAUD, DEADLINE_MS};
use cellgate_protocol::{
    health::Health,
    limits::MAX_FRAME,
    link::{
        Output,
        device::DeviceLink,
        plc::{Ends, PlcLink},
    },
    modbus::{codec::FrameBuffer, device::ModbusDevice, framer::silence_ms, link::Link, plc::ModbusPlc, unit::Unit},
    session::{
        device::{DeviceEvent, DeviceSession},
        plc::{PlcEvent, PlcSession},
    },
};

/// The profile of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Frames of the native profile.
    Native,
    /// Modbus RTU.
    Modbus,
}

/// The device's end.
pub enum DeviceTransport {
    Native(Box<DeviceLink>),
    Modbus(Box<ModbusDevice>),
}

/// The PLC's end.
pub enum PlcEnd {
    Native(Box<PlcLink>),
    Modbus(Box<ModbusPlc>),
}

/// The start of the buffer, as long as the longest native frame.
fn native(out: &mut FrameBuffer) -> &mut [u8; MAX_FRAME] {
    out.first_chunk_mut().expect("the longest Modbus frame is longer")
}

impl DeviceTransport {
    pub fn new(profile: Profile, session: DeviceSession) -> Self {
        match profile {
            Profile::Native => Self::Native(Box::new(DeviceLink::new(session))),
            Profile::Modbus => {
                let link = Link::new(Unit::FIRST, silence_ms(BAUD));
                Self::Modbus(Box::new(ModbusDevice::new(session, link, DEADLINE_MS)))
            }
        }
    }

    pub fn session(&mut self) -> &mut DeviceSession {
        match self {
            Self::Native(link) => link.session(),
            Self::Modbus(device) => device.session(),
        }
    }

    /// Is a PLC connected?
    pub fn is_open(&self) -> bool {
        match self {
            Self::Native(link) => link.is_open(),
            Self::Modbus(device) => device.link().is_armed(),
        }
    }

    pub fn feed(&mut self, now_ms: u64, bytes: &[u8]) {
        match self {
            Self::Native(link) => link.feed(now_ms, bytes),
            Self::Modbus(device) => device.feed(now_ms, bytes),
        }
    }

    pub fn poll<'a>(
        &mut self,
        now_ms: u64,
        health: Option<&Health>,
        out: &'a mut FrameBuffer,
    ) -> Option<Output<'a, DeviceEvent>> {
        match self {
            Self::Native(link) => link.poll(now_ms, health, native(out)),
            Self::Modbus(device) => device.poll(now_ms, health, out),
        }
    }
}

impl PlcEnd {
    pub fn new(profile: Profile, now_ms: u64, session: PlcSession, ends: Ends) -> Self {
        match profile {
            Profile::Native => Self::Native(Box::new(PlcLink::new(now_ms, session, ends))),
            Profile::Modbus => Self::Modbus(Box::new(ModbusPlc::new(now_ms, session, Unit::FIRST, ends))),
        }
    }

    pub fn session(&mut self) -> &mut PlcSession {
        match self {
            Self::Native(link) => link.session(),
            Self::Modbus(plc) => plc.session(),
        }
    }

    pub fn feed(&mut self, now_ms: u64, bytes: &[u8]) {
        match self {
            Self::Native(link) => link.feed(now_ms, bytes),
            Self::Modbus(plc) => plc.feed(now_ms, bytes),
        }
    }

    pub fn poll<'a>(&mut self, now_ms: u64, out: &'a mut FrameBuffer) -> Option<Output<'a, PlcEvent>> {
        match self {
            Self::Native(link) => link.poll(now_ms, native(out)),
            Self::Modbus(plc) => plc.poll(now_ms, out),
        }
    }
}
