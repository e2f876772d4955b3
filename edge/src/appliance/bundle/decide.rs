//! Decides about confirmations and requests: the events to store, or why nothing is stored.

use super::BundleSettings;
use super::figures::{self, ConfirmedFigures, EndedFigures, OffsetFigures, StartedFigures, Starter};
use super::running::{JudgedPart, Running, Step};
use crate::journal::{EventEntry, EventKind};
use cellgate_protocol::bundle::{Confirm, ConfirmResult};
use std::num::NonZeroU32;

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
        let is_named = |part: &&JudgedPart| confirm.names(part.seq.get(), part.part_id, running.number);
        match running.judged_parts().iter().find(is_named) {
            Some(part) if part.is_confirmed => Ok(Vec::new()),
            _ if running.step != Step::Reference => Err(ConfirmResult::REFUSED),
            Some(part) if part.outputs.is_none() || is_confirmed(running, part.part_id) => Err(ConfirmResult::REFUSED),
            Some(part) => Ok(self.confirmation(running, &[part], (PLC, "the PLC confirmed the part"))),
            None => Err(ConfirmResult::NOT_IN_BUNDLE),
        }
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
        let started =
            self.started(bundle.get(), Starter::Person, needed, by_who("a person started the bundle".to_owned()));
        Ok(ended.into_iter().chain([started]).collect())
    }

    /// The events with which a person confirms these parts; none if all of them are confirmed.
    ///
    /// # Errors
    /// Why not, for the person.
    pub(super) fn confirm_parts(&self, parts: &[u64], who: &str) -> Result<Vec<EventEntry>, String> {
        let running = self.running.ok_or("no bundle is running; start one first")?;
        if parts.len() > MAX_REFERENCE_PARTS as usize {
            return Err(format!("found {} parts, expected at most {MAX_REFERENCE_PARTS}", parts.len()));
        }
        let mut chosen: Vec<&JudgedPart> = Vec::new();
        for &part_id in parts {
            if is_confirmed(running, part_id) || chosen.iter().any(|part| part.part_id == part_id) {
                continue;
            }
            if running.step != Step::Reference {
                return Err(
                    "the bundle's reference parts are complete; start the bundle anew to choose others".to_owned()
                );
            }
            // Of a part that was judged more than once, the newest verdict counts.
            let part = running.judged_parts().iter().rev().find(|part| part.part_id == part_id);
            let part = part.ok_or(format!("part {part_id} was not judged in this bundle; see `bundle status`"))?;
            if part.outputs.is_none() {
                return Err(format!("part {part_id} is a REJECT or was judged by another model; choose another part"));
            }
            chosen.push(part);
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
    fn confirmation(&self, running: &Running, chosen: &[&JudgedPart], (who, why): (&str, &str)) -> Vec<EventEntry> {
        let by_who = |why: &str| (who.to_owned(), why.to_owned());
        let event = |part: &&JudgedPart| {
            let (raw_logit, features) = part.outputs.as_ref()?;
            let figures = ConfirmedFigures::new(part.seq.get(), part.part_id, *raw_logit, features);
            Some(self.entry(EventKind::ReferenceConfirmed, running.number, by_who(why), &figures))
        };
        let mut events: Vec<EventEntry> = chosen.iter().filter_map(event).collect();
        let is_chosen = |part: &&JudgedPart| part.is_confirmed || chosen.iter().any(|one| one.seq == part.seq);
        let reference: Vec<&JudgedPart> = running.judged_parts().iter().filter(is_chosen).collect();
        if reference.len() >= running.needed as usize {
            let rows = reference.iter().map(|part| part.seq.get()).collect();
            let outputs: Vec<_> = reference.iter().filter_map(|part| part.outputs).collect();
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

/// Whether a part with this number is confirmed. A part that was judged twice counts once.
fn is_confirmed(running: &Running, part_id: u64) -> bool {
    running.judged_parts().iter().any(|part| part.is_confirmed && part.part_id == part_id)
}
