//! An image's bytes, read under limits.

use super::NoScore;
use crate::acquire::Identity;
use cellgate_models::radiograph::{Limits, ReadError, read_open_file};
use rustix::fs::{Mode, OFlags, open};
use std::fs::{File, Metadata};
use std::io;
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
    refuse_other_than_file(path, &std::fs::metadata(path).map_err(io)?)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(open(path, flags, Mode::empty()).map_err(|error| io(error.into()))?);
    let metadata = file.metadata().map_err(io)?;
    refuse_other_than_file(path, &metadata)?;
    let before = Identity::of(&metadata);
    refuse_changed(path, expected, before.as_ref())?;
    let bytes = read_open_file(&file, metadata.len(), path, limits, memory)?;
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
