//! Bytes of a native link, partly valid frames, through the accumulator and the links of both sides. The checks are in
//! `../../line/src/fuzz/accumulator.rs`.

#![no_main]

use cellgate_test_line::fuzz::accumulator;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    accumulator::run(input);
});
