//! Service: moves images to the archive, writes their maps, and deletes old images and old verdicts. No verdict depends on this
//! service or waits for it.

use super::liveness::{Liveness, Worker};
use super::messages::ToArchiver;
use super::service::Service;
use super::shared::Shared;
use crate::acquire::{
    Archive, ArchiveError, ArchiveOutcome, Change, ImageFile, ReferenceImages, Unjudged, unjudged_name,
};
use crate::journal::{Journal, now_unix_ms};
use crate::metrics::Metrics;
use crate::program::ProgramFile;
use cellgate_models::evidence::MapPicture;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

/// Verdicts of the last 7 days are kept, even if the configuration asks for fewer days.
pub(super) const PROTECT_DAYS: u32 = 7;
/// How often the limits of archive and journal are enforced.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How long the archiver waits for a message before it checks for shutdown.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long one message may take before the archiver counts as stuck. A stuck archiver is only logged: verdicts continue.
const MAX_MESSAGE_TIME: Duration = Duration::from_secs(30);
/// The most images that wait for another attempt to move them. Beyond this number the oldest are dropped from the list, and their
/// files stay in the scanner's folder.
const MAX_RETRIES: usize = 10_000;

/// The service that moves images to the archive.
pub(super) struct Archiver {
    pub(super) archive: Archive,
    pub(super) journal: Arc<Journal>,
    pub(super) shared: Arc<Shared>,
    pub(super) messages: Receiver<ToArchiver>,
    /// Whether the map of a judged image is written beside it.
    pub(super) archive_maps: bool,
    /// The file of the running program.
    pub(super) program: Option<ProgramFile>,
}

impl Service for Archiver {
    fn name(&self) -> &'static str {
        Worker::Archiver.name()
    }

    /// Runs until it is shut down and the queue is empty.
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let Shared { liveness, metrics, .. } = &*shared;
        let mut tidied: Option<Instant> = None;
        let (mut is_clock_doubted, mut newer_waits) = (false, false);
        let mut retries = VecDeque::new();
        loop {
            liveness.busy(Worker::Archiver, MAX_MESSAGE_TIME);
            match self.messages.recv_timeout(POLL_INTERVAL) {
                Ok(message) => self.receive(message, &mut retries),
                Err(RecvTimeoutError::Timeout) if !shared.is_shut_down() => {}
                Err(_) => return,
            }
            retries.drain(..retries.len().saturating_sub(MAX_RETRIES));
            if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
                tidied = Some(Instant::now());
                retry(&mut self.archive, metrics, liveness, &mut retries);
                tidy(&mut self.archive, metrics, || shared.reference_images());
                prune(&self.journal, metrics, &mut is_clock_doubted);
                look_for_newer(self.program.as_ref(), metrics, &mut newer_waits);
            }
        }
    }
}

impl Archiver {
    fn receive(&mut self, message: ToArchiver, retries: &mut VecDeque<Move>) {
        let metrics = &self.shared.metrics;
        match message {
            ToArchiver::Archive { image, name, map } => {
                let picture = map.filter(|_| self.archive_maps).as_ref().and_then(MapPicture::new);
                let map = picture.map(|picture| picture.to_png());
                retries.extend(store(&mut self.archive, metrics, Move { image, name, map, why: None }));
            }
            ToArchiver::SetAside { images, why } => {
                for image in images {
                    let name = unjudged_name(&image.path, SystemTime::now());
                    retries.extend(store(&mut self.archive, metrics, Move { image, name, map: None, why: Some(why) }));
                }
            }
        }
    }
}

/// An image that is to be moved to the archive.
struct Move {
    image: ImageFile,
    /// The image's name in the archive.
    name: String,
    /// The bytes of the PNG file with the image's map, if it is to be kept.
    map: Option<Vec<u8>>,
    /// Why the image was not judged. `None` if it was judged.
    why: Option<Unjudged>,
}

/// Says in the metrics whether the file of the running program was replaced, and in the log when it was.
fn look_for_newer(program: Option<&ProgramFile>, metrics: &Metrics, newer_waits: &mut bool) {
    let Some(program) = program else { return };
    let waited_before = std::mem::replace(newer_waits, program.is_replaced());
    metrics.device.set_newer_program_waits(*newer_waits);
    if *newer_waits && !waited_before {
        let path = program.path().display();
        tracing::warn!(
            event = "newer_program_waits",
            program = %path,
            "the program's file was replaced; the appliance goes on with the old program until it is restarted"
        );
    }
}

