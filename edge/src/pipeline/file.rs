//! An image's bytes, read under limits.

use super::NoScore;
use crate::acquire::Identity;
use cellgate_models::plain_file::{Links, PlainFile, PlainFileError};
use cellgate_models::radiograph::{RadiographLimits, ReadError, read_open_file};
use std::path::Path;

/// Reads a plain file of at most `limits.max_file_bytes` into `memory`, which is used again, and gives its bytes. A pipe or a device
/// could keep the gate waiting for ever and is refused. So is a file that is not the `expected` one, where that is known, or is
/// written to while it is read.
pub(super) fn read<'a>(
    path: &Path,
    expected: Option<&Identity>,
    limits: &RadiographLimits,
    memory: &'a mut Vec<u8>,
) -> Result<&'a [u8], NoScore> {
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    let kind = |found: &str| ReadError::Unsupported {
        path: path.to_owned(),
        found: found.to_owned(),
        expected: "a file".to_owned(),
    };
    let plain = PlainFile::open(path, Links::Follow).map_err(|error| match error {
        PlainFileError::Io(source) => io(source),
        PlainFileError::Folder => kind("a folder"),
        _ => kind("a pipe, socket or device"),
    })?;
    let (file, metadata) = (plain.file(), plain.metadata());
    let before = Identity::of(metadata);
    refuse_changed(path, expected, before.as_ref())?;
    let bytes = read_open_file(file, metadata.len(), path, limits, memory)?;
    refuse_changed(path, before.as_ref(), Identity::of(&file.metadata().map_err(io)?).as_ref())?;
    Ok(bytes)
}

/// Refuses a file that is not what it was, where that is known.
fn refuse_changed(path: &Path, before: Option<&Identity>, now: Option<&Identity>) -> Result<(), NoScore> {
    let change = before.zip(now).and_then(|(before, now)| before.change(now));
    change.map_or(Ok(()), |change| Err(NoScore::Changed { path: path.to_owned(), change }))
}
