//! From the scanner's folder to the image of a part, and on to the archive.
//!
//! | file | concept |
//! |---|---|
//! | `image_file` | which file an image is |
//! | `watch` | which files are complete, told by the kernel |
//! | `settle` | which files are complete, where nobody watched their writer |
//! | `matching` | which image belongs to a trigger |
//! | `unjudged` | why an image is set aside |
//! | `archive` | where images go afterwards, and how much is kept |

mod archive;
mod image_file;
mod matching;
mod settle;
mod unjudged;
mod watch;

pub use archive::{Archive, ArchiveError, Kept, Stored};
pub use image_file::{Identity, ImageFile};
pub use matching::{Matcher, NoImage};
pub use settle::Settling;
pub use unjudged::Unjudged;
pub use watch::{WatchError, Watcher, present};

use std::time::Instant;

/// An image whose writer is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its file, as it was then.
    pub file: ImageFile,
    /// When it was complete.
    pub at: Instant,
}