/// Moves an image to the archive. Returns the image if that failed, for another attempt.
fn store(archive: &mut Archive, metrics: &Metrics, image: Move) -> Option<Move> {
    let stored = move_with_map(archive, metrics, &image);
    let Move { image: file, name, why, .. } = &image;
    let path = file.path.display();
    match (&stored, why) {
        // An unjudged image that is gone or changed needs no log line: the watcher reports the file that is now at this path.
        (Ok(ArchiveOutcome::Moved), None)
        | (Err(_), None)
        | (Ok(ArchiveOutcome::Gone | ArchiveOutcome::Changed(_)), Some(_)) => {}
        (Ok(ArchiveOutcome::Moved | ArchiveOutcome::MovedUnjudged) | Err(_), Some(why)) => {
            metrics.parts.set_aside(*why, 1);
            let (why, detail) = (why.name(), why);
            tracing::warn!(event = "image_set_aside", image = %path, why, %detail, "the image is not judged");
        }
        (Ok(ArchiveOutcome::MovedUnjudged), None) => tracing::warn!(
            event = "judged_image_archived_as_unjudged",
            image = %path, name, detail = %Change::Attributes,
            "the image of a recorded part is archived as unjudged"
        ),
        (Ok(ArchiveOutcome::Gone), None) => tracing::warn!(
            event = "judged_image_gone",
            image = %path, name,
            "a judged image was not archived: the file is gone"
        ),
        (Ok(ArchiveOutcome::Changed(change)), None) => tracing::warn!(
            event = "judged_image_changed",
            image = %path, name, ?change, detail = %change,
            "a judged image was not archived; the scanner should give each image a fresh name"
        ),
    }
    metrics.store.archived(archive.bytes());
    let error = stored.err()?;
    metrics.store.archive_failed();
    tracing::error!(event = "archive_failed", %error, "the image could not be archived; next attempt within a minute");
    Some(image)
}

/// Moves an image to the archive, then writes its map beside it. A map that can't be written is logged and lost.
///
/// # Errors
/// [`ArchiveError`]: the image was not moved.
fn move_with_map(archive: &mut Archive, metrics: &Metrics, image: &Move) -> Result<ArchiveOutcome, ArchiveError> {
    let (Move { image: file, name, map, .. }, time) = (image, SystemTime::now());
    let outcome = archive.store(file, name, time)?;
    if let (ArchiveOutcome::Moved, Some(png)) = (outcome, map)
        && let Err(error) = archive.store_map(name, png, time)
    {
        metrics.store.archive_failed();
        tracing::error!(event = "map_not_archived", name, %error, "the image is archived without its map");
    }
    Ok(outcome)
}

/// Tries to archive the images of `retries` again. Stops at the first failure, because its cause mostly affects all
/// images.
fn retry(archive: &mut Archive, metrics: &Metrics, liveness: &Liveness, retries: &mut VecDeque<Move>) {
    for _ in 0..retries.len() {
        liveness.busy(Worker::Archiver, MAX_MESSAGE_TIME);
        let Some(image) = retries.pop_front() else { break };
        if move_with_map(archive, metrics, &image).is_err() {
            metrics.store.archive_failed();
            retries.push_back(image);
            break;
        }
    }
    metrics.store.archived(archive.bytes());
}

/// Enforces the limits of the archive. `reference` gives the images that are kept.
fn tidy(archive: &mut Archive, metrics: &Metrics, reference: impl Fn() -> ReferenceImages) {
    match archive.tidy(reference) {
        Ok(kept) => {
            metrics.store.tidied(&kept);
            if let Some(disk) = kept.small_disk {
                metrics.store.archive_failed();
                tracing::error!(
                    event = "archive_disk_too_small",
                    disk_mib = disk >> 20,
                    "the archive's disk is smaller than min_free_mib, so no image is deleted; expected the disk that was there at \
                     the start: mount it again, or lower min_free_mib"
                );
            }
            if kept.is_only_reference_left {
                metrics.store.archive_failed();
                tracing::error!(
                    event = "archive_over_limits",
                    mib = kept.bytes >> 20,
                    free_mib = kept.free >> 20,
                    "the archive has only images of the running bundle's reference parts left, which are not deleted, and still exceeds \
                     archive_quota_mib or min_free_mib: make room on the disk, raise archive_quota_mib, or end the bundle"
                );
            }
            if kept.deleted > 0 && kept.bytes == 0 {
                tracing::warn!(
                    event = "archive_emptied",
                    deleted = kept.deleted,
                    "every image in the archive was deleted: archive_quota_mib or min_free_mib leaves no room for one"
                );
            } else if kept.deleted > 0 {
                tracing::info!(event = "images_deleted", deleted = kept.deleted, "the oldest images were deleted");
            }
        }
        Err(error) => {
            metrics.store.archive_failed();
            tracing::error!(event = "archive_tidy_failed", %error, "the limits of the archive could not be enforced");
        }
    }
}

