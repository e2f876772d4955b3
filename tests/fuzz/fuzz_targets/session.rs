//! Frames, times and what the application does, through the device's session on a native link. What is
//! checked: `../bodies/session.rs`.

#![no_main]

#[path = "../bodies/application.rs"]
mod application;
#[path = "../bodies/bits.rs"]
mod bits;
#[path = "../bodies/native.rs"]
mod native;
#[path = "../bodies/session.rs"]
mod session;
#[path = "../bodies/steps.rs"]
mod steps;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    session::run(input);
});
