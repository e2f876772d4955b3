//! Checks whether the disk has space for the next rows.
//!
//! A row that could be written does not prove that there is space: opening a journal truncates its WAL, which frees space for a
//! few rows even on a full disk.

use super::JournalError;
use super::files::folder_of;
use super::verdict_row::Answer;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// The space that must be free, in bytes: enough for the rows of about ten parts in the WAL, and for the database pages that
/// these rows change.
const ROOM_BYTES: usize = 256 * 1024;
/// With this many free bytes the disk is certainly not full, although a file system's count may be inexact.
const PLENTY_BYTES: u64 = 16 << 20;

/// Checks that the disk with `path` has space. Writes only if little is free.
///
/// # Errors
/// [`JournalError::Full`]. Other errors of the disk are ignored here; they appear when a row is written.
pub(super) fn check(path: &Path) -> Answer<()> {
    let is_free = |disk: rustix::fs::StatVfs| disk.f_bavail.saturating_mul(disk.f_frsize) >= PLENTY_BYTES;
    if rustix::fs::statvfs(path).is_ok_and(is_free) { Ok(()) } else { attempt(path) }
}

/// Checks that the disk has space by allocating [`ROOM_BYTES`] for a moment. The system's count of free blocks does not prove
/// this: on some file systems it is an estimate, and it ignores quotas.
///
/// # Errors
/// As [`check`].
pub(super) fn attempt(path: &Path) -> Answer<()> {
    let folder = folder_of(path);
    let outcome = tempfile::tempfile_in(&folder).and_then(|mut file| file.write_all(&[0; ROOM_BYTES]));
    match outcome {
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            Err(JournalError::Full { folder, bytes: ROOM_BYTES })
        }
        _ => Ok(()),
    }
}
