//! Feeds the device's session on a native link with frames, with times, and with calls by the program around the session. The
//! checks are in `../../line/src/fuzz/session.rs`.

#![no_main]

use cellgate_test_line::fuzz::session;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    session::run(input);
});
