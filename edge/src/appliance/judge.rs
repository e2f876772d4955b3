//! Thread: from a trigger and its image to what was found out.

use super::beat::{PAUSE, Worker};
use super::keep::Chore;
use super::line::Told;
use super::part::{Judged, Part};
use super::record::Request;
use super::run::Shared;
use crate::acquire::{Arrival, ImageFile, Matcher, NoImage, Unjudged};
use crate::config::Matching;
use crate::pipeline::{Activation, ActivationError, Alive, Pipeline, Stage};
use cellgate_models::bundle::Bundle;
use cellgate_models::policy::Reason;
use cellgate_protocol::reason::ReasonCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How long before its deadline a part without an image is given up.
const GIVE_UP_BEFORE: Duration = Duration::from_millis(100);
/// What reading or converting an image may take until the judge counts as stuck.
const STAGE_MOST: Duration = Duration::from_millis(200);
/// What a step of loading an engine or of its first proof may take. Nothing is a PASS meanwhile, as the appliance is not ready.
const LOAD_MOST: Duration = Duration::from_secs(120);
/// Pause before an engine that failed its proof is tried again.
const PROVE_AGAIN: Duration = Duration::from_secs(10);

/// How long the image of `part` may still come.
fn time_for_image(part: &Part) -> Duration {
    part.deadline.saturating_duration_since(Instant::now() + GIVE_UP_BEFORE)
}

/// Something for the judge.
#[derive(Debug)]
pub(super) enum Work {
    /// A part was triggered.
    Part(Part),
    /// An image is complete.
    Arrival(Arrival),
    /// A trigger was refused, or nobody watched for images: the order of both says nothing any more.
    Doubt,
    /// The appliance ends.
    Stop,
}

/// How the engine is, for the line.
#[derive(Debug, Default)]
pub(super) struct EngineState(AtomicU8);

impl EngineState {
    const STARTING: u8 = 0;
    pub(super) const PROVEN: u8 = 1;
    const FAILED: u8 = 2;
    /// What runs it can't be used in this process any more.
    const LOST: u8 = 5;
    /// Proven, and to be asked again as soon as the line lets it.
    const DUE: u8 = 3;
    /// The line is not ready and has nothing in hand: it may be asked again.
    const LET: u8 = 4;

    /// It gave the golden images their scores, and is not being asked again just now.
    pub(super) fn is_proven(&self) -> bool {
        matches!(self.0.load(Ordering::Acquire), Self::PROVEN | Self::DUE)
    }

    /// The judge wants to ask again; whether it may. A proof takes the PASS away from a part that is in hand, so the line says
    /// when there is none.
    pub(super) fn may_prove(&self) -> bool {
        let _ = self.0.compare_exchange(Self::PROVEN, Self::DUE, Ordering::AcqRel, Ordering::Acquire);
        self.0.load(Ordering::Acquire) == Self::LET
    }

    /// The line has nothing in hand: if the judge wants to ask again, it may, and the engine is not proven until it did.
    pub(super) fn let_prove(&self) {
        let _ = self.0.compare_exchange(Self::DUE, Self::LET, Ordering::AcqRel, Ordering::Acquire);
    }

    /// It did not.
    pub(super) fn has_failed(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::FAILED
    }

    /// Only a new process can run it again.
    pub(super) fn is_lost(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::LOST
    }

    /// From now on only a new process can run it.
    pub(super) fn lose(&self) {
        self.set(Self::LOST);
    }

    pub(super) fn set(&self, state: u8) {
        self.0.store(state, Ordering::Release);
    }
}

/// What the judge works with.
pub(super) struct Judge {
    pub(super) bundle: Bundle,
    pub(super) activation: Activation,
    pub(super) prove_every: Duration,
    /// How long a proof that is due waits for the line to have nothing in hand.
    pub(super) prove_wait_most: Duration,
    pub(super) matcher: Matcher,
    pub(super) matching: Matching,
    pub(super) shared: Arc<Shared>,
    pub(super) work: Receiver<Work>,
    pub(super) told: UnboundedSender<Told>,
    pub(super) requests: Sender<Request>,
    pub(super) chores: Sender<Chore>,
}

