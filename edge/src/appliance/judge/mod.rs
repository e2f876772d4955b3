//! Service: from a trigger and its image to a result. [`logic`] decides what to do; this thread does it.

pub(super) mod logic;

use super::liveness::Worker;
use super::messages::{ArchiverQueue, LineQueue, ToJudge, ToLine};
use super::part::judged::Judged;
use super::service::Service;
use super::shared::Shared;
use crate::acquire::ImageFile;
use crate::config::Config;
use crate::pipeline::{Activation, ActivationError, Alive, Chosen, Pipeline, Stage};
use cellgate_models::model::Model;
use cellgate_models::policy::Reason;
use cellgate_protocol::reason::ReasonCode;
use logic::{Effect, Logic, Next, Settings, View};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// What reading or converting an image may take until the judge counts as stuck.
const MAX_STAGE_TIME: Duration = Duration::from_millis(200);
/// What a step of loading an engine or of its first proof may take. Nothing is a PASS meanwhile, as the appliance is not ready.
const MAX_LOAD_TIME: Duration = Duration::from_secs(120);
/// How much longer than the longest deadline a proof of the running engine waits for the part in hand.
const PROVE_WAIT_MORE: Duration = Duration::from_secs(1);

/// The service that judges.
pub(super) struct Judge {
    model: Model,
    activation: Activation,
    shared: Arc<Shared>,
    messages: Receiver<ToJudge>,
    line: LineQueue,
    archiver: ArchiverQueue,
    settings: Settings,
}

/// How the judge is connected to the other services.
pub(super) struct Connections {
    /// The judge's own queue.
    pub(super) messages: Receiver<ToJudge>,
    /// To the line.
    pub(super) line: LineQueue,
    /// To the archiver.
    pub(super) archiver: ArchiverQueue,
}

impl Service for Judge {
    fn name(&self) -> &'static str {
        Worker::Judge.name()
    }

    fn run(self) {
        // The sandbox's worker process ends with the thread that started it, so the pipeline belongs to this thread.
        let mut engine = RunningEngine { pipeline: None, max_infer: MAX_STAGE_TIME };
        let mut logic = Logic::new(self.settings, Instant::now());
        let mut effects = Vec::new();
        while !self.shared.is_shut_down() {
            let view = View {
                engine: self.shared.engine.get(),
                is_running: engine.pipeline.is_some(),
                is_stopping: self.shared.is_stopping(),
            };
            let next = logic.next(Instant::now(), &view, &mut effects);
            self.perform(&mut effects);
            match next {
                Next::Prove => {
                    let has_passed = self.prove(&mut engine);
                    logic.proved(Instant::now(), has_passed);
                }
                Next::Judge { number, file } => {
                    let path = file.path.clone();
                    let judged = self.judge(&mut engine, file);
                    logic.judged(Instant::now(), judged.is_mismatch());
                    let is_sent = self.line.send(match number {
                        Some(number) => ToLine::Judged { number, judged },
                        None => ToLine::FreeRunning { judged, at: Instant::now() },
                    });
                    if !is_sent {
                        let image = path.display();
                        tracing::warn!(%image, "judged while the appliance ends: not recorded, it stays where it is");
                    }
                }
                Next::Wait(most) => {
                    self.shared.liveness.idle(Worker::Judge);
                    match self.messages.recv_timeout(most) {
                        Ok(message) => logic.on_message(message, Instant::now(), &mut effects),
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                    self.perform(&mut effects);
                }
            }
            self.shared.metrics.parts.set_waiting(logic.backlog());
        }
    }
}

/// The pipeline while its engine is proven.
struct RunningEngine {
    pipeline: Option<Pipeline>,
    /// What its network may take for an image until the judge counts as stuck.
    max_infer: Duration,
}

impl Judge {
    /// The service, as the configuration says.
    pub(super) fn new(
        config: &Config,
        model: Model,
        activation: Activation,
        shared: Arc<Shared>,
        connections: Connections,
    ) -> Self {
        let Connections { messages, line, archiver } = connections;
        let settings = Settings {
            matching: config.acquire.matching,
            lead: Duration::from_millis(config.acquire.lead_ms),
            prove_every: Duration::from_secs(60 * u64::from(config.model.prove_every_minutes.get())),
            max_prove_wait: PROVE_WAIT_MORE + Duration::from_millis(config.plc.deadline_ms.get().into()),
        };
        Self { model, activation, shared, messages, line, archiver, settings }
    }

