//! The words that the device and the line's PLC exchange, and the machines that exchange them.
//!
//! No input, output or clock: fed bytes and a time in milliseconds, the machines give bytes and events. Neither the
//! standard library nor an allocator is needed, so the same code runs in a device, a PLC's gateway or a
//! microcontroller. `SPEC.md` beside the sources describes every byte.
#![no_std]
#![forbid(unsafe_code)]
// No number changes silently; a test's casts are of numbers that it has chosen.
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
