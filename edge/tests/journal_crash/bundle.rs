//! Makes the verdicts and events of the driver's bundles, in the forms that JOURNAL.md states.
//!
//! Each bundle has five parts: a reference part, a REJECT, another reference part, and two parts that are judged with the offset. A
//! person ends every fourth bundle, and triggers end the others. After three bundles, five parts belong to no bundle.

use cellgate_edge::journal::{
    EventEntry, EventKind, EventRow, RecordedBundle, RowFeatures, RowRegions, StageTimes, VerdictEntry, VerdictRow,
};
use cellgate_models::digest::Digest;
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::policy::{Calibration, NoPass, OperatingPoint, Policy, Reason, Reference, Rule};
use serde_json::{Value, json};
use std::num::NonZeroU64;

/// The parts of each bundle.
const SIZE: u64 = 5;
/// The reference parts that each bundle needs.
const NEEDED: usize = 2;
/// The raw logits of the parts of each bundle.
const LOGITS: [f32; SIZE as usize] = [-2.0, 2.5, -1.5, -3.0, -1.0];

/// The bundle that the trigger of `part` names; 0: none.
pub(crate) fn named(part: u64) -> u32 {
    let bundle = (part - 1) / SIZE + 1;
    if bundle.is_multiple_of(4) { 0 } else { bundle as u32 }
}

/// The verdict for `part` of the bundle that its trigger names, if these parts of the bundle are confirmed.
pub(crate) fn entry(part: u64, trigger: NonZeroU64, reference: &[u64]) -> VerdictEntry {
    let is_reference = named(part) != 0 && reference.len() < NEEDED;
    let rule = if is_reference {
        policy().rule().without_pass(NoPass::ReferenceParts)
    } else if named(part) == 0 {
        policy().rule()
    } else {
        rule_with(reference)
    };
    let (logit, features) = outputs(part);
    let reason = rule.decide(logit, &features).reason;
    VerdictEntry {
        trigger,
        verdict: reason.verdict(),
        reason: reason.name().to_owned(),
        score: rule.score(logit),
        model: Some(Digest::of(b"model")),
        image: Some(Digest::of(&part.to_le_bytes())),
        image_name: format!("{part}.tif"),
        bounds: None,
        age_ms: part as u32,
        times: StageTimes { read_us: 1, convert_us: 2, infer_us: 3, decide_us: 4 },
        simulated: false,
        degraded: false,
        detail: String::new(),
        raw_logit: Some(logit),
        rule: Some((&rule).into()),
        distance: Some(rule.distance(&features)),
        regions: Some(RowRegions::new(&[])),
        features: is_reference.then(|| RowFeatures::from(&features)),
    }
}

/// The parts of the running bundle that are confirmed, each with its row.
pub(crate) fn confirmed(running: &RecordedBundle) -> Vec<(NonZeroU64, u64)> {
    let is_confirmed =
        |row: &&VerdictRow| of_kind(running, EventKind::ReferenceConfirmed).any(|event| names(event, row.seq));
    running.rows.iter().filter(is_confirmed).map(|row| (row.seq, row.trigger.part)).collect()
}

/// The events that are recorded with the acceptance of `part`, while this bundle is running.
pub(crate) fn events_of_trigger(running: Option<&RecordedBundle>, part: u64) -> Vec<EventEntry> {
    let named = named(part);
    if running.map_or(0, |running| running.started.bundle) == named {
        return Vec::new();
    }
    let figures = json!({ "by": "PLC", "reference_parts": NEEDED });
    let started = (named != 0).then(|| event(EventKind::BundleStarted, named, "PLC", figures));
    running.map(|running| ended(running, "PLC")).into_iter().chain(started).collect()
}

