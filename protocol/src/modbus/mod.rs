//! The Modbus RTU profile: the device is a server whose registers show the session's state.
//!
//! Bytes go through [`framer`] and [`codec`] to [`server`]. The server keeps the PLC's command blocks and answers from one
//! immutable snapshot of the registers in [`map`]. `MODBUS.md` beside this crate's README is the specification for integrators.

mod asked;
pub mod bundle_command;
pub mod codec;
pub mod command;
pub mod crc16;
pub mod device;
pub mod framer;
mod from_snapshot;
pub mod input;
pub mod link;
pub mod map;
pub mod plc;
pub mod registers;
pub mod server;
pub mod snapshot;
pub mod unit;
