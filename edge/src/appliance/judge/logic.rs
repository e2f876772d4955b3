//! What the judge does next: which image belongs to which part, when the engine is to prove itself, and what waits. It has no
//! input or output, no clock and no thread; the judge's thread carries it out.

use crate::acquire::{ImageFile, Matcher, NoImage, Unjudged};
use crate::appliance::engine_state::EngineState;
use crate::appliance::liveness::PAUSE;
use crate::appliance::messages::ToJudge;
use crate::appliance::part::Part;
use crate::config::Matching;
use cellgate_protocol::reason::ReasonCode;
use std::time::{Duration, Instant};

/// How long before its deadline a part without an image is given up; the rest is for storing and sending its REJECT.
const GIVE_UP_BEFORE: Duration = Duration::from_millis(100);
/// Pause before an engine that failed its proof is tried again.
const PROVE_AGAIN: Duration = Duration::from_secs(10);

/// What does not change.
#[derive(Debug, Clone, Copy)]
pub(in crate::appliance) struct Settings {
    /// How an image finds its trigger.
    pub(in crate::appliance) matching: Matching,
    /// By how much image and trigger may lie apart.
    pub(in crate::appliance) lead: Duration,
    /// Time between two proofs of a running engine.
    pub(in crate::appliance) prove_every: Duration,
    /// How long a proof that is due waits for the line to have nothing in hand.
    pub(in crate::appliance) max_prove_wait: Duration,
}

/// What the judge's thread knows.
#[derive(Debug, Clone, Copy)]
pub(in crate::appliance) struct View {
    /// The state of the engine.
    pub(in crate::appliance) engine: EngineState,
    /// Whether there is a pipeline with a proven engine.
    pub(in crate::appliance) is_running: bool,
    /// Whether the appliance is to end.
    pub(in crate::appliance) is_stopping: bool,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(in crate::appliance) enum Next {
    /// Load the engine, or ask the running one again for the golden images' scores; then [`Logic::proved`].
    Prove,
    /// Judge this image, of `part` or without a trigger; then [`Logic::judged`].
    Judge {
        /// Its part's number; none without a trigger.
        number: Option<u64>,
        /// The image.
        file: ImageFile,
    },
    /// Wait for a message, for so long at most.
    Wait(Duration),
}

/// What else is to be done.
#[derive(Debug, PartialEq)]
pub(in crate::appliance) enum Effect {
    /// The part is a REJECT without having been judged.
    Reject {
        /// The part's number.
        number: u64,
        /// Why.
        reason: ReasonCode,
        /// The same in words.
        detail: String,
    },
    /// An image was found, so long after the trigger.
    Found(Duration),
    /// These images will not be judged.
    SetAside(Vec<ImageFile>, Unjudged),
    /// Ask the line for a moment in which the running engine can prove itself.
    RequestProof,
    /// By order, it is not known any longer which image is whose.
    OrderLost,
    /// It is known again.
    OrderHolds,
}

/// The judge without its thread.
#[derive(Debug)]
pub(in crate::appliance) struct Logic {
    settings: Settings,
    matcher: Matcher,
    /// The part whose image is waited for.
    waiting: Option<Part>,
    /// An image without a trigger is being recorded; the next one waits until it is.
    is_recording: bool,
    prove_at: Instant,
    is_in_step: bool,
}

impl Logic {
    /// At `now` nothing waits, and the engine is to be loaded.
    pub(in crate::appliance) fn new(settings: Settings, now: Instant) -> Self {
        let matcher = Matcher::new(settings.matching, settings.lead, now);
        Self { settings, matcher, waiting: None, is_recording: false, prove_at: now, is_in_step: true }
    }

    /// Images that wait.
    pub(in crate::appliance) fn backlog(&self) -> usize {
        self.matcher.backlog()
    }

    /// A message.
    pub(in crate::appliance) fn on_message(&mut self, message: ToJudge, now: Instant, effects: &mut Vec<Effect>) {
        match message {
            ToJudge::Part(part) if self.settings.matching == Matching::FreeRunning => effects.push(Effect::Reject {
                number: part.number,
                reason: ReasonCode::NO_IMAGE,
                detail: "free-running, no image belongs to a trigger".to_owned(),
            }),
            ToJudge::Part(part) => {
                // The line has one part in hand: the one before is decided by now.
                if let Some(before) = self.waiting.replace(part) {
                    self.miss(before.part_id, now, effects);
                }
            }
            ToJudge::Arrival(arrival) => self.matcher.add(arrival),
            ToJudge::Doubt => self.matcher.doubt(now),
            ToJudge::Recorded => self.is_recording = false,
        }
    }

