//! The protocol between the device and the PLC of a production line: messages, frames, registers and sessions.
//!
//! The crate does no input or output and reads no clock. A caller feeds bytes and a time in milliseconds and gets bytes and
//! events back. The crate needs neither the standard library nor an allocator, so the same code runs in a device, a gateway or a
//! microcontroller.
//!
//! `SPEC.md` describes the native frames, `MODBUS.md` the registers, `REASONS.md` the reason codes.
#![no_std]
#![forbid(unsafe_code)]
// A cast must not change a number silently. Tests cast only numbers that they chose.
#![cfg_attr(
    not(test),
    warn(
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )
)]

#[cfg(test)]
extern crate std;

pub mod accumulator;
pub mod bundle;
pub mod code;
pub mod digest;
pub mod fault;
pub mod frame;
mod frame_type;
pub mod gate;
pub mod health;
pub mod limits;
pub mod link;
pub mod modbus;
pub mod part;
pub mod reason;
pub mod score;
pub mod session;
pub mod state;
pub mod to_device;
pub mod to_plc;
pub mod version;
