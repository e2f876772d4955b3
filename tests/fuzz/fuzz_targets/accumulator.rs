//! Feeds bytes of a native link, some of them valid frames, to the accumulator and to the links of both sides. The checks are in
//! `../../line/src/fuzz/accumulator.rs`.

#![no_main]

use cellgate_test_line::fuzz::accumulator;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    accumulator::run(input);
});
