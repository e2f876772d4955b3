//! Holds the running bundle. Its state follows from events and rows of the journal alone, in the order in which they were recorded, so
//! after a restart it is as before.

use super::BundleSettings;
use crate::acquire::ReferenceImages;
use crate::control::{BundleStatus, BundleStep, Candidate};
use crate::journal::figures::{self, ConfirmedFigures, OffsetFigures, StartedFigures, Starter};
use crate::journal::{EventKind, EventRow, RecordedBundle, RowFeatures, VerdictEntry, VerdictRow};
use cellgate_models::digest::Digest;
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::policy::{NoPass, Policy, Reason, Rule, Verdict};
use cellgate_protocol::bundle::{BundleState, StepCode};
use std::collections::VecDeque;
use std::num::NonZeroU64;

/// The running bundle.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Running {
    pub(super) number: u32,
    pub(super) starter: Starter,
    started_by: String,
    started_unix_ms: i64,
    started_why: String,
    /// How many reference parts must be confirmed; 0 if the model was trained without reference parts.
    pub(super) needed: u32,
    /// The number of parts with a verdict since the start.
    pub(super) parts: u64,
    pub(super) step: Step,
    /// The confirmed parts, in the order in which they were judged.
    pub(super) confirmed: Vec<ReferencePart>,
    /// The newest parts, at most [`RecordedBundle::MAX_ROWS`], that were judged as possible reference parts and are not confirmed, and
    /// those that were rejected meanwhile, in order. Empty unless the step is [`Step::Reference`].
    pub(super) candidates: VecDeque<JudgedPart>,
}

/// How far a bundle is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// The model was trained without reference parts: parts are judged as without a bundle.
    WithoutReference,
    /// Reference parts are being judged.
    Reference,
    /// Parts are judged by this rule, which has the bundle's offset.
    Offset(Box<Rule>),
    /// The guard refused the reference parts, for this cause.
    UnlikeTraining(String),
}

/// A part that was judged during the reference phase.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JudgedPart {
    pub(super) seq: NonZeroU64,
    pub(super) part_id: u64,
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    /// The reference part that it becomes if it is confirmed. `None` if it can't be one.
    pub(super) reference: Option<ReferencePart>,
}

/// A reference part, with the outputs of the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ReferencePart {
    pub(super) seq: NonZeroU64,
    pub(super) part_id: u64,
    pub(super) raw_logit: f32,
    pub(super) features: WhitenedFeatures,
}

impl Running {
    /// The bundle that `event`, a BUNDLE_STARTED, started.
    pub(super) fn start(event: &EventRow, settings: &BundleSettings) -> Self {
        let figures: Option<StartedFigures> = figures::read(event);
        // A model that was trained meanwhile with reference parts needs some, although the event did not ask for them.
        let asked = figures.map(|figures| figures.reference_parts).filter(|asked| *asked > 0);
        let needed = if settings.has_reference() { asked.unwrap_or(settings.reference_parts) } else { 0 };
        Self {
            number: event.bundle,
            starter: figures.map_or(Starter::Plc, |figures| figures.by),
            started_by: event.who.clone(),
            started_unix_ms: event.committed_unix_ms,
            started_why: event.why.clone(),
            needed,
            parts: 0,
            step: if needed == 0 { Step::WithoutReference } else { Step::Reference },
            confirmed: Vec::new(),
            candidates: VecDeque::new(),
        }
    }

    /// The bundle as the journal has it. `None` if it has ended.
    pub(super) fn restore(recorded: &RecordedBundle, settings: &BundleSettings) -> Option<Self> {
        let mut running = Self::start(&recorded.started, settings);
        recorded.rows.iter().for_each(|row| running.judged(row, settings.model));
        running.parts = recorded.parts;
        recorded.events.iter().try_fold(running, |running, event| running.after(event, settings))
    }

    /// The bundle after `event`. `None` if the event ended it. An event of another bundle or kind changes nothing, nor does one of
    /// another model: the logits of another model mean nothing to this one.
    pub(super) fn after(mut self, event: &EventRow, settings: &BundleSettings) -> Option<Self> {
        let is = |kind: EventKind| event.kind == kind.name();
        if event.bundle != self.number {
            return Some(self);
        }
        if is(EventKind::BundleEnded) {
            return None;
        }
        if event.model == Some(settings.model) && self.step == Step::Reference {
            if is(EventKind::ReferenceConfirmed) {
                figures::read(event).into_iter().for_each(|confirmed| self.confirmed(&confirmed));
            } else if is(EventKind::Offset) {
                figures::read(event).into_iter().for_each(|offset| self.offset(&offset, &settings.policy));
            }
        }
        Some(self)
    }

    fn confirmed(&mut self, figures: &ConfirmedFigures) {
        let Some((seq, features)) = NonZeroU64::new(figures.seq).zip(figures.features()) else { return };
        self.candidates.retain(|part| part.seq != seq);
        let part = ReferencePart { seq, part_id: figures.part, raw_logit: figures.raw_logit, features };
        let at = self.confirmed.partition_point(|confirmed| confirmed.seq < seq);
        self.confirmed.insert(at, part);
    }

    fn offset(&mut self, figures: &OffsetFigures, policy: &Policy) {
        let rule = figures.offset_and_centre().and_then(|(offset, centre)| policy.rule_with_offset(offset, centre));
        match (rule, &figures.refused) {
            (_, Some(why)) => self.step = Step::UnlikeTraining(why.clone()),
            (Some(rule), None) => self.step = Step::Offset(Box::new(rule)),
            // No offset that parts can be judged by: the reference phase goes on.
            (None, None) => return,
        }
        self.candidates.clear();
    }

