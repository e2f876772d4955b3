//! Service: what is left to do when a part is done: images to the archive, old images and old verdicts away. No verdict needs
//! it, and it can't hold one up.

use super::liveness::{Liveness, Worker};
use super::messages::ToArchiver;
use super::service::Service;
use super::shared::Shared;
use crate::acquire::{Archive, ArchiveOutcome, Change, ImageFile, Unjudged, unjudged_name};
use crate::journal::{Journal, now_unix_ms};
use crate::metrics::Metrics;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

/// Verdicts of the last 7 days stay, whatever is configured.
pub(super) const PROTECT_DAYS: u32 = 7;
/// How often archive and journal are kept to their limits.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How long the archiver waits for a message before it looks whether it is to return.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// What one message may take until the archiver counts as stuck, which is then logged.
const MAX_MESSAGE_TIME: Duration = Duration::from_secs(30);
/// Images that could not be archived and are tried again, at most; the oldest are given up.
const MAX_OWED: usize = 10_000;

/// The service that moves images to the archive.
pub(super) struct Archiver {
    pub(super) archive: Archive,
    pub(super) journal: Arc<Journal>,
    pub(super) shared: Arc<Shared>,
    pub(super) messages: Receiver<ToArchiver>,
}

impl Service for Archiver {
    fn name(&self) -> &'static str {
        Worker::Archiver.name()
    }

    /// Runs until it is shut down and every message is done.
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let Shared { liveness, metrics, .. } = &*shared;
        let mut tidied: Option<Instant> = None;
        let mut is_clock_doubted = false;
        let mut owed = VecDeque::new();
        loop {
            liveness.busy(Worker::Archiver, MAX_MESSAGE_TIME);
            match self.messages.recv_timeout(POLL_INTERVAL) {
                Ok(message) => self.receive(message, &mut owed),
                Err(RecvTimeoutError::Timeout) if !shared.is_shut_down() => {}
                Err(_) => return,
            }
            owed.drain(..owed.len().saturating_sub(MAX_OWED));
            if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
                tidied = Some(Instant::now());
                store_owed(&mut self.archive, metrics, liveness, &mut owed);
                tidy(&mut self.archive, metrics);
                prune(&self.journal, metrics, &mut is_clock_doubted);
            }
        }
    }
}

impl Archiver {
    fn receive(&mut self, message: ToArchiver, owed: &mut VecDeque<Move>) {
        let metrics = &self.shared.metrics;
        match message {
            ToArchiver::Archive { image, name } => {
                owed.extend(store(&mut self.archive, metrics, Move { image, name, why: None }));
            }
            ToArchiver::SetAside { images, why } => {
                for image in images {
                    let name = unjudged_name(&image.path, SystemTime::now());
                    owed.extend(store(&mut self.archive, metrics, Move { image, name, why: Some(why) }));
                }
            }
        }
    }
}

/// An image on its way to the archive.
struct Move {
    image: ImageFile,
    /// Its name there.
    name: String,
    /// Why it was not judged, if it was not.
    why: Option<Unjudged>,
}

/// Moves an image to the archive; gives it back where that failed.
fn store(archive: &mut Archive, metrics: &Metrics, image: Move) -> Option<Move> {
    let Move { image: file, name, why } = &image;
    let stored = archive.store(file, name, SystemTime::now());
    let path = file.path.display();
    match (&stored, why) {
        // The watcher reports whatever is at the path of an image that was not judged and is gone.
        (Ok(ArchiveOutcome::Moved), None)
        | (Err(_), None)
        | (Ok(ArchiveOutcome::Gone | ArchiveOutcome::Changed(_)), Some(_)) => {}
        (Ok(ArchiveOutcome::Moved | ArchiveOutcome::MovedUnjudged) | Err(_), Some(why)) => {
            metrics.parts.set_aside(*why, 1);
            tracing::warn!(image = %path, %why, "the image is set aside and not judged");
        }
        (Ok(ArchiveOutcome::MovedUnjudged), None) => tracing::warn!(
            image = %path, name,
            "an image of a recorded part is in the archive as unjudged, since {}", Change::Attributes
        ),
        (Ok(ArchiveOutcome::Gone), None) => {
            tracing::warn!(image = %path, name, "a judged image is gone: not in the archive");
        }
        (Ok(ArchiveOutcome::Changed(change)), None) => tracing::warn!(
            image = %path, name,
            "a judged image is not in the archive, since {change}; the scanner should give each image a fresh name"
        ),
    }
    metrics.store.archived(archive.bytes());
    let error = stored.err()?;
    metrics.store.archive_failed();
    tracing::error!(%error, "an image could not be archived and stays where it is; it is tried again every minute");
    Some(image)
}

