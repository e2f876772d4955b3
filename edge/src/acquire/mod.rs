//! Follows an image from the scanner's folder to its trigger, and on to the archive.
//!
//! | file | what it finds out or decides |
//! |---|---|
//! | `image_file` | whether a file is the same as before, and how it changed |
//! | `file_system` | whether the Linux kernel reports every file of a folder |
//! | `watch` | which files are complete, by inotify |
//! | `created` | which created files are complete without an event of a close, such as hard links |
//! | `writer` | whether a process has a file open for writing |
//! | `listing` | which files appeared without an inotify event |
//! | `settle` | which files are complete if their writer was not watched |
//! | `matching` | which image belongs to a trigger |
//! | `unjudged` | why an image is set aside |
//! | `archive` | where images go, and how many of them are kept |

mod archive;
mod created;
mod file_system;
mod image_file;
mod listing;
mod matching;
mod settle;
mod unjudged;
mod watch;
mod writer;

pub use archive::{Archive, ArchiveError, ArchiveOutcome, Kept, ReferenceImages, unjudged_name};
pub use file_system::FileSystem;
pub use image_file::{Change, Identity, ImageFile};
pub use matching::{Matcher, NoImage};
pub use unjudged::Unjudged;
pub use watch::{FolderWatcher, WatchError, count_images};

use std::time::Instant;

#[cfg(test)]
mod tests;

/// A complete image: its writer has finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The image's file when it was found complete.
    pub file: ImageFile,
    /// When the image was found complete.
    pub at: Instant,
}
