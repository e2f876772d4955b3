//! Decides about confirmations and requests: the events to store, or why nothing is stored.

use super::BundleSettings;
use super::running::{JudgedPart, ReferencePart, Running, Step};
use crate::journal::figures::{self, ConfirmedFigures, EndedFigures, OffsetFigures, StartedFigures, Starter};
use crate::journal::{EventEntry, EventKind};
use cellgate_protocol::bundle::{Confirm, ConfirmResult};
use std::num::{NonZeroU32, NonZeroU64};

/// The most reference parts of a bundle.
const MAX_REFERENCE_PARTS: u32 = 1000;
/// Who caused an event if no person did.
pub(super) const PLC: &str = "PLC";

/// What decisions depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision<'a> {
    pub(super) settings: &'a BundleSettings,
    /// The running bundle as it is stored.
    pub(super) running: Option<&'a Running>,
}

impl Decision<'_> {
    /// The events with which the PLC confirms a part; none if the part is confirmed.
    ///
    /// # Errors
    /// The answer to the PLC, if the part can't be confirmed.
    pub(super) fn confirm(&self, confirm: &Confirm) -> Result<Vec<EventEntry>, ConfirmResult> {
        let running = self.running.filter(|running| running.number == confirm.bundle);
        let running = running.ok_or(ConfirmResult::NOT_IN_BUNDLE)?;
        let is_named = |seq: NonZeroU64, part_id| confirm.names(seq.get(), part_id, running.number);
        if running.confirmed.iter().any(|part| is_named(part.seq, part.part_id)) {
            return Ok(Vec::new());
        }
        if running.step != Step::Reference || running.has_confirmed(confirm.part_id) {
            return Err(ConfirmResult::REFUSED);
        }
        let named = running.candidates.iter().find(|part| is_named(part.seq, part.part_id));
        let reference = named.ok_or(ConfirmResult::NOT_IN_BUNDLE)?.reference.ok_or(ConfirmResult::REFUSED)?;
        Ok(self.confirmation(running, &[reference], (PLC, "the PLC confirmed the part")))
    }

    /// The events with which a person starts this bundle, with this number of reference parts.
    ///
    /// # Errors
    /// Why not, for the person.
    pub(super) fn start(&self, bundle: NonZeroU32, asked: Option<u32>, who: &str) -> Result<Vec<EventEntry>, String> {
        if asked.is_some() && !self.settings.has_reference() {
            return Err(
                "the model was trained without reference parts; start the bundle without a number of them, or train \
                 again with `cellgate-trainer train --reference 5`"
                    .to_owned(),
            );
        }
        if let Some(found) = asked.filter(|asked| !(1..=MAX_REFERENCE_PARTS).contains(asked)) {
            return Err(format!("found {found} reference parts, expected 1 to {MAX_REFERENCE_PARTS}"));
        }
        let needed = asked.unwrap_or(self.settings.reference_parts);
        let by_who = |why: String| (who.to_owned(), why);
        let ended = self
            .running
            .as_ref()
            .map(|running| self.ended(running.number, by_who(format!("a person started the bundle {bundle}"))));
        let by = self.starter(bundle.get());
        let started = self.started(bundle.get(), by, needed, by_who("a person started the bundle".to_owned()));
        Ok(ended.into_iter().chain([started]).collect())
    }

    /// Who counts as the starter of this bundle if a person starts it. The running bundle stays that of the PLC if it is: a trigger
    /// that names no bundle must not get the offset of a bundle that the PLC has left.
    pub(super) fn starter(&self, bundle: u32) -> Starter {
        let running = self.running.filter(|running| running.number == bundle);
        running.map_or(Starter::Person, |running| running.starter)
    }

    /// The events with which a person confirms these parts; none if all of them are confirmed. If `bundle` is given, another bundle
    /// must not be running.
    ///
    /// # Errors
    /// Why not, for the person.
    pub(super) fn confirm_parts(
        &self,
        bundle: Option<NonZeroU32>,
        parts: &[u64],
        who: &str,
    ) -> Result<Vec<EventEntry>, String> {
        let running = self.running.ok_or("no bundle is running; start one first")?;
        if let Some(expected) = bundle.filter(|expected| expected.get() != running.number) {
            let found = running.number;
            return Err(format!("found bundle {found} running, expected bundle {expected}; see `bundle status`"));
        }
        let mut chosen: Vec<ReferencePart> = Vec::new();
        for &part_id in parts {
            if running.has_confirmed(part_id) || chosen.iter().any(|part| part.part_id == part_id) {
                continue;
            }
            if running.step != Step::Reference {
                return Err(
                    "the bundle's reference parts are complete; start the bundle anew to choose others".to_owned()
                );
            }
            // Of a part that was judged more than once, the newest verdict counts.
            let part: Option<&JudgedPart> = running.candidates.iter().rev().find(|part| part.part_id == part_id);
            let part = part.ok_or_else(|| {
                format!("no part was confirmed: part {part_id} was not judged in this bundle; see `bundle status`")
            })?;
            let found = format!("no part was confirmed: part {part_id} is {}/{}", part.verdict, part.reason);
            chosen.push(part.reference.ok_or_else(|| {
                format!("{found}, which can't be a reference part, or another model judged it; choose another part")
            })?);
        }
        if running.confirmed.len() + chosen.len() > MAX_REFERENCE_PARTS as usize {
            let found = running.confirmed.len() + chosen.len();
            return Err(format!("found {found} reference parts, expected at most {MAX_REFERENCE_PARTS}"));
        }
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.confirmation(running, &chosen, (who, "a person confirmed the part")))
    }

    /// The events with which a person ends the running bundle.
    ///
    /// # Errors
    /// Why not, for the person.
    pub(super) fn end(&self, who: &str) -> Result<Vec<EventEntry>, String> {
        let running = self.running.ok_or("no bundle is running")?;
        Ok(vec![self.ended(running.number, (who.to_owned(), "a person ended the bundle".to_owned()))])
    }

    /// The events that confirm `chosen`, and the OFFSET if the reference parts are complete then.
    fn confirmation(&self, running: &Running, chosen: &[ReferencePart], (who, why): (&str, &str)) -> Vec<EventEntry> {
        let by_who = |why: &str| (who.to_owned(), why.to_owned());
        let event = |part: &ReferencePart| {
            let figures = ConfirmedFigures::new(part.seq.get(), part.part_id, part.raw_logit, &part.features);
            self.entry(EventKind::ReferenceConfirmed, running.number, by_who(why), &figures)
        };
        let mut events: Vec<EventEntry> = chosen.iter().map(event).collect();
        let mut reference = [&running.confirmed[..], chosen].concat();
        reference.sort_by_key(|part| part.seq);
        if reference.len() >= running.needed as usize {
            let rows = reference.iter().map(|part| part.seq.get()).collect();
            let outputs: Vec<_> = reference.iter().map(|part| (part.raw_logit, part.features)).collect();
            let (figures, why) = match self.settings.policy.rule_with_reference(&outputs) {
                Ok(rule) => match rule.refused() {
                    None => (
                        OffsetFigures::accepted(rows, rule.offset(), rule.centre()),
                        format!("{} reference parts are confirmed", outputs.len()),
                    ),
                    Some(refused) => (OffsetFigures::refused(rows, refused.to_string()), refused.to_string()),
                },
                Err(error) => (OffsetFigures::refused(rows, error.to_string()), error.to_string()),
            };
            events.push(self.entry(EventKind::Offset, running.number, by_who(&why), &figures));
        }
        events
    }

    /// The event that starts this bundle.
    pub(super) fn started(
        &self,
        bundle: u32,
        by: Starter,
        reference_parts: u32,
        who_and_why: (String, String),
    ) -> EventEntry {
        self.entry(EventKind::BundleStarted, bundle, who_and_why, &StartedFigures { by, reference_parts })
    }

    /// The event that ends this bundle, which is running or is being started.
    pub(super) fn ended(&self, bundle: u32, who_and_why: (String, String)) -> EventEntry {
        let running = self.running.filter(|running| running.number == bundle);
        let parts = running.map_or(0, |running| running.parts);
        self.entry(EventKind::BundleEnded, bundle, who_and_why, &EndedFigures { parts })
    }

    fn entry(
        &self,
        kind: EventKind,
        bundle: u32,
        who_and_why: (String, String),
        figures: &impl serde::Serialize,
    ) -> EventEntry {
        figures::entry(kind, bundle, self.settings.model, who_and_why, figures)
    }
}
