//! An image's bytes, read under limits.

use cellgate_models::radiograph::{Limits, ReadError};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Reads a plain file of at most `limits.max_file_bytes`. A pipe or a device could keep the gate waiting for ever and
/// is refused without being opened.
pub(super) fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, ReadError> {
    let io = |source: io::Error| ReadError::Io { path: path.to_owned(), source };
    let over_limit = |found: u64| ReadError::Limit {
        path: path.to_owned(),
        found: format!("{found} bytes"),
        expected: format!("at most {}", limits.max_file_bytes),
    };
    let metadata = fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        let found = if metadata.is_dir() { "a folder" } else { "a pipe, socket or device" };
        return Err(ReadError::Unsupported {
            path: path.to_owned(),
            found: found.to_owned(),
            expected: "a file".to_owned(),
        });
    }
    if metadata.len() > limits.max_file_bytes {
        return Err(over_limit(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    let most = limits.max_file_bytes.saturating_add(1);
    File::open(path).map_err(io)?.take(most).read_to_end(&mut bytes).map_err(io)?;
    // It may have grown since.
    if bytes.len() as u64 > limits.max_file_bytes {
        return Err(over_limit(bytes.len() as u64));
    }
    Ok(bytes)
}