/// The events that are recorded after the verdict for `part`, while this bundle is running: the confirmation of its reference parts, its
/// offset, its end.
pub(crate) fn events_after(running: Option<&RecordedBundle>, part: u64) -> Vec<EventEntry> {
    let Some(running) = running.filter(|running| running.started.bundle == named(part)) else { return Vec::new() };
    let bundle = running.started.bundle;
    if of_kind(running, EventKind::Offset).next().is_none() {
        let mut reference = confirmed(running);
        let is_new = |row: &&VerdictRow| {
            row.entry.reason == Reason::ReferencePart.name() && !reference.contains(&(row.seq, row.trigger.part))
        };
        let new: Vec<_> = running.rows.iter().filter(is_new).map(|row| (row.seq, row.trigger.part)).collect();
        reference.extend(&new);
        let mut events: Vec<_> = new.iter().map(|&(seq, part)| confirmation(bundle, seq, part)).collect();
        if reference.len() >= NEEDED && !new.is_empty() {
            events.push(offset(bundle, &reference));
        }
        return events;
    }
    let ends = part.is_multiple_of(SIZE) && bundle % 4 == 1;
    ends.then(|| ended(running, "operator (user 1000, process 42)")).into_iter().collect()
}

fn confirmation(bundle: u32, seq: NonZeroU64, part: u64) -> EventEntry {
    let (logit, features) = outputs(part);
    let figures = json!({ "seq": seq, "part": part, "raw_logit": logit, "features": features.components().to_vec() });
    event(EventKind::ReferenceConfirmed, bundle, "PLC", figures)
}

fn offset(bundle: u32, reference: &[(NonZeroU64, u64)]) -> EventEntry {
    let (rows, parts): (Vec<_>, Vec<_>) = reference.iter().copied().unzip();
    let rule = rule_with(&parts);
    let centre = rule.centre().components().to_vec();
    let figures = json!({ "parts": rows, "offset": rule.offset(), "centre": centre, "refused": null });
    event(EventKind::Offset, bundle, "PLC", figures)
}

fn ended(running: &RecordedBundle, who: &str) -> EventEntry {
    event(EventKind::BundleEnded, running.started.bundle, who, json!({ "parts": running.parts }))
}

fn event(kind: EventKind, bundle: u32, who: &str, figures: Value) -> EventEntry {
    let Value::Object(figures) = figures else { panic!("figures are an object: {figures}") };
    let (model, why) = (Some(Digest::of(b"model")), format!("{} of bundle {bundle}", kind.name()));
    EventEntry { kind, bundle, model, model_before: None, who: who.to_owned(), why, figures }
}

fn of_kind(running: &RecordedBundle, kind: EventKind) -> impl Iterator<Item = &EventRow> {
    running.events.iter().filter(move |event| event.kind == kind.name())
}

/// Whether the REFERENCE_CONFIRMED confirms the part with this row.
fn names(event: &EventRow, seq: NonZeroU64) -> bool {
    serde_json::from_str::<Value>(&event.figures).unwrap()["seq"] == seq.get()
}

/// What the network gives for `part`.
fn outputs(part: u64) -> (f32, WhitenedFeatures) {
    let features = std::array::from_fn(|component| ((part as usize * 7 + component) % 5) as f32 / 4.0);
    (LOGITS[((part - 1) % SIZE) as usize], WhitenedFeatures::new(features))
}

fn rule_with(reference: &[u64]) -> Rule {
    let outputs: Vec<_> = reference.iter().map(|&part| outputs(part)).collect();
    let rule = policy().rule_with_reference(&outputs).unwrap();
    assert_eq!(rule.refused(), None, "the guard accepts these reference parts");
    rule
}

/// A model that needs two reference parts. The mean of its training bundles is 0. Parts of a bundle may differ as much as `LOGITS`.
fn policy() -> Policy {
    let point = OperatingPoint::new([-1.0, 1.0], Calibration::IDENTITY).unwrap();
    let bundles: Vec<[f64; 2]> = (0..12).map(f64::from).map(|bundle| [bundle - 6.5, bundle - 4.5]).collect();
    Policy::with_reference(point, point, Reference::estimate(&bundles, NEEDED as u32).unwrap())
}