/// Tries those again that could not be archived, until one can't: what is wrong with one mostly is with all.
fn store_owed(archive: &mut Archive, metrics: &Metrics, liveness: &Liveness, owed: &mut VecDeque<Move>) {
    for _ in 0..owed.len() {
        liveness.busy(Worker::Archiver, MAX_MESSAGE_TIME);
        let Some(image) = owed.pop_front() else { break };
        if archive.store(&image.image, &image.name, SystemTime::now()).is_err() {
            metrics.store.archive_failed();
            owed.push_back(image);
            break;
        }
    }
    metrics.store.archived(archive.bytes());
}

fn tidy(archive: &mut Archive, metrics: &Metrics) {
    match archive.tidy() {
        Ok(kept) => {
            metrics.store.tidied(&kept);
            if let Some(disk) = kept.small_disk {
                metrics.store.archive_failed();
                tracing::error!(
                    disk_mib = disk >> 20,
                    event = "archive_disk_too_small",
                    "the archive's disk is smaller than min_free_mib, so no image is deleted for it; expected the disk that was \
                     there at the start: mount it again, or lower min_free_mib"
                );
            }
            if kept.deleted > 0 && kept.bytes == 0 {
                tracing::warn!(
                    deleted = kept.deleted,
                    event = "archive_emptied",
                    "every image in the archive was deleted: archive_quota_mib or min_free_mib leaves no room for one"
                );
            } else if kept.deleted > 0 {
                tracing::info!(deleted = kept.deleted, "the oldest images were deleted");
            }
        }
        Err(error) => {
            metrics.store.archive_failed();
            tracing::error!(%error, "the archive could not be tidied");
        }
    }
}

/// `doubted`: that the clock is not believed was logged already.
fn prune(journal: &Journal, metrics: &Metrics, doubted: &mut bool) {
    loop {
        match journal.prune(now_unix_ms()) {
            Ok(pruned) => {
                metrics.store.pruned(pruned.rows);
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
    use crate::appliance::liveness::Clock;
    use crate::metrics::About;
    use std::fs;

    #[test]
    fn what_could_not_be_archived_is_tried_again() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("archive");
        let mut archive = Archive::open(&root, 1, 0).unwrap();
        let about = About { device: 1, model: String::new(), profile: "native" };
        let metrics = Metrics::new(&about, Duration::from_secs(5), &[]).unwrap();
        fs::remove_dir(&root).unwrap();
        fs::write(&root, "in the way").unwrap();
        let mut owed = VecDeque::new();
        for part in ["1", "2"] {
            let path = place.path().join(part).with_extension("tif");
            fs::write(&path, part).unwrap();
            let name = format!("000000000{part}-{part}-PASS");
            owed.extend(store(&mut archive, &metrics, Move { image: ImageFile::at(path), name, why: None }));
        }
        let liveness = Liveness::new(Clock::start());
        store_owed(&mut archive, &metrics, &liveness, &mut owed);
        assert_eq!(owed.len(), 2);
        fs::remove_file(&root).unwrap();
        store_owed(&mut archive, &metrics, &liveness, &mut owed);
        assert_eq!((owed.len(), archive.bytes()), (0, 2));
        assert!(!place.path().join("1.tif").exists() && !place.path().join("2.tif").exists());
    }
}
