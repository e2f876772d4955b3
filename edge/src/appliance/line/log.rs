//! What the line logs about verdicts.

use crate::journal::{self, VerdictEntry};
use cellgate_protocol::to_plc::Origin;

/// A line of the log for each row; a warning where there is no score.
pub(super) fn judged(committed: &journal::CommitReceipt) {
    let row = committed.record();
    let (entry, part) = (&row.entry, row.trigger.part);
    let VerdictEntry { verdict, reason, score, image_name: image, age_ms, detail, .. } = entry;
    let journal_us = committed.duration().as_micros();
    match score {
        Some(score) => {
            tracing::info!(seq = row.seq, part, image, %verdict, reason, score, age_ms, journal_us, "judged");
        }
        None => tracing::warn!(seq = row.seq, part, image, %verdict, reason, detail, age_ms, journal_us, "judged"),
    }
}

/// Why a verdict is information only.
pub(super) fn why_record(origin: Origin) -> &'static str {
    match origin {
        Origin::LATE => "the part's deadline was over when it was stored",
        Origin::UNHEALTHY => "a PASS, and a worker stood still, the PLC was silent, or the appliance was not ready",
        _ => "there is nothing to act on",
    }
}
