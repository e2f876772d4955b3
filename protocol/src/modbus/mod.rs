//! The Modbus RTU profile: the device is a server whose registers hold the session's state.
//!
//! Bytes go through [`framer`] and [`codec`] to [`server`], which keeps the PLC's command block and answers from one
//! immutable snapshot of [`map`]. `MODBUS.md` beside this crate's README tells an integrator all of it.

pub mod codec;
pub mod command;
pub mod crc16;
pub mod device;
pub mod framer;
mod from_snapshot;
pub mod link;
pub mod map;
pub mod plc;
pub mod registers;
pub mod server;
pub mod snapshot;
pub mod unit;
