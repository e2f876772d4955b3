//! Thread: what is left to do when a part is done. Nothing here is needed for a verdict, and nothing here can hold one up.

use super::beat::{Beats, Worker};
use crate::acquire::Archive;
use crate::journal::{Journal, now_unix_ms};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

/// How often the archive and the journal are kept to their limits.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// What one chore may take until this thread counts as stuck, which is then logged.
const CHORE_MOST: Duration = Duration::from_secs(30);

/// Something to do for [`run`].
#[derive(Debug)]
pub(super) enum Chore {
    /// The image of a recorded part goes to the archive.
    Archive {
        /// The image's file.
        path: PathBuf,
        /// Its record's number in the journal, and its verdict.
        name: String,
    },
    /// Images that nobody will judge go there too, marked.
    SetAside {
        /// Their files.
        paths: Vec<PathBuf>,
        /// Why.
        why: &'static str,
    },
}

/// Runs until the last sender is gone.
pub(super) fn run(mut archive: Archive, journal: &Arc<Journal>, beats: &Beats, chores: &Receiver<Chore>) {
    let mut tidied: Option<Instant> = None;
    loop {
        beats.busy(Worker::Keep, CHORE_MOST);
        match chores.recv_timeout(Duration::from_secs(1)) {
            Ok(Chore::Archive { path, name }) => store(&mut archive, &path, &name),
            Ok(Chore::SetAside { paths, why }) => {
                for path in paths {
                    tracing::warn!(image = %path.display(), why, "the image is set aside and not judged");
                    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                    store(&mut archive, &path, &format!("unjudged-{}-{stem}", now_unix_ms()));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            tidied = Some(Instant::now());
            tidy(&mut archive, journal);
        }
    }
}

fn store(archive: &mut Archive, path: &Path, name: &str) {
    if let Err(error) = archive.store(path, name, SystemTime::now()) {
        tracing::error!(%error, "an image could not be archived and stays where it is");
    }
}

fn tidy(archive: &mut Archive, journal: &Journal) {
    match archive.tidy() {
        Ok(kept) if kept.deleted > 0 => tracing::info!(deleted = kept.deleted, "the oldest images were deleted"),
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "the archive could not be tidied"),
    }
    loop {
        match journal.prune(now_unix_ms()) {
            Ok(pruned) if pruned.more => {}
            Ok(_) => return,
            Err(error) => return tracing::warn!(%error, "old verdicts stay for now"),
        }
    }
}
