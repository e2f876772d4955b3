//! Feeds the device's session behind Modbus registers with requests, with times, and with calls by the program around the session.
//! The checks are in `../../line/src/fuzz/modbus.rs`.

#![no_main]

use cellgate_test_line::fuzz::modbus;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    modbus::run(input);
});