    fn perform(&self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Reject { number, reason, detail } => {
                    self.line.send(ToLine::Judged { number, judged: Judged::reject(reason, detail) });
                }
                Effect::Found(waited) => self.shared.metrics.parts.found_image(waited),
                Effect::SetAside(images, why) => self.archiver.set_aside(images, why),
                Effect::RequestProof => self.shared.engine.request_proof(),
                Effect::OrderLost => tracing::warn!(
                    lead_ms = self.settings.lead.as_millis(),
                    "the order of images and triggers is not known: every part is REJECT/IMAGE_MISMATCH until neither has come \
                     for lead_ms; pause the line for that long"
                ),
                Effect::OrderHolds => tracing::info!("the order of images and triggers holds"),
            }
        }
    }

    /// Judges the image in `file`, if it is still the one that arrived. An engine that fails is given up: its other scores
    /// can't be trusted.
    fn judge(&self, engine: &mut RunningEngine, file: ImageFile) -> Judged {
        let max_infer = engine.max_infer;
        let Some(pipeline) = &mut engine.pipeline else {
            return Judged::reject(ReasonCode::ENGINE_FAILED, "there is no engine that was proven").with_file(file);
        };
        if file.identity.is_none() {
            let detail = "the file was written to or replaced as soon as it had come";
            return Judged::reject(ReasonCode::IMAGE_MISMATCH, detail).with_file(file);
        }
        let judgement = pipeline.judge_telling(&file.path, Some(&file), &mut |stage| {
            let most = if stage == Stage::Infer { max_infer } else { MAX_STAGE_TIME };
            self.shared.liveness.busy(Worker::Judge, most);
        });
        self.shared.metrics.parts.judged(&judgement.times);
        self.shared.metrics.device.set_decoder_restarts(pipeline.sandbox().restarts());
        if pipeline.is_lost() {
            engine.pipeline = None;
            self.shared.give_up_engine(judgement.detail.as_deref().unwrap_or_default());
        } else if judgement.decision.reason == Reason::EngineFailed {
            tracing::error!(detail = judgement.detail, "not ready: the engine failed; it is loaded anew");
            self.shared.engine.set_starting();
            engine.pipeline = None;
        }
        Judged::of(judgement, file, self.model.conversion())
    }

    /// Loads the engine, or asks the running one again for the golden images' scores. Where it fails there is no pipeline.
    fn prove(&self, engine: &mut RunningEngine) -> bool {
        self.shared.engine.set_starting();
        let images = u32::try_from(self.model.golden().count()).unwrap_or(u32::MAX);
        let running = engine.pipeline.take();
        let most = running.as_ref().map(|_| (engine.max_infer + 2 * MAX_STAGE_TIME).saturating_mul(images));
        self.shared.liveness.busy(Worker::Judge, most.unwrap_or(MAX_LOAD_TIME));
        let start = Instant::now();
        let outcome = match running {
            None => self.load(),
            Some(running) => {
                let shared = Arc::clone(&self.shared);
                let go_on: Alive = Arc::new(move || shared.go_on());
                running.proven(&self.model, self.activation.precision, &go_on)
            }
        };
        if matches!(outcome, Err(ActivationError::Stopped)) {
            tracing::info!("stopped before the engine was proven");
            return false;
        }
        self.shared.metrics.device.proved(outcome.is_ok());
        match outcome {
            Ok(proven) => {
                // Twice what the slowest golden image took.
                engine.max_infer = (2 * proven.slowest_inference()).max(MAX_STAGE_TIME);
                engine.pipeline = Some(proven);
                self.shared.engine.set_proven();
                tracing::info!(ms = start.elapsed().as_millis(), "the engine gave the golden images their scores");
                return true;
            }
            Err(error) if error.is_lost() => self.shared.give_up_engine(&error.in_one_line()),
            Err(error) => {
                self.shared.engine.set_failed();
                let error = error.in_one_line();
                tracing::error!(error, "not ready: the engine was refused; trying again in 10 s");
            }
        }
        false
    }

    fn load(&self) -> Result<Pipeline, ActivationError> {
        let shared = Arc::clone(&self.shared);
        let alive: Alive = Arc::new(move || {
            shared.liveness.busy(Worker::Judge, MAX_LOAD_TIME);
            shared.go_on()
        });
        let (pipeline, chosen): (Pipeline, Chosen) = Pipeline::activate_telling(&self.model, &self.activation, &alive)?;
        self.shared.metrics.device.set_fallback(chosen.is_fallback);
        if chosen.is_fallback {
            tracing::warn!("judging with {chosen}");
        } else {
            tracing::info!("judging with {chosen}");
        }
        Ok(pipeline)
    }
}
