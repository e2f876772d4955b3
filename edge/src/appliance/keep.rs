//! Thread: what is left to do when a part is done. Nothing here is needed for a verdict, and nothing here can hold one up.

use super::beat::{Beats, Worker};
use super::run::{PROTECT_DAYS, Shared};
use crate::acquire::{Archive, Change, ImageFile, Stored, Unjudged, unjudged_name};
use crate::journal::{Journal, now_unix_ms};
use crate::metrics::Metrics;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

/// How often the archive and the journal are kept to their limits.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// What one chore may take until this thread counts as stuck, which is then logged.
const CHORE_MOST: Duration = Duration::from_secs(30);
/// Images that could not be archived and are tried again, at most; the oldest are given up.
const MOST_OWED: usize = 10_000;

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
    let mut owed = VecDeque::new();
    loop {
        beats.busy(Worker::Keep, CHORE_MOST);
        match chores.recv_timeout(Duration::from_secs(1)) {
            Ok(Chore::Archive { image, name }) => {
                owed.extend(store(&mut archive, figures, Move { image, name, why: None }));
            }
            Ok(Chore::SetAside { images, why }) => {
                for image in images {
                    let name = unjudged_name(&image.path, SystemTime::now());
                    owed.extend(store(&mut archive, figures, Move { image, name, why: Some(why) }));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        owed.drain(..owed.len().saturating_sub(MOST_OWED));
        if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            tidied = Some(Instant::now());
            store_owed(&mut archive, figures, beats, &mut owed);
            tidy(&mut archive, figures);
            prune(journal, figures, &mut doubted);
        }
    }
}

/// An image on its way to the archive.
struct Move {
    image: ImageFile,
    /// Its name there.
    name: String,
    /// Why it was not judged; none where it was.
    why: Option<Unjudged>,
}

/// Moves an image to the archive; gives it back where that failed.
fn store(archive: &mut Archive, figures: &Metrics, image: Move) -> Option<Move> {
    let Move { image: file, name, why } = &image;
    let stored = archive.store(file, name, SystemTime::now());
    let path = file.path.display();
    match (&stored, why) {
        // What is not judged and not there any more is told of by itself, if it is an image again.
        (Ok(Stored::Moved), None) | (Err(_), None) | (Ok(Stored::Gone | Stored::Changed(_)), Some(_)) => {}
        (Ok(Stored::Moved | Stored::MovedUnjudged) | Err(_), Some(why)) => {
            figures.parts.set_aside(*why, 1);
            tracing::warn!(image = %path, %why, "the image is set aside and not judged");
        }
        (Ok(Stored::MovedUnjudged), None) => tracing::warn!(
            image = %path, name,
            "an image of a recorded part is in the archive as unjudged, since {}", Change::Attributes
        ),
        (Ok(Stored::Gone), None) => tracing::warn!(image = %path, name, "a judged image is gone: not in the archive"),
        (Ok(Stored::Changed(change)), None) => tracing::warn!(
            image = %path, name,
            "a judged image is not in the archive, since {change}; the scanner should give each image a fresh name"
        ),
    }
    figures.store.archived(archive.bytes());
    let error = stored.err()?;
    figures.store.archive_failed();
    tracing::error!(%error, "an image could not be archived and stays where it is; it is tried again every minute");
    Some(image)
}

/// Tries those again that could not be archived, until one can't: what is wrong with one mostly is with all.
fn store_owed(archive: &mut Archive, figures: &Metrics, beats: &Beats, owed: &mut VecDeque<Move>) {
    for _ in 0..owed.len() {
        beats.busy(Worker::Keep, CHORE_MOST);
        let Some(image) = owed.pop_front() else { break };
        if archive.store(&image.image, &image.name, SystemTime::now()).is_err() {
            figures.store.archive_failed();
            owed.push_back(image);
            break;
        }
    }
    figures.store.archived(archive.bytes());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::beat::Clock;
    use crate::metrics::About;
    use std::fs;

    #[test]
    fn what_could_not_be_archived_is_tried_again() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("archive");
        let mut archive = Archive::open(&root, 1, 0).unwrap();
        let about = About { device: 1, bundle: String::new(), profile: "native" };
        let figures = Metrics::new(&about, Duration::from_secs(5), &[]).unwrap();
        fs::remove_dir(&root).unwrap();
        fs::write(&root, "in the way").unwrap();
        let mut owed = VecDeque::new();
        for part in ["1", "2"] {
            let path = place.path().join(part).with_extension("tif");
            fs::write(&path, part).unwrap();
            let name = format!("000000000{part}-{part}-PASS");
            owed.extend(store(&mut archive, &figures, Move { image: ImageFile::at(path), name, why: None }));
        }
        let beats = Beats::new(Clock::start());
        store_owed(&mut archive, &figures, &beats, &mut owed);
        assert_eq!(owed.len(), 2);
        fs::remove_file(&root).unwrap();
        store_owed(&mut archive, &figures, &beats, &mut owed);
        assert_eq!((owed.len(), archive.bytes()), (0, 2));
        assert!(!place.path().join("1.tif").exists() && !place.path().join("2.tif").exists());
    }
}
