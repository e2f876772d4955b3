//! Writes the log lines about verdicts.

use crate::journal::figures::{self, ConfirmedFigures, OffsetFigures, StartedFigures};
use crate::journal::{self, EventKind, EventRow, VerdictEntry, VerdictRow};
use cellgate_protocol::reason::ReasonCode;
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

/// Logs that the PLC's gate did not follow a verdict.
pub(super) fn gate_differs(row: &VerdictRow, gate: ReasonCode) {
    let (entry, part) = (&row.entry, row.trigger.part);
    let VerdictEntry { verdict, reason, .. } = entry;
    tracing::warn!(
        event = "gate_differs",
        seq = row.seq, part, %verdict, reason, %gate,
        "the PLC's gate decided on the part with another reason than the verdict's"
    );
}

/// Logs a stored event of a bundle.
pub(super) fn bundle_event(event: &EventRow) {
    let EventRow { bundle, who, why, .. } = event;
    match EventKind::ALL.into_iter().find(|kind| kind.name() == event.kind) {
        Some(EventKind::BundleStarted) => {
            let reference_parts = figures::read(event).map(|figures: StartedFigures| figures.reference_parts);
            tracing::info!(event = "bundle_started", bundle, reference_parts, who, why, "the bundle started");
        }
        Some(EventKind::ReferenceConfirmed) => {
            let (seq, part) = figures::read(event).map(|figures: ConfirmedFigures| (figures.seq, figures.part)).unzip();
            tracing::info!(event = "reference_confirmed", bundle, seq, part, who, "a reference part is confirmed");
        }
        Some(EventKind::Offset) => match figures::read(event) {
            Some(OffsetFigures { offset: Some(offset), .. }) => {
                tracing::info!(
                    event = "bundle_offset",
                    bundle,
                    offset,
                    why,
                    "parts are judged with the bundle's offset"
                );
            }
            _ => tracing::warn!(
                event = "bundle_refused",
                bundle,
                why,
                "the reference parts were refused: no part of the bundle passes until it is started anew"
            ),
        },
        Some(EventKind::BundleEnded) => tracing::info!(event = "bundle_ended", bundle, who, why, "the bundle ended"),
        None => {}
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
