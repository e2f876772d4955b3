//! Reads an image's bytes within limits.

use super::NoScore;
use crate::acquire::{Change, Identity, ImageFile};
use cellgate_models::digest::Digest;
use cellgate_models::plain_file::{Links, PlainFile, PlainFileError};
use cellgate_models::radiograph::{RadiographLimits, ReadError, read_open_file};
use std::path::Path;

/// Reads a regular file of at most `limits.max_file_bytes` into the reused buffer `memory`. Returns the bytes. If the file's
/// attributes alone don't prove that it is the `expected` file, also returns the digest that the bytes must have.
///
/// Refuses a pipe, a socket or a device node, which could block forever. Refuses a file that is not the `expected` one or
/// that changes while it is read.
pub(super) fn read<'a>(
    path: &Path,
    expected: Option<&ImageFile>,
    limits: &RadiographLimits,
    memory: &'a mut Vec<u8>,
) -> Result<(&'a [u8], Option<Digest>), NoScore> {
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
    let opened = Identity::of(metadata);
    let came = expected.and_then(|expected| expected.identity).or(opened);
    let content = || expected.and_then(ImageFile::content);
    let is_certain = check(path, came, opened, content())?;
    let bytes = read_open_file(file, metadata.len(), path, limits, memory)?;
    let is_certain = check(path, came, Identity::of(&file.metadata().map_err(io)?), content())? && is_certain;
    Ok((bytes, content().filter(|_| !is_certain)))
}

/// Compares a file's identity `now` with its identity when it `came`. Refuses the file if it changed. Returns true if the
/// file is unchanged, and false if only a comparison with the known digest `content` can show whether it is.
fn check(path: &Path, came: Option<Identity>, now: Option<Identity>, content: Option<Digest>) -> Result<bool, NoScore> {
    match came.zip(now).and_then(|(came, now)| came.change(&now)) {
        None => Ok(true),
        Some(Change::Attributes) if content.is_some() => Ok(false),
        Some(change) => Err(NoScore::Changed { path: path.to_owned(), change }),
    }
}