impl Judge {
    /// Runs until [`Work::Stop`].
    pub(super) fn run(mut self) {
        // Sandbox and engine belong to this thread: the sandbox's worker ends with the thread that started it.
        let mut pipeline: Option<Pipeline> = None;
        let mut infer_most = STAGE_MOST;
        let mut prove_at = Instant::now();
        let mut waiting: Option<Part> = None;
        let mut is_in_step = true;
        loop {
            let is_new = pipeline.is_none() && !self.shared.engine.has_failed();
            let is_stopping = self.shared.stop.load(Ordering::Acquire);
            let may_load = waiting.is_none() && !self.shared.engine.is_lost() && !is_stopping;
            if may_load && (is_new || self.is_time_to_prove(prove_at, pipeline.is_some())) {
                let proof = self.prove(&mut pipeline, infer_most);
                prove_at = Instant::now() + if proof.is_some() { self.prove_every } else { PROVE_AGAIN };
                infer_most = proof.unwrap_or(infer_most);
            }
            self.shared.beats.idle(Worker::Judge);
            // What waits when a signal comes stays in its folder, and is judged after the next start. So does what comes while
            // no engine is proven, until one is.
            let is_able = pipeline.is_some() && !self.shared.stop.load(Ordering::Acquire);
            let takes_free = self.matching == Matching::FreeRunning && is_able;
            match self.work.recv_timeout(self.pause(waiting.as_ref(), takes_free)) {
                Ok(Work::Part(part)) if self.matching == Matching::FreeRunning => {
                    let judged = Judged::reject(ReasonCode::NO_IMAGE, "free-running, no image is a trigger's");
                    let _ = self.told.send(Told::Judged { number: part.number, judged });
                }
                Ok(Work::Part(part)) => {
                    if let Some(before) = waiting.replace(part) {
                        self.set_aside_missed(before.part_id);
                    }
                }
                Ok(Work::Arrival(arrival)) => self.matcher.add(arrival),
                Ok(Work::Doubt) => self.matcher.doubt(Instant::now()),
                Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let stale = self.matcher.stale(Instant::now());
            self.set_aside(stale, Unjudged::NoTrigger);
            self.tell_order(&mut is_in_step);
            self.shared.metrics.parts.show_waiting(self.matcher.backlog());
            if takes_free && let Some(file) = self.matcher.take_oldest() {
                let judged = self.judge(&mut pipeline, file, infer_most);
                let _ = self.requests.send(Request::Free { judged, at: Instant::now() });
            }
            if let Some(part) = waiting
                && let Some(judged) = self.settle(part, &mut pipeline, infer_most)
            {
                waiting = None;
                let _ = self.told.send(Told::Judged { number: part.number, judged });
            }
        }
    }

    /// Whether the proof that was due at `prove_at` is to begin. That of a running engine waits until the line has nothing in
    /// hand, but not for ever.
    fn is_time_to_prove(&self, prove_at: Instant, is_running: bool) -> bool {
        let late = Instant::now().checked_duration_since(prove_at);
        late.is_some_and(|late| !is_running || self.shared.engine.may_prove() || late > self.prove_wait_most)
    }

    /// How long to wait for work: not when there is some, and not beyond the moment at which `waiting` is to be given up.
    fn pause(&self, waiting: Option<&Part>, takes_free: bool) -> Duration {
        match waiting {
            _ if takes_free && self.matcher.backlog() > 0 => Duration::ZERO,
            Some(part) => PAUSE.min(time_for_image(part)),
            None => PAUSE,
        }
    }

    /// What is found out about `part`; none while its image may still come.
    fn settle(&mut self, part: Part, pipeline: &mut Option<Pipeline>, infer_most: Duration) -> Option<Judged> {
        match self.matcher.take(part.part_id, part.triggered) {
            Ok(file) => {
                self.shared.metrics.parts.found_image(part.triggered.elapsed());
                let judged = self.judge(pipeline, file, infer_most);
                if judged.is_mismatch() {
                    // By order, whose the file is now nobody knows.
                    self.matcher.doubt(Instant::now());
                }
                Some(judged)
            }
            Err(NoImage::NotYet) if !time_for_image(&part).is_zero() => None,
            Err(why) => {
                self.set_aside_missed(part.part_id);
                let reason = if why == NoImage::NotYet { ReasonCode::NO_IMAGE } else { ReasonCode::IMAGE_MISMATCH };
                Some(Judged::reject(reason, why.to_string()))
            }
        }
    }

    /// Judges the image in `file`, if it is still what came. An engine that fails is given up: what else it would say is not
    /// known.
    fn judge(&self, proven: &mut Option<Pipeline>, file: ImageFile, infer_most: Duration) -> Judged {
        let Some(pipeline) = proven else {
            return Judged::reject(ReasonCode::ENGINE_FAILED, "there is no engine that was proven").with_file(file);
        };
        let Some(expected) = &file.identity else {
            let detail = "the file was written to or replaced as soon as it had come";
            return Judged::reject(ReasonCode::IMAGE_MISMATCH, detail).with_file(file);
        };
        let judgement = pipeline.judge_telling(&file.path, Some(expected), &mut |stage| {
            let most = if stage == Stage::Infer { infer_most } else { STAGE_MOST };
            self.shared.beats.busy(Worker::Judge, most);
        });
        self.shared.metrics.parts.judged(&judgement.times);
        self.shared.metrics.device.show_decoder_restarts(pipeline.sandbox().restarts());
        if pipeline.is_lost() {
            *proven = None;
            self.shared.give_up_engine(judgement.detail.as_deref().unwrap_or_default());
        } else if judgement.decision.reason == Reason::EngineFailed {
            tracing::error!(detail = judgement.detail, "not ready: the engine failed; it is loaded anew");
            self.shared.engine.set(EngineState::STARTING);
            *proven = None;
        }
        Judged::of(judgement, file, self.bundle.conversion())
    }

    /// Makes the pipeline, or asks it again for the golden images' scores. How long its network may take until it
    /// counts as stuck: twice what the slowest golden image took. None where it failed: then there is no pipeline.
    fn prove(&self, pipeline: &mut Option<Pipeline>, infer_most: Duration) -> Option<Duration> {
        self.shared.engine.set(EngineState::STARTING);
        let images = u32::try_from(self.bundle.golden().count()).unwrap_or(u32::MAX);
        let most = pipeline.as_ref().map(|_| (infer_most + 2 * STAGE_MOST).saturating_mul(images));
        self.shared.beats.busy(Worker::Judge, most.unwrap_or(LOAD_MOST));
        let start = Instant::now();
        let outcome = match pipeline.take() {
            None => {
                let shared = Arc::clone(&self.shared);
                let alive: Alive = Arc::new(move || {
                    shared.beats.busy(Worker::Judge, LOAD_MOST);
                    shared.go_on()
                });
                Pipeline::activate_telling(&self.bundle, &self.activation, &alive).map(|(pipeline, chosen)| {
                    self.shared.metrics.device.show_fallback(chosen.is_fallback);
                    if chosen.is_fallback {
                        tracing::warn!("judging with {chosen}");
                    } else {
                        tracing::info!("judging with {chosen}");
                    }
                    pipeline
                })
            }
            Some(running) => {
                let shared = Arc::clone(&self.shared);
                let go_on: Alive = Arc::new(move || shared.go_on());
                running.proven(&self.bundle, self.activation.precision, &go_on)
            }
        };
        if matches!(outcome, Err(ActivationError::Stopped)) {
            tracing::info!("stopped before the engine was proven");
            return None;
        }
        self.shared.metrics.device.proved(outcome.is_ok());
        match outcome {
            Ok(proven) => {
                let slowest = proven.slowest_inference();
                *pipeline = Some(proven);
                self.shared.engine.set(EngineState::PROVEN);
                tracing::info!(ms = start.elapsed().as_millis(), "the engine gave the golden images their scores");
                Some((2 * slowest).max(STAGE_MOST))
            }
            Err(error) if error.is_lost() => {
                self.shared.give_up_engine(&error.in_one_line());
                None
            }
            Err(error) => {
                self.shared.engine.set(EngineState::FAILED);
                let error = error.in_one_line();
                tracing::error!(error, "not ready: the engine was refused; trying again in 10 s");
                None
            }
        }
    }

    fn set_aside_missed(&mut self, part_id: u64) {
        let missed = self.matcher.missed(part_id, Instant::now());
        self.set_aside(missed, Unjudged::TooLate);
    }

    /// Says when the order of images and triggers is lost, and when it holds again.
    fn tell_order(&mut self, was_in_step: &mut bool) {
        let is_in_step = self.matcher.is_in_step(Instant::now());
        let lead_ms = self.matcher.lead().as_millis();
        match (std::mem::replace(was_in_step, is_in_step), is_in_step) {
            (true, false) => tracing::warn!(
                lead_ms,
                "the order of images and triggers is not known: every part is REJECT/IMAGE_MISMATCH until neither has come for \
                 lead_ms; pause the line for that long"
            ),
            (false, true) => tracing::info!("the order of images and triggers holds"),
            _ => {}
        }
    }

    /// By order, an image that is nobody's ended the order or came while it was lost.
    fn set_aside(&self, images: Vec<ImageFile>, why: Unjudged) {
        let why = if self.matching.is_by_order() { Unjudged::OutOfOrder } else { why };
        if !images.is_empty() {
            let _ = self.chores.send(Chore::SetAside { images, why });
        }
    }
}
