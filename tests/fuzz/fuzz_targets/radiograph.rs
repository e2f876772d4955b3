//! Any bytes give a radiograph or an error, in bounded time and memory, and what is read comes back from a reader that
//! has been used before.

#![no_main]

use cellgate_models::radiograph::{Limits, Reader, decode};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

thread_local! {
    static READER: RefCell<Reader> = RefCell::new(Reader::new(limits()));
}

/// Small enough for many tries a second; no time limit, as it would make a crash hard to repeat.
fn limits() -> Limits {
    Limits { max_pixels: 1 << 18, max_file_bytes: 1 << 20, max_time: Duration::MAX }
}

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("fuzz.tif");
    let first = decode(bytes, path, &limits());
    READER.with_borrow_mut(|reader| match (first, reader.decode(bytes, path)) {
        (Ok(first), Ok(second)) => assert!(first == *second, "a used reader gives other levels"),
        (Err(first), Err(second)) => assert_eq!(first.to_string(), second.to_string()),
        (first, second) => panic!("a used reader gives another outcome: {first:?}, {second:?}"),
    });
});
