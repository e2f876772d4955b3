//! Bytes on a native line, some of them right frames, through the accumulator and the links of both sides. What is
//! checked: `../bodies/accumulator.rs`.

#![no_main]

#[path = "../bodies/accumulator.rs"]
mod accumulator;
#[path = "../bodies/bits.rs"]
mod bits;
#[path = "../bodies/native.rs"]
mod native;
#[path = "../bodies/steps.rs"]
mod steps;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    accumulator::run(input);
});
