//! Writes the log lines about verdicts.

use crate::journal::{self, VerdictEntry};
use cellgate_protocol::to_plc::Origin;

/// Logs a stored verdict, as a warning if it has no score.
pub(super) fn judged(committed: &journal::CommitReceipt) {
    let row = committed.record();
    let (entry, part) = (&row.entry, row.trigger.part);
    let VerdictEntry { verdict, reason, score, image_name: image, age_ms, detail, .. } = entry;
    let journal_us = committed.duration().as_micros();
    match score {
        Some(score) => tracing::info!(
            event = "judged",
            seq = row.seq, part, image, %verdict, reason, score, age_ms, journal_us,
            "verdict stored"
        ),
        None => tracing::warn!(
            event = "judged",
            seq = row.seq, part, image, %verdict, reason, detail, age_ms, journal_us,
            "verdict stored"
        ),
    }
}

/// Why a verdict is information only.
pub(super) fn why_record(origin: Origin) -> &'static str {
    match origin {
        Origin::LATE => "the part's deadline had passed when the verdict was stored",
        Origin::UNHEALTHY => "it is a PASS, and a worker was stuck, the PLC was silent or the appliance was not ready",
        _ => "the PLC does not wait for it",
    }
}
