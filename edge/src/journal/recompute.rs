//! Recomputes the verdict of a row from the row's own numbers, by the same code that judged the part.
//!
//! A row is consistent if:
//!
//! | row | must hold |
//! |---|---|
//! | the rule decides: the reason is one of the policy on logit and distance | reason, verdict and score follow from raw logit, offset, operating point and distance |
//! | another reason, and the network ran | the reason's own verdict, not PASS, and no milder than that of the policy; no score, or the one that follows |
//! | another reason, and the network did not run | REJECT, without score, raw logit, distance and regions |
//! | regions | at most five, of at least one pixel, with their peaks inside, the largest share first, together at most 1 |
//!
//! Rows and the events of bundles must agree too: see `replay.rs`.

use super::bad_row::{BadRow, Stop, bad, bad_or_unreadable};
use super::event::EventRow;
use super::form::{RowForm, Schema};
use super::replay::{self, BundleReplay};
use super::row_regions::RowRegions;
use super::row_rule::RowRule;
use super::schema::{self, unusable};
use super::verdict_row::{Answer, VerdictEntry};
use super::{columns, event_columns};
use crate::verdict_mapping::policy_verdict;
use cellgate_models::evidence::Region;
use cellgate_models::policy::{Reason, Verdict};
use cellgate_protocol::reason::{ReasonCode, Role};
use rusqlite::Connection;
use std::path::Path;

/// How far the sum of the shares may be above 1, from rounding.
const SUM_TOLERANCE: f64 = 1e-9;

/// The report on recomputed verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recomputed {
    /// Rows whose verdict follows from their own numbers.
    pub rows: u64,
    /// Rows of form 1, which don't have these numbers.
    pub of_form_1: u64,
}

/// Recomputes the verdicts of all rows.
///
/// # Errors
/// The outer error if the file can't be read; the inner error is the first bad row.
pub(super) fn recompute(connection: &Connection, path: &Path) -> Answer<Result<Recomputed, BadRow>> {
    match walk(connection) {
        Ok(recomputed) => Ok(Ok(recomputed)),
        Err(Stop::Bad(bad)) => Ok(Err(bad)),
        Err(Stop::Unreadable(error)) => Err(unusable(path, error)),
    }
}

fn walk(connection: &Connection) -> Result<Recomputed, Stop> {
    let (mut recomputed, schema) = (Recomputed { rows: 0, of_form_1: 0 }, schema::current(connection)?);
    let mut events = (schema == Schema::Two).then(|| connection.prepare(&replay::events_sql())).transpose()?;
    let mut events = events.as_mut().map(|events| events.query_map([], event_columns::event)).transpose()?;
    let mut events = events.iter_mut().flatten().peekable();
    let (mut bundles, mut follow) = (BundleReplay::default(), |bundles: &mut BundleReplay, seq: u64| {
        let is_before =
            |event: &rusqlite::Result<EventRow>| event.as_ref().map_or(true, |event| event.newest_seq < seq);
        while let Some(event) = events.next_if(is_before) {
            bundles.event(connection, &event.map_err(|error| bad_or_unreadable(error, "event"))?)?;
        }
        Ok::<_, Stop>(())
    });
    let sql = format!("SELECT {} FROM verdict ORDER BY seq", columns::names(schema));
    let mut statement = connection.prepare(&sql)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let place = format!("row {}", row.get::<_, i64>("seq")?);
        let record = columns::record(row).map_err(|error| bad_or_unreadable(error, &place))?;
        follow(&mut bundles, record.seq.get())?;
        match record.form {
            RowForm::One => recomputed.of_form_1 += 1,
            RowForm::Two => {
                check(&record.entry).and_then(|()| bundles.row(&record)).map_err(|what| bad(place, what))?;
                recomputed.rows += 1;
            }
        }
    }
    follow(&mut bundles, u64::MAX)?;
    Ok(recomputed)
}