/// Deletes old verdicts. `doubted` says whether the clock was found implausible before, so that this is logged only once.
fn prune(journal: &Journal, metrics: &Metrics, doubted: &mut bool) {
    loop {
        match journal.prune(now_unix_ms()) {
            Ok(pruned) => {
                metrics.store.pruned(pruned.rows);
                if pruned.clock_doubted && !*doubted {
                    tracing::warn!(
                        event = "clock_doubted",
                        protect_days = PROTECT_DAYS,
                        "no old verdict is deleted: the clock does not fit the newest verdicts; check the clock. If the line \
                         stood still for more than protect_days, deleting resumes automatically protect_days later"
                    );
                }
                *doubted = pruned.clock_doubted;
                if !pruned.more {
                    return;
                }
            }
            Err(error) => {
                return tracing::warn!(event = "prune_failed", %error, "old verdicts could not be deleted; next attempt in a minute");
            }
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
    fn an_image_that_could_not_be_archived_is_tried_again() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("archive");
        let mut archive = Archive::open(&root, 1, 0).unwrap();
        let about = About { device: 1, model: String::new(), profile: "native" };
        let metrics = Metrics::new(&about, Duration::from_secs(5), &[]).unwrap();
        fs::remove_dir(&root).unwrap();
        fs::write(&root, "in the way").unwrap();
        let mut retries = VecDeque::new();
        for part in ["1", "2"] {
            let path = place.path().join(part).with_extension("tif");
            fs::write(&path, part).unwrap();
            let name = format!("000000000{part}-{part}-PASS");
            let map = Some(vec![0; 10]);
            retries.extend(store(&mut archive, &metrics, Move { image: ImageFile::at(path), name, map, why: None }));
        }
        let liveness = Liveness::new(Clock::start());
        retry(&mut archive, &metrics, &liveness, &mut retries);
        assert_eq!(retries.len(), 2);
        fs::remove_file(&root).unwrap();
        retry(&mut archive, &metrics, &liveness, &mut retries);
        assert_eq!((retries.len(), archive.bytes()), (0, 2 + 20), "with their maps");
        assert!(!place.path().join("1.tif").exists() && !place.path().join("2.tif").exists());
    }

    #[test]
    fn a_replaced_program_is_in_the_metrics() {
        let place = tempfile::tempdir().unwrap();
        let note = place.path().join("note");
        let about = About { device: 1, model: String::new(), profile: "native" };
        let metrics = Metrics::new(&about, Duration::from_secs(5), &[]).unwrap();
        let mut newer_waits = false;
        let mut look = |program: &ProgramFile| {
            look_for_newer(Some(program), &metrics, &mut newer_waits);
            let page = metrics.page().unwrap();
            let figure = page.lines().find_map(|line| line.strip_prefix("cellgate_newer_program_waits "));
            (figure.unwrap().to_owned(), newer_waits)
        };
        let program = ProgramFile::of_this_process().unwrap();
        assert_eq!(look(&program), ("0".to_owned(), false));
        // A file that was there before: no file has the inode 0.
        fs::write(&note, format!("0 0 {}", program.path().display())).unwrap();
        let replaced = ProgramFile::noted_in(&note).unwrap();
        assert_eq!(look(&replaced), ("1".to_owned(), true));
    }

    #[test]
    fn an_archive_with_only_reference_images_that_is_over_its_quota_counts_as_a_failure() {
        let place = tempfile::tempdir().unwrap();
        // A quota of 0.
        let mut archive = Archive::open(&place.path().join("archive"), 0, 0).unwrap();
        let about = About { device: 1, model: String::new(), profile: "native" };
        let metrics = Metrics::new(&about, Duration::from_secs(5), &[]).unwrap();
        let path = place.path().join("1.tif");
        fs::write(&path, "1").unwrap();
        let name = "0000000001-1-REVIEW".to_owned();
        assert!(
            store(&mut archive, &metrics, Move { image: ImageFile::at(path), name, map: None, why: None }).is_none()
        );
        let reference = || ReferenceImages { confirmed: [1].into(), phase_from: None };
        let figures = |metrics: &Metrics| {
            let page = metrics.page().unwrap();
            let is_figure = |line: &&str| {
                line.starts_with("cellgate_archive_failures") || line.starts_with("cellgate_archive_bytes")
            };
            page.lines().filter(is_figure).map(str::to_owned).collect::<Vec<_>>()
        };
        tidy(&mut archive, &metrics, reference);
        assert_eq!(figures(&metrics), ["cellgate_archive_bytes 1", "cellgate_archive_failures_total 1"]);
        tidy(&mut archive, &metrics, ReferenceImages::default);
        assert_eq!(figures(&metrics), ["cellgate_archive_bytes 0", "cellgate_archive_failures_total 1"]);
    }

    #[test]
    fn an_image_is_archived_without_its_map_if_that_cannot_be_written() {
        let place = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(&place.path().join("archive"), 1, 0).unwrap();
        let about = About { device: 1, model: String::new(), profile: "native" };
        let metrics = Metrics::new(&about, Duration::from_secs(5), &[]).unwrap();
        let path = place.path().join("1.tif");
        fs::write(&path, "1").unwrap();
        // A name has at most 255 bytes. The image's has 254, that of the map would have more.
        let (image, name) = (ImageFile::at(path.clone()), "1".repeat(250));
        assert!(store(&mut archive, &metrics, Move { image, name, map: Some(vec![0; 10]), why: None }).is_none());
        assert!(!path.exists() && archive.bytes() == 1);
        assert!(metrics.page().unwrap().contains("cellgate_archive_failures_total 1"));
    }
}
