//! The words that the device and the line's PLC exchange.
//!
//! This crate will hold frames, messages by direction and the session machines of both sides, all of them without
//! input, output or a clock: fed bytes and a time in milliseconds, they give bytes and events. It needs neither the
//! standard library nor an allocator, so the same code can run in a PLC's gateway or on a microcontroller.
//!
//! Today it is a documented start: [`version`] fixes the number that every frame will carry.
#![no_std]
#![forbid(unsafe_code)]

pub mod modbus;
pub mod version;
