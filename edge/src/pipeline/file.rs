//! Reads an image's bytes within limits, and checks that the file is still the one that arrived.

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
    let arrived = expected.and_then(|expected| expected.identity).or(opened);
    let content = || expected.and_then(ImageFile::content);
    let is_certain = check(path, arrived, opened, content())?;
    let bytes = read_open_file(file, metadata.len(), path, limits, memory)?;
    let is_certain = check(path, arrived, Identity::of(&file.metadata().map_err(io)?), content())? && is_certain;
    Ok((bytes, content().filter(|_| !is_certain)))
}

/// Compares the identity of the file at `path` when it `arrived` with its identity `now`. Refuses the file if it changed.
/// Returns true if the file is unchanged. Returns false if only its attributes changed: then its bytes must be compared with
/// the known digest `content`.
fn check(
    path: &Path,
    arrived: Option<Identity>,
    now: Option<Identity>,
    content: Option<Digest>,
) -> Result<bool, NoScore> {
    match arrived.zip(now).and_then(|(arrived, now)| arrived.change(&now)) {
        None => Ok(true),
        Some(Change::Attributes) if content.is_some() => Ok(false),
        Some(change) => Err(NoScore::Changed { path: path.to_owned(), change }),
    }
}
