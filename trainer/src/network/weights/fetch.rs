//! Downloads torchvision's ResNet-34, the paper's backbone, to the place where it is looked for.

mod download;
mod error;

pub use error::FetchError;

use super::find::official_in;
use super::origin::IMAGENET;
use crate::files::FileError;
use cellgate_models::digest::Digest;
use download::{Connection, download, receive_file};
use std::fmt;
use std::path::{Path, PathBuf};

/// torchvision's public address of the weights `ResNet34_Weights.IMAGENET1K_V1`.
pub const ADDRESS: &str = "https://download.pytorch.org/models/resnet34-b627a593.pth";
/// Source and licence of the weights, for people.
pub const LICENCE: &str = "torchvision's ResNet34_Weights.IMAGENET1K_V1, trained on ImageNet-1k. torchvision is under the BSD \
     3-Clause licence. ImageNet's terms of access allow non-commercial research and education only; whether they bind these weights is for you to decide. The \
     weights are not part of Cellgate";

/// Where the weights come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An address that is downloaded.
    Address(String),
    /// A file that was downloaded on another machine.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => out.write_str(address),
            Self::File(file) => write!(out, "{}", file.display()),
        }
    }
}

/// The stored weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The file.
    pub path: PathBuf,
    /// Its digest.
    pub digest: Digest,
    /// Whether the file was there already.
    pub existed: bool,
}

/// Stores the weights of `source` in the cache folder, where [`find`](super::find()) looks for them. Writes the whole digest beside the
/// file in the form of `sha256sum`. Does nothing if the file is there already.
///
/// A download that broke off is continued. The file gets its name only after its digest was checked.
///
/// # Errors
/// [`FetchError`].
pub fn fetch(source: &Source) -> Result<Fetched, FetchError> {
    let cache = crate::features::default_cache_root().ok_or(FetchError::NoFolder)?;
    fetch_to(&official_in(&cache), source, IMAGENET, &Connection::of_environment())
}

/// As [`fetch`], to `path`. The file's digest must begin with `digits`.
fn fetch_to(path: &Path, source: &Source, digits: &str, connection: &Connection) -> Result<Fetched, FetchError> {
    let is_expected = |digest: Digest| digest.to_string().starts_with(digits);
    if path.exists() {
        let digest = digest_of(path)?;
        if !is_expected(digest) {
            return Err(FetchError::Stored { path: path.to_owned(), found: digest });
        }
        note_digest(path, digest)?;
        return Ok(Fetched { path: path.to_owned(), digest, existed: true });
    }
    let part = receive_file(path)?;
    let was_continued = match source {
        Source::Address(address) => download(address, &part, connection)?.was_continued,
        Source::File(file) => download::copy(file, &part).map(|()| false)?,
    };
    let mut digest = digest_of(&part.path)?;
    if let (true, false, Source::Address(address)) = (was_continued, is_expected(digest), source) {
        // The server's file may have changed since the earlier call.
        part.clear()?;
        download(address, &part, connection)?;
        digest = digest_of(&part.path)?;
    }
    if !is_expected(digest) {
        part.remove();
        return Err(FetchError::Digest { place: source.to_string(), found: digest });
    }
    note_digest(path, digest)?;
    part.rename_to(path)?;
    Ok(Fetched { path: path.to_owned(), digest, existed: false })
}

/// Writes the digest beside the file at `path`, as `sha256sum` does.
fn note_digest(path: &Path, digest: Digest) -> Result<(), FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digest_file = path.with_added_extension("sha256");
    crate::files::write(&digest_file, format!("{digest}  {name}\n").as_bytes())
        .map_err(FileError::writing(&digest_file))
}

fn digest_of(path: &Path) -> Result<Digest, FetchError> {
    Digest::of_file(path).map_err(|source| FetchError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
