//! Decides what the judge does next: which image belongs to which part, and when the engine is proven. This is pure logic without
//! I/O, clock or thread. The judge's thread carries the decisions out.

use crate::acquire::{ImageFile, Matcher, NoImage, Unjudged};
use crate::appliance::engine_state::EngineState;
use crate::appliance::liveness::PAUSE;
use crate::appliance::messages::ToJudge;
use crate::appliance::part::Part;
use crate::config::Matching;
use cellgate_models::policy::Rule;
use cellgate_protocol::reason::ReasonCode;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// A part without an image is rejected this long before its deadline, to leave time for storing and sending the REJECT.
const GIVE_UP_BEFORE: Duration = Duration::from_millis(100);
/// The pause before an engine that failed its proof is tried again.
const PROVE_AGAIN: Duration = Duration::from_secs(10);

/// The settings, fixed at the start.
#[derive(Debug, Clone, Copy)]
pub(in crate::appliance) struct Settings {
    /// How an image finds its trigger.
    pub(in crate::appliance) matching: Matching,
    /// The longest time between an image and its trigger.
    pub(in crate::appliance) lead: Duration,
    /// The time in which a running engine is proven once on every golden image.
    pub(in crate::appliance) prove_every: Duration,
    /// The number of golden images.
    pub(in crate::appliance) golden_images: NonZeroU32,
    /// How long a proof that is due waits for the part in progress. After that the engine is proven all the same.
    pub(in crate::appliance) max_prove_wait: Duration,
}

/// The state outside of [`Logic`] that its decisions depend on.
#[derive(Debug, Clone, Copy)]
pub(in crate::appliance) struct View {
    /// The state of the engine.
    pub(in crate::appliance) engine: EngineState,
    /// Whether a pipeline with a proven engine exists.
    pub(in crate::appliance) is_running: bool,
    /// Whether the appliance is stopping.
    pub(in crate::appliance) is_stopping: bool,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(in crate::appliance) enum Next {
    /// Load the engine and prove it on all golden images. Then call [`Logic::proved`].
    Load,
    /// Prove the running engine again, on one golden image. Then call [`Logic::proved`].
    Prove {
        /// The number of the golden image in the model, counted from 0.
        golden: u32,
    },
    /// Judge this image. Then call [`Logic::judged`].
    Judge {
        /// The [`Part::number`] of the image's part. `None` for an image without a trigger.
        number: Option<u64>,
        /// The rule of the image's part. `None` for an image without a trigger, which has the rule of parts without a bundle.
        rule: Option<Box<Rule>>,
        /// The image's file.
        file: ImageFile,
    },
    /// Wait for a message, at most this long.
    Wait(Duration),
}

/// What the judge's thread has to do besides [`Next`].
#[derive(Debug, PartialEq)]
pub(in crate::appliance) enum Effect {
    /// Reject the part without judging an image.
    Reject {
        /// The part's [`Part::number`].
        number: u64,
        /// The reason.
        reason: ReasonCode,
        /// The reason in words.
        detail: String,
    },
    /// The image of the part was found this long after the part's trigger.
    Found(Duration),
    /// Archive these images without judging them.
    SetAside(Vec<ImageFile>, Unjudged),
    /// Ask `Line` for permission to prove the running engine.
    RequestProof,
    /// Matching by order: images can no longer be assigned to triggers.
    OrderLost,
    /// Matching by order: images can be assigned to triggers again.
    OrderRestored,
}

/// The judge without its thread.
#[derive(Debug)]
pub(in crate::appliance) struct Logic {
    settings: Settings,
    matcher: Matcher,
    /// The part that waits for its image, and its rule.
    waiting: Option<(Part, Box<Rule>)>,
    /// Whether an image without a trigger is being judged or recorded. The next image waits until that is done.
    is_recording: bool,
    /// When the next proof is due, or the next attempt to load the engine.
    prove_at: Instant,
    /// The golden image of the next proof of the running engine.
    next_golden: u32,
    /// Matching by order: whether images could be assigned to triggers when this was last reported.
    is_order_known: bool,
}

impl Logic {
    /// The state at the start: no part, no image, and the engine is not loaded yet.
    pub(in crate::appliance) fn new(settings: Settings, now: Instant) -> Self {
        let matcher = Matcher::new(settings.matching, settings.lead, now);
        Self {
            settings,
            matcher,
            waiting: None,
            is_recording: false,
            prove_at: now,
            next_golden: 0,
            is_order_known: true,
        }
    }

    /// The number of images that wait for their trigger.
    pub(in crate::appliance) fn backlog(&self) -> usize {
        self.matcher.backlog()
    }

    /// Handles a message to the judge.
    pub(in crate::appliance) fn on_message(&mut self, message: ToJudge, now: Instant, effects: &mut Vec<Effect>) {
        match message {
            ToJudge::Part(part, _) if self.settings.matching == Matching::FreeRunning => effects.push(Effect::Reject {
                number: part.number,
                reason: ReasonCode::NO_IMAGE,
                detail: "matching is free-running, so triggers get no image".to_owned(),
            }),
            ToJudge::Part(part, rule) => {
                // `Line` handles one part at a time, so the previous one is already decided.
                if let Some((before, _)) = self.waiting.replace((part, rule)) {
                    self.miss(before.part_id, now, effects);
                }
            }
            ToJudge::Arrival(arrival) => self.matcher.add(arrival),
            ToJudge::Doubt => self.matcher.doubt(now),
            ToJudge::Recorded => self.is_recording = false,
        }
    }

