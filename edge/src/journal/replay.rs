//! Follows the events of bundles beside the rows, and checks that rows and events agree.
//!
//! | what | must hold |
//! |---|---|
//! | a row with an offset | its bundle is running, and the offset is the one stored for this bundle and for the model of the row |
//! | a PASS of a bundle | the bundle is running. The row has the stored offset, unless the model needs no reference parts |
//! | a REFERENCE_CONFIRMED | its row is in the running bundle, is a REJECT by its score at worst, and has the same part, model, logit and whitened features. A row that retention removed can't be compared |
//! | an OFFSET | its parts are confirmed parts of the running bundle, as many as the bundle needs |

use super::bad_row::{Stop, bad, bad_or_unreadable};
use super::event::{EventKind, EventRow};
use super::figures::{self, ConfirmedFigures, OffsetFigures, StartedFigures};
use super::form::Schema;
use super::values::stored;
use super::verdict_row::VerdictRow;
use super::{columns, event_columns};
use cellgate_models::digest::Digest;
use cellgate_models::policy::{Reason, Verdict};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::{BTreeSet, HashMap};

/// The running bundle at one place between the rows.
#[derive(Debug, Default)]
pub(super) struct BundleReplay(Option<ReplayedBundle>);

/// A bundle, as far as its events tell.
#[derive(Debug)]
struct ReplayedBundle {
    number: u32,
    /// The model that judged when the bundle was started.
    model: Option<Digest>,
    /// How many reference parts the bundle needs; 0 if that model was trained without reference parts.
    needed: u32,
    /// For each model that judged parts of the bundle: what the events say. The logits of one model mean nothing to another.
    by_model: HashMap<Option<Digest>, Reference>,
}

/// The reference parts of a bundle.
#[derive(Debug, Default)]
struct Reference {
    /// The rows of the confirmed parts.
    confirmed: BTreeSet<u64>,
    /// The offset, if it was stored and the guard accepted the reference parts.
    offset: Option<f64>,
}

impl BundleReplay {
    /// Takes the next event of the journal.
    ///
    /// # Errors
    /// The event does not agree with the rows and events before it.
    pub(super) fn event(&mut self, connection: &Connection, event: &EventRow) -> Result<(), Stop> {
        let place = format!("event {}", event.number);
        let is = |kind: EventKind| event.kind == kind.name();
        if is(EventKind::BundleStarted) {
            let StartedFigures { reference_parts, .. } = read(event, &place)?;
            let (number, model) = (event.bundle, event.model);
            self.0 = Some(ReplayedBundle { number, model, needed: reference_parts, by_model: HashMap::new() });
            return Ok(());
        }
        if is(EventKind::BundleEnded) {
            // The start of the bundle may be missing: the journal failed while it was stored, and then worked again.
            self.0 = self.0.take().filter(|running| running.number != event.bundle);
            return Ok(());
        }
        if !(is(EventKind::ReferenceConfirmed) || is(EventKind::Offset)) {
            return Ok(());
        }
        let Some(running) = self.0.as_mut().filter(|running| running.number == event.bundle) else {
            let (kind, bundle) = (&event.kind, event.bundle);
            return Err(bad(place, format!("found {kind} of bundle {bundle}, which is not running")));
        };
        let reference = running.by_model.entry(event.model).or_default();
        if is(EventKind::ReferenceConfirmed) {
            let figures: ConfirmedFigures = read(event, &place)?;
            check_confirmed(connection, event, &figures, &place)?;
            reference.confirmed.insert(figures.seq);
            return Ok(());
        }
        let figures: OffsetFigures = read(event, &place)?;
        if let Some(part) = figures.parts.iter().find(|part| !reference.confirmed.contains(part)) {
            return Err(bad(place, format!("names row {part}, which is not confirmed as a reference part")));
        }
        if figures.parts.len() < running.needed as usize {
            let (found, expected) = (figures.parts.len(), running.needed);
            return Err(bad(place, format!("found {found} reference parts, expected at least {expected}")));
        }
        reference.offset = figures.offset;
        Ok(())
    }

    /// Checks the next row of form 2.
    ///
    /// # Errors
    /// What was found and expected.
    pub(super) fn row(&self, row: &VerdictRow) -> Result<(), String> {
        let (bundle, entry) = (row.trigger.bundle, &row.entry);
        let offset = entry.rule.map_or(0.0, |rule| rule.offset);
        let is_pass = bundle != 0 && entry.verdict == Verdict::Pass;
        if offset == 0.0 && !is_pass {
            return Ok(());
        }
        let Some(running) = self.0.as_ref().filter(|running| running.number == bundle) else {
            let verdict = entry.verdict;
            return Err(format!("found {verdict} with the offset {offset} in bundle {bundle}, which is not running"));
        };
        match running.by_model.get(&entry.model).and_then(|reference| reference.offset) {
            Some(expected) if expected == offset => Ok(()),
            Some(expected) => {
                Err(format!("found the offset {offset}, expected {expected}, which is stored for bundle {bundle}"))
            }
            // Another model than that of the start may be one that needs no reference parts.
            None if offset == 0.0 && (running.needed == 0 || running.model != entry.model) => Ok(()),
            None => {
                let verdict = entry.verdict;
                Err(format!("found {verdict} with the offset {offset} before an offset was stored for bundle {bundle}"))
            }
        }
    }
}

/// Checks a confirmation against the row that it names.
fn check_confirmed(
    connection: &Connection,
    event: &EventRow,
    figures: &ConfirmedFigures,
    place: &str,
) -> Result<(), Stop> {
    let seq = figures.seq;
    let sql = format!("SELECT {} FROM verdict WHERE seq = ?1", columns::names(Schema::Two));
    let row = connection
        .query_row(&sql, [stored(seq)], columns::record)
        .optional()
        .map_err(|error| bad_or_unreadable(error, format!("row {seq}")))?;
    let Some(row) = row else { return Ok(()) };
    let entry = &row.entry;
    let features = entry.features.as_ref().map(super::RowFeatures::features);
    let what = if seq > event.newest_seq || row.trigger.bundle != event.bundle {
        "was not judged in this bundle before"
    } else if entry.verdict == Verdict::Reject && entry.reason != Reason::ScoreFromReject.name() {
        "is a REJECT, but not by its score"
    } else if entry.model != event.model {
        "was judged by another model"
    } else if row.trigger.part != figures.part {
        "has another part"
    } else if entry.raw_logit.map(f32::to_bits) != Some(figures.raw_logit.to_bits()) {
        "has another logit"
    } else if features.is_none() || features != figures.features() {
        "has other whitened features"
    } else {
        return Ok(());
    };
    Err(bad(place, format!("confirms row {seq}, which {what}")))
}

/// The figures of an event of a kind that is known.
fn read<F: serde::de::DeserializeOwned>(event: &EventRow, place: &str) -> Result<F, Stop> {
    figures::parse(event).map_err(|error| bad(place, format!("column figures: {error}")))
}

/// All events in order.
pub(super) fn events_sql() -> String {
    format!("SELECT {} FROM event ORDER BY number", event_columns::names())
}

#[cfg(test)]
mod tests;
