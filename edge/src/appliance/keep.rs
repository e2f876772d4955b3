//! Thread: what is left to do when a part is done. Nothing here is needed for a verdict, and nothing here can hold one up.

use super::beat::Worker;
use super::run::{PROTECT_DAYS, Shared};
use crate::acquire::{Archive, ArchiveError, ImageFile, Stored, Unjudged};
use crate::journal::{Journal, now_unix_ms};
use crate::metrics::Metrics;
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
        image: ImageFile,
        /// Its record's number in the journal, and its verdict.
        name: String,
    },
    /// Images that nobody will judge go there too, marked.
    SetAside {
        /// Their files.
        images: Vec<ImageFile>,
        /// Why.
        why: Unjudged,
    },
}

/// Runs until the last sender is gone.
pub(super) fn run(mut archive: Archive, journal: &Arc<Journal>, shared: &Shared, chores: &Receiver<Chore>) {
    let Shared { beats, metrics: figures, .. } = shared;
    let mut tidied: Option<Instant> = None;
    let mut doubted = false;
    loop {
        beats.busy(Worker::Keep, CHORE_MOST);
        match chores.recv_timeout(Duration::from_secs(1)) {
            Ok(Chore::Archive { image, name }) => match store(&mut archive, figures, &image, &name) {
                Ok(Stored::Moved) | Err(_) => {}
                Ok(Stored::Gone) => {
                    tracing::warn!(image = %image.path.display(), name, "a judged image is gone and not in the archive");
                }
                Ok(Stored::Changed) => tracing::warn!(
                    image = %image.path.display(), name,
                    "a judged image is not in the archive: its file was replaced or written to since; the scanner should give \
                     each image a fresh name"
                ),
            },
            Ok(Chore::SetAside { images, why }) => {
                for image in images {
                    let stem = image.path.file_stem().unwrap_or_default().to_string_lossy();
                    let name = format!("unjudged-{}-{stem}", now_unix_ms());
                    // What is gone or another image by now is told of by itself.
                    if !matches!(store(&mut archive, figures, &image, &name), Ok(Stored::Gone | Stored::Changed)) {
                        figures.parts.set_aside(why, 1);
                        tracing::warn!(image = %image.path.display(), %why, "the image is set aside and not judged");
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            tidied = Some(Instant::now());
            tidy(&mut archive, figures);
            prune(journal, figures, &mut doubted);
        }
    }
}

fn store(archive: &mut Archive, figures: &Metrics, image: &ImageFile, name: &str) -> Result<Stored, ArchiveError> {
    let stored = archive.store(image, name, SystemTime::now()).inspect_err(|error| {
        figures.store.archive_failed();
        tracing::error!(%error, "an image could not be archived and stays where it is");
    });
    figures.store.archived(archive.bytes());
    stored
}

fn tidy(archive: &mut Archive, figures: &Metrics) {
    match archive.tidy() {
        Ok(kept) => {
            figures.store.tidied(&kept);
            if kept.deleted > 0 {
                tracing::info!(deleted = kept.deleted, "the oldest images were deleted");
            }
        }
        Err(error) => {
            figures.store.archive_failed();
            tracing::error!(%error, "the archive could not be tidied");
        }
    }
}

/// `doubted`: that the clock is not believed was said already.
fn prune(journal: &Journal, figures: &Metrics, doubted: &mut bool) {
    loop {
        match journal.prune(now_unix_ms()) {
            Ok(pruned) => {
                figures.store.pruned(pruned.rows);
                if pruned.clock_doubted && !*doubted {
                    tracing::warn!(
                        "old verdicts stay: the clock does not follow from the newest ones; check the clock. After a \
                         standstill of more than {PROTECT_DAYS} days that ends by itself {PROTECT_DAYS} days later"
                    );
                }
                *doubted = pruned.clock_doubted;
                if !pruned.more {
                    return;
                }
            }
            Err(error) => return tracing::warn!(%error, "old verdicts stay for now"),
        }
    }
}
