//! Checks that reading any bytes as a request to the control socket gives a request or an error, and that a request is unchanged
//! after writing and reading.

#![no_main]

use cellgate_edge::control::{MAX_REQUEST_BYTES, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let line = &bytes[..bytes.len().min(MAX_REQUEST_BYTES)];
    if let Ok(request) = Request::read(line) {
        assert!(Request::read(&request.to_line()).is_ok_and(|again| again == request), "a request changes when it is written");
    }
});