/// Whether the verdict of a row of form 2 follows from the numbers of the row.
///
/// # Errors
/// What was found and expected.
pub(super) fn check(entry: &VerdictEntry) -> Result<(), String> {
    let VerdictEntry { verdict, reason, rule, .. } = entry;
    let reached = rule.map(|rule| Reached::of(entry, &rule));
    match (by_rule(reason), &reached) {
        (Some(reason), None) => return Err(format!("found the reason {reason} without the rule that decided it")),
        (Some(_), Some(reached)) => {
            let Reached { reason: expected, score } = reached;
            if reason != expected.name() || *verdict != expected.verdict() {
                let by = expected.verdict();
                return Err(format!("found {verdict}/{reason}, expected {by}/{expected} from logit and distance"));
            }
            if entry.score != *score {
                return Err(other_score(entry.score, *score));
            }
        }
        (None, reached) => check_other_reason(entry, reached.as_ref())?,
    }
    if rule.is_none() && (entry.raw_logit.is_some() || entry.distance.is_some() || entry.regions.is_some()) {
        return Err("found outputs of the network without the rule that judged them".to_owned());
    }
    entry.regions.as_ref().map_or(Ok(()), check_regions)
}

/// What the rule of a row gives for the row's logit and distance.
struct Reached {
    reason: Reason,
    score: Option<f32>,
}

impl Reached {
    fn of(entry: &VerdictEntry, rule: &RowRule) -> Self {
        let RowRule { offset, operating_point } = *rule;
        // A number that is not finite is stored as no number.
        let raw = entry.raw_logit.unwrap_or(f32::NAN);
        let distance = entry.distance.unwrap_or(f64::NAN);
        Self {
            reason: operating_point.reason(f64::from(raw) - offset, distance),
            score: operating_point.score(raw, offset),
        }
    }
}

/// The reason with this name, if the operating point decides it from logit and distance.
fn by_rule(name: &str) -> Option<Reason> {
    use Reason::{ScoreBelowReview, ScoreFromReject, ScoreFromReview, ScoreInvalid, UnlikeTraining};
    [ScoreBelowReview, ScoreFromReview, ScoreFromReject, ScoreInvalid, UnlikeTraining]
        .into_iter()
        .find(|reason| reason.name() == name)
}

/// Checks a row whose reason comes from elsewhere: before the network, from the bundle, or from the appliance.
fn check_other_reason(entry: &VerdictEntry, reached: Option<&Reached>) -> Result<(), String> {
    let VerdictEntry { verdict, reason, score, .. } = entry;
    // A reason that only a later version knows has a verdict that is not known here.
    let own = ReasonCode::from_name(reason).map(|code| code.role().and_then(Role::verdict).map(policy_verdict));
    if let Some(own) = own
        && own != Some(*verdict)
    {
        let own = own.map_or("no verdict of the appliance", Verdict::name);
        return Err(format!("found {verdict}/{reason}, expected {own} for this reason"));
    }
    // Without the network, nothing is milder than a REJECT.
    let mildest = reached.map_or(Verdict::Reject, |reached| reached.reason.verdict().max(Verdict::Review));
    if *verdict < mildest {
        return Err(format!("found {verdict}/{reason}, expected at best {mildest}"));
    }
    let follows = reached.and_then(|reached| reached.score);
    if score.is_some() && *score != follows {
        return Err(other_score(*score, follows));
    }
    Ok(())
}

fn check_regions(text: &RowRegions) -> Result<(), String> {
    let regions = text.regions().map_err(|error| format!("column regions: {error}"))?;
    let wrong = |what: &str| Err(format!("column regions: found {}, expected {what}", text.text()));
    if regions.len() > Region::MOST {
        return wrong("at most five regions");
    }
    let is_inside = |region: &Region| {
        let (right, bottom) = (region.x.checked_add(region.width), region.y.checked_add(region.height));
        right.is_some_and(|right| (region.x..right).contains(&region.peak.x))
            && bottom.is_some_and(|bottom| (region.y..bottom).contains(&region.peak.y))
    };
    if !regions.iter().all(is_inside) {
        return wrong("rectangles with their peaks inside");
    }
    let is_share = |region: &Region| region.share > 0.0 && region.share <= 1.0;
    let sum: f64 = regions.iter().map(|region| region.share).sum();
    if !regions.iter().all(is_share)
        || !regions.is_sorted_by(|one, next| one.share >= next.share)
        || sum > 1.0 + SUM_TOLERANCE
    {
        return wrong("shares above 0, the largest first, together at most 1");
    }
    Ok(())
}

fn other_score(found: Option<f32>, expected: Option<f32>) -> String {
    let text = |score: Option<f32>| score.map_or_else(|| "no score".to_owned(), |score| format!("the score {score}"));
    format!("found {}, expected {}", text(found), text(expected))
}

#[cfg(test)]
mod tests;
