//! Journal, archive, disk.

use super::make::{Follower, counter, follower, gauge};
use crate::acquire::Kept;
use crate::journal::JournalHealth;
use prometheus::{IntCounter, IntGauge, Registry, Result};

/// Journal, archive, disk.
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
                "Verdicts that the PLC has not acknowledged, at most 1000 are kept to be told again.",
            )?,
            failures: follower(registry, "cellgate_journal_failures_total", "Errors of the journal; each closes it.")?,
            reopenings: follower(
                registry,
                "cellgate_journal_reopenings_total",
                "Times that the journal was opened and verified again after an error.",
            )?,
            archive: gauge(registry, "cellgate_archive_bytes", "Bytes of the images in the archive.")?,
            free: gauge(
                registry,
                "cellgate_archive_free_bytes",
                "Bytes free on the archive's disk; as of the last tidying, every minute.",
            )?,
            deleted: counter(
                registry,
                "cellgate_archive_deleted_images_total",
                "Images that were deleted to keep quota and free space.",
            )?,
            archive_failures: counter(
                registry,
                "cellgate_archive_failures_total",
                "Images that could not be archived, and tidyings that failed.",
            )?,
        })
    }

    /// The journal held so many verdicts when it was opened.
    pub fn opened(&self, rows: u64) {
        self.rows.set(signed(rows));
    }

    /// A verdict was added.
    pub fn committed(&self) {
        self.rows.inc();
    }

    /// The oldest verdicts were removed.
    pub fn pruned(&self, rows: u64) {
        self.rows.sub(signed(rows));
    }

    /// How the journal is, and how many verdicts the PLC has not acknowledged.
    pub fn set_journal(&self, health: &JournalHealth, unacknowledged: usize) {
        self.ready.set(i64::from(health.ready));
        self.failures.follow(health.failures);
        self.reopenings.follow(health.reopenings);
        self.unacknowledged.set(signed(unacknowledged as u64));
    }

    /// The archive holds so many bytes.
    pub fn archived(&self, bytes: u64) {
        self.archive.set(signed(bytes));
    }

    /// The archive was tidied.
    pub fn tidied(&self, kept: &Kept) {
        self.archive.set(signed(kept.bytes));
        self.free.set(signed(kept.free));
        self.deleted.inc_by(kept.deleted);
    }

    /// An image could not be archived, or the archive not be tidied.
    pub fn archive_failed(&self) {
        self.archive_failures.inc();
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
