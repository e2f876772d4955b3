//! Bytes on a native line, some of them right frames, through the accumulator and the links of both sides. What is
//! checked: `../../line/src/fuzz/accumulator.rs`.

#![no_main]

use cellgate_test_line::fuzz::accumulator;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    accumulator::run(input);
});