    /// A part of the bundle has a verdict. `model` judges now.
    pub(super) fn judged(&mut self, row: &VerdictRow, model: Digest) {
        self.parts += 1;
        let entry = &row.entry;
        let is_rejected = entry.verdict == Verdict::Reject;
        if self.step != Step::Reference || !(is_rejected || entry.features.is_some()) {
            return;
        }
        let (seq, part_id) = (row.seq, row.trigger.part);
        let features = entry.features.as_ref().map(RowFeatures::features);
        let outputs = entry.raw_logit.zip(features).filter(|(raw_logit, features)| {
            let is_own = entry.model == Some(model);
            is_own && can_be_reference(entry) && raw_logit.is_finite() && features.are_finite()
        });
        let reference = outputs.map(|(raw_logit, features)| ReferencePart { seq, part_id, raw_logit, features });
        if self.candidates.len() == RecordedBundle::MAX_ROWS {
            self.candidates.pop_front();
        }
        let (verdict, reason) = (entry.verdict, entry.reason.clone());
        self.candidates.push_back(JudgedPart { seq, part_id, verdict, reason, reference });
    }

    /// The rule for the next part, and whether that part can be a reference part.
    pub(super) fn rule(&self, policy: &Policy) -> (Rule, bool) {
        match &self.step {
            Step::WithoutReference => (policy.rule(), false),
            Step::Reference => (policy.rule().without_pass(NoPass::ReferenceParts), true),
            Step::Offset(rule) => (**rule, false),
            Step::UnlikeTraining(_) => (policy.rule().without_pass(NoPass::BundleUnlikeTraining), false),
        }
    }

    /// Whether the bundle must end before its next part: it has as many parts as it may have, or it is too old. A clock that was set
    /// back to a time before the start counts as too old.
    pub(super) fn is_over(&self, settings: &BundleSettings, now_unix_ms: i64) -> Option<&'static str> {
        let age_ms = now_unix_ms.checked_sub(self.started_unix_ms);
        if self.parts >= settings.max_parts {
            Some("it had as many parts as [bundle] max_parts allows")
        } else if age_ms.is_none_or(|age_ms| !(0..settings.max_ms).contains(&age_ms)) {
            Some("it was older than [bundle] max_hours allows, or the clock was set back")
        } else {
            None
        }
    }

    /// Whether a part with this number is confirmed. A part that was judged twice counts once.
    pub(super) fn has_confirmed(&self, part_id: u64) -> bool {
        self.confirmed.iter().any(|part| part.part_id == part_id)
    }

    /// The images that the archive keeps for this bundle.
    pub(super) fn reference_images(&self) -> ReferenceImages {
        ReferenceImages {
            confirmed: self.confirmed.iter().map(|part| part.seq.get()).collect(),
            phase_from: self.candidates.front().map(|part| part.seq.get()),
        }
    }

    /// The bundle as the PLC is shown it. With a model without reference parts the step is OFFSET, with no part confirmed or missing.
    pub(super) fn state(&self) -> BundleState {
        let step = match self.step {
            Step::Reference => StepCode::REFERENCE,
            Step::Offset(_) | Step::WithoutReference => StepCode::OFFSET,
            Step::UnlikeTraining(_) => StepCode::UNLIKE_TRAINING,
        };
        let confirmed = self.confirmed.len();
        let missing = (self.needed as usize).saturating_sub(confirmed);
        let count = |parts: usize| u16::try_from(parts).unwrap_or(u16::MAX);
        BundleState { bundle: self.number, step, confirmed: count(confirmed), missing: count(missing) }
    }

    /// The bundle as people are shown it.
    pub(super) fn status(&self, settings: &BundleSettings) -> BundleStatus {
        let candidate = |part: &JudgedPart| {
            let JudgedPart { part_id, verdict, reason, reference, .. } = part;
            let logit = reference.as_ref()?.raw_logit;
            Some(Candidate { part_id: *part_id, verdict: verdict.name().to_owned(), reason: reason.clone(), logit })
        };
        let (step, offset, refused) = match &self.step {
            Step::WithoutReference => (BundleStep::WithoutReference, None, None),
            Step::Reference => (BundleStep::Reference, None, None),
            Step::Offset(rule) => (BundleStep::Offset, Some(rule.offset()), None),
            Step::UnlikeTraining(why) => (BundleStep::UnlikeTraining, None, Some(why.clone())),
        };
        BundleStatus {
            bundle: self.number,
            step,
            reference_parts: self.needed,
            trained_for: settings.trained_for,
            confirmed: self.confirmed.iter().map(|part| part.part_id).collect(),
            candidates: self.candidates.iter().filter_map(candidate).collect(),
            offset,
            refused,
            parts: self.parts,
            started_unix_ms: self.started_unix_ms,
            started_by: self.started_by.clone(),
            started_why: self.started_why.clone(),
            is_of_plc: self.starter == Starter::Plc,
        }
    }
}

/// Whether a person or the PLC may confirm the part of this row as good.
///
/// A good part of a bundle that is unlike the training may be a REJECT by its score: such bundles need the offset most. The guard
/// looks at its logit too. What the network computes for an image that is unlike the training images means little; a REJECT has the
/// measures of such an image as its detail.
fn can_be_reference(entry: &VerdictEntry) -> bool {
    let is_reason = |reason: Reason| entry.reason == reason.name();
    match entry.verdict {
        Verdict::Reject => is_reason(Reason::ScoreFromReject) && entry.detail.is_empty(),
        Verdict::Pass | Verdict::Review => !is_reason(Reason::ImageUnlikeTraining),
    }
}
