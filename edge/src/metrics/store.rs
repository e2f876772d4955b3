//! Creates and sets the metrics of the journal, the archive and its disk.

use super::make::{Follower, counter, follower, gauge};
use crate::acquire::Kept;
use crate::journal::JournalHealth;
use prometheus::{IntCounter, IntGauge, Registry, Result};

/// The metrics of the journal, the archive and its disk.
#[derive(Debug)]
pub struct StoreFigures {
    ready: IntGauge,
    rows: IntGauge,
    unacknowledged: IntGauge,
    failures: Follower,
    reopenings: Follower,
    archive: IntGauge,
    free: IntGauge,
    deleted: IntCounter,
    archive_failures: IntCounter,
}

impl StoreFigures {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        Ok(Self {
            ready: gauge(registry, "cellgate_journal_ready", "Whether the journal can store: 0 or 1.")?,
            rows: gauge(registry, "cellgate_journal_rows", "Verdicts in the journal.")?,
            unacknowledged: gauge(
                registry,
                "cellgate_verdicts_unacknowledged",
                "Verdicts that the PLC has not acknowledged. At most 1000 are kept for sending again.",
            )?,
            failures: follower(
                registry,
                "cellgate_journal_failures_total",
                "Errors of the journal. Each error closes it.",
            )?,
            reopenings: follower(
                registry,
                "cellgate_journal_reopenings_total",
                "Times that the journal was opened and verified again after an error.",
            )?,
            archive: gauge(registry, "cellgate_archive_bytes", "Bytes of the images and maps in the archive.")?,
            free: gauge(
                registry,
                "cellgate_archive_free_bytes",
                "Free bytes on the archive's disk, updated every minute.",
            )?,
            deleted: counter(
                registry,
                "cellgate_archive_deleted_images_total",
                "Images deleted to keep within the quota and the free space.",
            )?,
            archive_failures: counter(
                registry,
                "cellgate_archive_failures_total",
                "Images and maps that could not be archived, and failed cleanups of the archive.",
            )?,
        })
    }

    /// Sets the number of verdicts in the journal when it was opened.
    pub fn opened(&self, rows: u64) {
        self.rows.set(signed(rows));
    }

    /// Counts a verdict that was added to the journal.
    pub fn committed(&self) {
        self.rows.inc();
    }

    /// Notes that the oldest `rows` verdicts were removed.
    pub fn pruned(&self, rows: u64) {
        self.rows.sub(signed(rows));
    }

    /// Takes over the journal's counts and whether it is ready. Sets the number of verdicts that the PLC has not acknowledged.
    pub fn set_journal(&self, health: &JournalHealth, unacknowledged: usize) {
        self.ready.set(i64::from(health.ready));
        self.failures.follow(health.failures);
        self.reopenings.follow(health.reopenings);
        self.unacknowledged.set(signed(unacknowledged as u64));
    }

    /// Sets the bytes of the images in the archive.
    pub fn archived(&self, bytes: u64) {
        self.archive.set(signed(bytes));
    }

    /// Takes over the result of a cleanup of the archive.
    pub fn tidied(&self, kept: &Kept) {
        self.archive.set(signed(kept.bytes));
        self.free.set(signed(kept.free));
        self.deleted.inc_by(kept.deleted);
    }

    /// Counts an image that could not be archived, or a failed cleanup of the archive.
    pub fn archive_failed(&self) {
        self.archive_failures.inc();
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
