//! From the scanner's folder to the image of a part, and on to the archive.
//!
//! | file | concept |
//! |---|---|
//! | `image_file` | which file an image is, and how it changed |
//! | `file_system` | whether the kernel reports every file of a folder |
//! | `watch` | which files are complete, told by the kernel |
//! | `created` | which files are complete, of those whose name was made and that were not closed: hard links |
//! | `writer` | whether a process has a file open for writing |
//! | `listing` | which files appeared without an event of the kernel |
//! | `settle` | which files are complete, where nobody watched their writer |
//! | `matching` | which image belongs to a trigger |
//! | `unjudged` | why an image is set aside |
//! | `archive` | where images go afterwards, and how much is kept |

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

pub use archive::{Archive, ArchiveError, ArchiveOutcome, Kept, unjudged_name};
pub use file_system::FileSystem;
pub use image_file::{Change, Identity, ImageFile};
pub use matching::{Matcher, NoImage};
pub use unjudged::Unjudged;
pub use watch::{FolderWatcher, WatchError};

use std::time::Instant;

/// An image whose writer is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its file, as it was then.
    pub file: ImageFile,
    /// When it was complete.
    pub at: Instant,
}
