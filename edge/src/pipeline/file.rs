//! An image's bytes, read under limits.

use super::NoScore;
use crate::acquire::Identity;
use cellgate_models::radiograph::{BUFFER_START, Limits, ReadError};
use rustix::fs::{Mode, OFlags, open};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// Reads a plain file of at most `limits.max_file_bytes` into `memory`, which is used again, and gives its bytes. A pipe or a device
/// could keep the gate waiting for ever and is refused without being opened; one that takes a file's place meanwhile is
/// opened without waiting, and refused. So is a file that is not the `expected` one, where that is known, or is written to
/// while it is read.
pub(super) fn read<'a>(
    path: &Path,
    expected: Option<&Identity>,
    limits: &Limits,
    memory: &'a mut Vec<u8>,
) -> Result<&'a [u8], NoScore> {
    let io = |source: io::Error| ReadError::Io { path: path.to_owned(), source };
    let over_limit = |found: u64| ReadError::Limit {
        path: path.to_owned(),
        found: format!("{found} bytes"),
        expected: format!("at most {}", limits.max_file_bytes),
    };
    refuse_other_than_file(path, &std::fs::metadata(path).map_err(io)?)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(open(path, flags, Mode::empty()).map_err(|error| io(error.into()))?);
    let metadata = file.metadata().map_err(io)?;
    refuse_other_than_file(path, &metadata)?;
    let before = Identity::of(&metadata);
    refuse_changed(path, expected, before.as_ref())?;
    if metadata.len() > limits.max_file_bytes {
        return Err(over_limit(metadata.len()).into());
    }
    // A byte more than expected shows whether it has grown meanwhile.
    let most = usize::try_from(metadata.len()).unwrap_or(usize::MAX).saturating_add(1);
    memory.resize(BUFFER_START, 0);
    memory.try_reserve_exact(most).map_err(|error| io(io::Error::other(error)))?;
    (&file).take(limits.max_file_bytes.saturating_add(1)).read_to_end(memory).map_err(io)?;
    let bytes = &memory[BUFFER_START..];
    if bytes.len() as u64 > limits.max_file_bytes {
        return Err(over_limit(bytes.len() as u64).into());
    }
    refuse_changed(path, before.as_ref(), Identity::of(&file.metadata().map_err(io)?).as_ref())?;
    Ok(bytes)
}

/// Refuses a file that is not what it was, where that is known.
fn refuse_changed(path: &Path, before: Option<&Identity>, now: Option<&Identity>) -> Result<(), NoScore> {
    let change = before.zip(now).and_then(|(before, now)| before.change(now));
    change.map_or(Ok(()), |change| Err(NoScore::Changed { path: path.to_owned(), change }))
}

fn refuse_other_than_file(path: &Path, metadata: &Metadata) -> Result<(), ReadError> {
    if metadata.is_file() {
        return Ok(());
    }
    let found = if metadata.is_dir() { "a folder" } else { "a pipe, socket or device" };
    Err(ReadError::Unsupported { path: path.to_owned(), found: found.to_owned(), expected: "a file".to_owned() })
}