    /// What to do at `now`. What else is to be done is added to `effects`.
    pub(in crate::appliance) fn next(&mut self, now: Instant, view: &View, effects: &mut Vec<Effect>) -> Next {
        if self.is_time_to_prove(now, view, effects) {
            return Next::Prove;
        }
        let stale = self.matcher.stale(now);
        self.set_aside(stale, Unjudged::NoTrigger, effects);
        self.report_order(now, effects);
        let takes_free = self.takes_free(view);
        if takes_free && let Some(file) = self.matcher.take_oldest() {
            self.is_recording = true;
            return Next::Judge { number: None, file };
        }
        let Some(part) = self.waiting else { return Next::Wait(PAUSE) };
        match self.matcher.take(part.part_id, part.triggered) {
            Ok(file) => {
                self.waiting = None;
                effects.push(Effect::Found(now.saturating_duration_since(part.triggered)));
                Next::Judge { number: Some(part.number), file }
            }
            Err(NoImage::NotYet) if now < give_up_at(&part) => {
                Next::Wait(PAUSE.min(give_up_at(&part).saturating_duration_since(now)))
            }
            Err(why) => {
                self.waiting = None;
                self.miss(part.part_id, now, effects);
                let reason = if why == NoImage::NotYet { ReasonCode::NO_IMAGE } else { ReasonCode::IMAGE_MISMATCH };
                effects.push(Effect::Reject { number: part.number, reason, detail: why.to_string() });
                Next::Wait(Duration::ZERO)
            }
        }
    }

    /// The engine was asked for its proof, which ended at `now`.
    pub(in crate::appliance) fn proved(&mut self, now: Instant, has_passed: bool) {
        self.prove_at = now + if has_passed { self.settings.prove_every } else { PROVE_AGAIN };
    }

    /// An image was judged by `now`. `is_mismatch`: its file was not the one that arrived.
    pub(in crate::appliance) fn judged(&mut self, now: Instant, is_mismatch: bool) {
        if is_mismatch {
            // By order, it is not known whose the file is now.
            self.matcher.doubt(now);
        }
    }

    /// Whether the engine is to be loaded, or to prove itself again, now. A running engine waits until the line has nothing in
    /// hand, but not for ever.
    fn is_time_to_prove(&self, now: Instant, view: &View, effects: &mut Vec<Effect>) -> bool {
        if self.waiting.is_some() || view.engine == EngineState::Lost || view.is_stopping {
            return false;
        }
        if !view.is_running && view.engine != EngineState::Failed {
            return true;
        }
        let Some(late) = now.checked_duration_since(self.prove_at) else { return false };
        let is_granted = view.engine == EngineState::ProofGranted;
        if !view.is_running || is_granted || late > self.settings.max_prove_wait {
            return true;
        }
        effects.push(Effect::RequestProof);
        false
    }

    /// Whether an image without a trigger may be judged. Images that arrive while the appliance is to end, while no engine is
    /// proven or while one is being recorded stay in the scanner's folder.
    fn takes_free(&self, view: &View) -> bool {
        let is_able = view.is_running && !view.is_stopping && !self.is_recording;
        self.settings.matching == Matching::FreeRunning && is_able
    }

    /// `part_id` ended without an image.
    fn miss(&mut self, part_id: u64, now: Instant, effects: &mut Vec<Effect>) {
        let missed = self.matcher.missed(part_id, now);
        self.set_aside(missed, Unjudged::TooLate, effects);
    }

    fn report_order(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let is_in_step = self.matcher.is_in_step(now);
        match (std::mem::replace(&mut self.is_in_step, is_in_step), is_in_step) {
            (true, false) => effects.push(Effect::OrderLost),
            (false, true) => effects.push(Effect::OrderHolds),
            _ => {}
        }
    }

    /// By order, an image that belongs to no part ended the order or came while it was lost.
    fn set_aside(&self, images: Vec<ImageFile>, why: Unjudged, effects: &mut Vec<Effect>) {
        let why = if self.settings.matching.is_by_order() { Unjudged::OutOfOrder } else { why };
        if !images.is_empty() {
            effects.push(Effect::SetAside(images, why));
        }
    }
}

/// When a part without an image is given up.
fn give_up_at(part: &Part) -> Instant {
    part.deadline.checked_sub(GIVE_UP_BEFORE).unwrap_or(part.triggered)
}

#[cfg(test)]
mod tests;
