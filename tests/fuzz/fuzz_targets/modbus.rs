//! Requests, times and what the application does, through the device's session behind Modbus registers. What is
//! checked: `../bodies/modbus.rs`.

#![no_main]

#[path = "../bodies/application.rs"]
mod application;
#[path = "../bodies/bits.rs"]
mod bits;
#[path = "../bodies/modbus.rs"]
mod modbus;
#[path = "../bodies/steps.rs"]
mod steps;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    modbus::run(input);
});