    /// Returns what to do at `now`, and adds further work to `effects`.
    pub(in crate::appliance) fn next(&mut self, now: Instant, view: &View, effects: &mut Vec<Effect>) -> Next {
        if let Some(proof) = self.next_proof(now, view, effects) {
            return proof;
        }
        let discarded = self.matcher.take_discarded(now);
        self.set_aside(discarded, Unjudged::NoTrigger, effects);
        self.report_order(now, effects);
        let may_judge_untriggered = self.may_judge_untriggered(view);
        if may_judge_untriggered && let Some(file) = self.matcher.take_oldest() {
            self.is_recording = true;
            return Next::Judge { number: None, rule: None, file };
        }
        let Some((part, rule)) = self.waiting.take() else { return Next::Wait(PAUSE) };
        match self.matcher.take(part.part_id, part.triggered) {
            Ok(file) => {
                effects.push(Effect::Found(now.saturating_duration_since(part.triggered)));
                Next::Judge { number: Some(part.number), rule: Some(rule), file }
            }
            Err(NoImage::NotYet) if now < give_up_at(&part) => {
                self.waiting = Some((part, rule));
                Next::Wait(PAUSE.min(give_up_at(&part).saturating_duration_since(now)))
            }
            Err(why) => {
                self.miss(part.part_id, now, effects);
                let reason = if why == NoImage::NotYet { ReasonCode::NO_IMAGE } else { ReasonCode::IMAGE_MISMATCH };
                effects.push(Effect::Reject { number: part.number, reason, detail: why.to_string() });
                Next::Wait(Duration::ZERO)
            }
        }
    }

    /// The engine's proof, of [`Next::Load`] or [`Next::Prove`], ended at `now`.
    ///
    /// The next proof is due one interval after this one was due, so that waiting for the line does not delay all further proofs. But
    /// at least half an interval passes until then, so that the line gets time for parts between two proofs.
    pub(in crate::appliance) fn proved(&mut self, now: Instant, has_passed: bool) {
        let interval = self.settings.prove_every / self.settings.golden_images.get();
        self.prove_at = if has_passed { (self.prove_at + interval).max(now + interval / 2) } else { now + PROVE_AGAIN };
    }

    /// The judging of an image ended at `now`. `is_mismatch`: its file was not the one that had arrived.
    pub(in crate::appliance) fn judged(&mut self, now: Instant, is_mismatch: bool) {
        if is_mismatch {
            // When matching by order, the file that is at the path now can't be assigned to a part.
            self.matcher.doubt(now);
        }
    }

    /// [`Next::Load`] or [`Next::Prove`] if the engine is to be loaded or proven again now. The proof of a running engine waits until
    /// no part is in progress, but at most `max_prove_wait`. While it waits, it is requested with [`Effect::RequestProof`]. Each proof
    /// takes the next golden image, in turn.
    fn next_proof(&mut self, now: Instant, view: &View, effects: &mut Vec<Effect>) -> Option<Next> {
        if self.waiting.is_some() || view.engine == EngineState::Lost || view.is_stopping {
            return None;
        }
        let late = now.checked_duration_since(self.prove_at);
        if !view.is_running {
            // An engine that failed its proof is loaded again only when that is due.
            if view.engine == EngineState::Failed && late.is_none() {
                return None;
            }
            (self.prove_at, self.next_golden) = (now, 0);
            return Some(Next::Load);
        }
        let is_granted = view.engine == EngineState::ProofGranted;
        if late? > self.settings.max_prove_wait || is_granted {
            let golden = self.next_golden;
            self.next_golden = (golden + 1) % self.settings.golden_images;
            return Some(Next::Prove { golden });
        }
        effects.push(Effect::RequestProof);
        None
    }

    /// Whether an image without a trigger may be judged. While the appliance is stopping, while no engine is proven and while
    /// another such image is being recorded, images stay in the scanner's folder.
    fn may_judge_untriggered(&self, view: &View) -> bool {
        let is_able = view.is_running && !view.is_stopping && !self.is_recording;
        self.settings.matching == Matching::FreeRunning && is_able
    }

    /// The part ended without an image.
    fn miss(&mut self, part_id: u64, now: Instant, effects: &mut Vec<Effect>) {
        let missed = self.matcher.missed(part_id, now);
        self.set_aside(missed, Unjudged::TooLate, effects);
    }

    fn report_order(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let is_known = self.matcher.is_in_step(now);
        match (std::mem::replace(&mut self.is_order_known, is_known), is_known) {
            (true, false) => effects.push(Effect::OrderLost),
            (false, true) => effects.push(Effect::OrderRestored),
            _ => {}
        }
    }

    /// Sets images aside because of `why`. When matching by order, the reason is always that the order is lost: an image without a
    /// part either made the order unknown or came while it was unknown.
    fn set_aside(&self, images: Vec<ImageFile>, why: Unjudged, effects: &mut Vec<Effect>) {
        let why = if self.settings.matching.is_by_order() { Unjudged::OutOfOrder } else { why };
        if !images.is_empty() {
            effects.push(Effect::SetAside(images, why));
        }
    }
}

/// When a part without an image is rejected.
fn give_up_at(part: &Part) -> Instant {
    part.deadline.checked_sub(GIVE_UP_BEFORE).unwrap_or(part.triggered)
}

#[cfg(test)]
mod tests;
