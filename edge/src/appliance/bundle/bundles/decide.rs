//! Decides about confirmations and requests: the answer, or the events to store first.

use super::super::figures::{ConfirmedFigures, OffsetFigures, Starter};
use super::super::running::{JudgedPart, Running, Step};
use super::{Asked, BundleEffect, Bundles, PLC, refused};
use crate::control::BundleRequest;
use crate::journal::{EventEntry, EventKind};
use cellgate_protocol::bundle::{Confirm, ConfirmResult};
use std::num::NonZeroU32;

/// The most reference parts of a bundle.
const MAX_REFERENCE_PARTS: u32 = 1000;

/// The decision about a confirmation or a request.
pub(super) enum Decided {
    /// Nothing is to be stored: this is the answer.
    Answer(BundleEffect),
    /// Store these events first.
    Record(Vec<EventEntry>),
}

impl Bundles {
    /// What the confirmation or request that waits longest leads to.
    pub(super) fn decide(&self, asked: &Asked) -> Decided {
        match asked {
            Asked::Plc(confirm) => self.decide_confirm(confirm),
            Asked::Person { number, request, who } => {
                let who = who.to_string();
                let decided = match request {
                    BundleRequest::Status => Ok(Vec::new()),
                    BundleRequest::Start { bundle, reference_parts } => self.start(*bundle, *reference_parts, &who),
                    BundleRequest::Confirm { parts } => self.confirm_parts(parts, &who),
                    BundleRequest::End => self.end(&who),
                };
                match decided {
                    Ok(events) if events.is_empty() => Decided::Answer(self.done(*number)),
                    Ok(events) => Decided::Record(events),
                    Err(why) => Decided::Answer(refused(*number, &why)),
                }
            }
        }
    }

    fn decide_confirm(&self, confirm: &Confirm) -> Decided {
        let answer = |result| Decided::Answer(BundleEffect::AnswerPlc(*confirm, result));
        let Some(running) = self.running.as_ref().filter(|running| running.number == confirm.bundle) else {
            return answer(ConfirmResult::NOT_IN_BUNDLE);
        };
        let is_named = |part: &&JudgedPart| confirm.names(part.seq.get(), part.part_id, running.number);
        match running.judged_parts().iter().find(is_named) {
            Some(part) if part.is_confirmed => answer(ConfirmResult::CONFIRMED),
            _ if running.step != Step::Reference => answer(ConfirmResult::REFUSED),
            Some(part) if part.outputs.is_none() || is_confirmed(running, part.part_id) => {
                answer(ConfirmResult::REFUSED)
            }
            Some(part) => Decided::Record(self.confirmation(running, &[part], (PLC, "the PLC confirmed the part"))),
            None => answer(ConfirmResult::NOT_IN_BUNDLE),
        }
    }

    fn start(&self, bundle: NonZeroU32, asked: Option<u32>, who: &str) -> Result<Vec<EventEntry>, String> {
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

    fn confirm_parts(&self, parts: &[u64], who: &str) -> Result<Vec<EventEntry>, String> {
        let running = self.running.as_ref().ok_or("no bundle is running; start one first")?;
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

    fn end(&self, who: &str) -> Result<Vec<EventEntry>, String> {
        let running = self.running.as_ref().ok_or("no bundle is running")?;
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
}

/// Whether a part with this number is confirmed. A part that was judged twice counts once.
fn is_confirmed(running: &Running, part_id: u64) -> bool {
    running.judged_parts().iter().any(|part| part.is_confirmed && part.part_id == part_id)
}
