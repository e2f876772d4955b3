//! The sessions of device and PLC: what both sides exchange, whichever profile carries the messages.
//!
//! A session does no input or output and has no clock. The caller passes in messages and the time, and polls the session for
//! actions until the session returns `None`.

pub mod device;
pub mod plc;
pub mod refused;
pub mod repeat;
