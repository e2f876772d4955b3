//! Whether the disk has room for the next rows.
//!
//! A journal on a full disk can be opened, and its log, emptied by that, even takes a few pages: that one write succeeds
//! does not show that the next part's rows will.

use super::JournalError;
use super::files::folder_of;
use super::verdict_row::Answer;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// What has to be free: some ten parts' rows in the log, and the pages of the database that they change.
const ROOM_BYTES: usize = 256 * 1024;
/// Above this the disk is not full, whatever the file system leaves out of its count.
const PLENTY_BYTES: u64 = 16 << 20;

/// Finds out whether the disk that holds `path` has room; does not write where much is free.
///
/// # Errors
/// There is none. Whatever else may be wrong with the disk shows when a row is written.
pub(super) fn look(path: &Path) -> Answer<()> {
    let is_free = |disk: rustix::fs::StatVfs| disk.f_bavail.saturating_mul(disk.f_frsize) >= PLENTY_BYTES;
    if rustix::fs::statvfs(path).is_ok_and(is_free) { Ok(()) } else { attempt(path) }
}

/// Finds it out by taking the room for a moment: how much is free is an estimate on some file systems, and says nothing of
/// quotas.
///
/// # Errors
/// As [`look`].
pub(super) fn attempt(path: &Path) -> Answer<()> {
    let folder = folder_of(path);
    let taken = tempfile::tempfile_in(&folder).and_then(|mut file| file.write_all(&[0; ROOM_BYTES]));
    match taken {
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            Err(JournalError::Full { folder, bytes: ROOM_BYTES })
        }
        _ => Ok(()),
    }
}
