//! Requests, times and what the application does, through the device's session behind Modbus registers. What is
//! checked: `../../line/src/fuzz/modbus.rs`.

#![no_main]

use cellgate_test_line::fuzz::modbus;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    modbus::run(input);
});
