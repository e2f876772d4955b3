//! Errors of fetching the weights.

use super::super::origin::IMAGENET;
use crate::files::FileError;
use cellgate_models::digest::Digest;
use std::path::PathBuf;

/// Largest file that is accepted. torchvision's has 87 MB.
pub(super) const MAX_BYTES: u64 = 200_000_000;

/// Error of fetching the weights.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Neither `$XDG_CACHE_HOME` nor `$HOME` is set, so there is no folder to store the file in.
    #[error("found no folder for the file: set HOME or XDG_CACHE_HOME")]
    NoFolder,
    /// The server can't be reached, or it answers with an error.
    #[error(
        "{address}: {message}; check the address and the proxy (ALL_PROXY, HTTPS_PROXY, HTTP_PROXY), or download the file on another machine and give it \
         with --from"
    )]
    Server {
        /// The address.
        address: String,
        /// The error.
        message: String,
    },
    /// The connection ended before the whole file was received. What was received is kept.
    #[error(
        "{address}: the connection ended after {received} bytes ({message}); give the same command again to continue"
    )]
    BrokenOff {
        /// The address.
        address: String,
        /// Bytes received in all.
        received: u64,
        /// The error.
        message: String,
    },
    /// The file is larger than any ResNet-34.
    #[error("{place}: found {found} bytes, expected at most {MAX_BYTES}: this is not torchvision's ResNet-34")]
    TooLarge {
        /// The address or the file.
        place: String,
        /// Its size.
        found: u64,
    },
    /// `--from` names no regular file.
    #[error("{}: found a folder or device, expected a file", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// The stored file is damaged or another one.
    #[error(
        "{}: found SHA-256 {found}, expected one that begins with {IMAGENET}: the file is damaged or another one; remove it and give \
         the command again",
        path.display()
    )]
    Stored {
        /// The stored file.
        path: PathBuf,
        /// Its digest.
        found: Digest,
    },
    /// The received file is another one. It is removed.
    #[error(
        "{place}: found SHA-256 {found}, expected one that begins with {IMAGENET}: the file is damaged or another one"
    )]
    Digest {
        /// The address or the file.
        place: String,
        /// The digest of the file.
        found: Digest,
    },
    /// Another call of the command is downloading.
    #[error("{}: another download is running; wait for it", path.display())]
    Busy {
        /// The file that is being written.
        path: PathBuf,
    },
    /// A file can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file can't be written.
    #[error(transparent)]
    File(#[from] FileError),
}
