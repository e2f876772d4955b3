//! Requests, times and actions of the application through the device's session with Modbus registers. The checks are in
//! `../../line/src/fuzz/modbus.rs`.

#![no_main]

use cellgate_test_line::fuzz::modbus;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    modbus::run(input);
});
