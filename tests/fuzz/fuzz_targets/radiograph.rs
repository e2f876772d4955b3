//! Checks that any bytes give a radiograph or an error. A reader that has been used before must give the same result, both from
//! the bytes and from a file with these bytes. `tests/fuzz/run` sets libFuzzer's limits on time and memory.

#![no_main]

use cellgate_models::radiograph::{Radiograph, RadiographLimits, RadiographReader, ReadError, decode};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

thread_local! {
    static READER: RefCell<RadiographReader> = RefCell::new(RadiographReader::new(limits()));
    /// One file per process, since libFuzzer runs its jobs as processes. It is overwritten for each input.
    static FILE: PathBuf = std::env::temp_dir().join(format!("cellgate-fuzz-{}.tif", std::process::id()));
}

/// Limits small enough for many inputs per second. The reader has no time limit, because with one its result would depend on the
/// machine's speed.
fn limits() -> RadiographLimits {
    RadiographLimits { max_pixels: 1 << 18, max_file_bytes: 1 << 20, max_time: Duration::MAX }
}

fuzz_target!(|bytes: &[u8]| {
    FILE.with(|path| {
        std::fs::write(path, bytes).expect("a writable folder for temporary files");
        let first = decode(bytes, path, &limits());
        READER.with_borrow_mut(|reader| {
            agree(&first, reader.decode(bytes, path));
            agree(&first, reader.read(path));
        });
    });
});

fn agree(first: &Result<Radiograph, ReadError>, again: Result<&Radiograph, ReadError>) {
    match (first, again) {
        (Ok(first), Ok(again)) => assert!(first == again, "a used reader returned other levels"),
        (Err(first), Err(again)) => assert_eq!(first.to_string(), again.to_string()),
        (first, again) => panic!("a used reader had another outcome: {first:?}, {again:?}"),
    }
}
