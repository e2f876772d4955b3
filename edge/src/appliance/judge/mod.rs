//! Service: judges the image of each trigger. [`logic`] decides what to do, and this service's thread does it.

pub(super) mod logic;

use super::bundle::BundleSettings;
use super::liveness::Worker;
use super::messages::{ArchiverQueue, LineQueue, ToJudge, ToLine};
use super::part::judged::{self, Judged};
use super::service::Service;
use super::shared::Shared;
use crate::acquire::ImageFile;
use crate::config::Config;
use crate::pipeline::{Activation, ActivationError, Alive, Chosen, Pipeline, Stage};
use cellgate_models::model::Model;
use cellgate_models::policy::{Reason, Rule};
use cellgate_protocol::limits::MAX_WORKER_PAUSE_MS;
use cellgate_protocol::reason::ReasonCode;
use logic::{Effect, Logic, Next, Settings, View};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long reading or converting an image may take before the judge counts as stuck.
const MAX_STAGE_TIME: Duration = Duration::from_millis(MAX_WORKER_PAUSE_MS);
/// How long a step of loading an engine or of its first proof may take. The appliance is not ready meanwhile, so no part passes.
const MAX_LOAD_TIME: Duration = Duration::from_secs(120);
/// A proof of the running engine waits until no part is in progress, for at most the longest deadline and this time.
const PROVE_WAIT_MORE: Duration = Duration::from_secs(1);

/// The judge service.
pub(super) struct Judge {
    model: Model,
    activation: Activation,
    shared: Arc<Shared>,
    messages: Receiver<ToJudge>,
    line: LineQueue,
    archiver: ArchiverQueue,
    settings: Settings,
    /// The rule of images without a trigger.
    without: Rule,
}

/// The judge's queues.
pub(super) struct Connections {
    /// The judge's own queue.
    pub(super) messages: Receiver<ToJudge>,
    /// To `Line`.
    pub(super) line: LineQueue,
    /// To the archiver.
    pub(super) archiver: ArchiverQueue,
}

impl Service for Judge {
    fn name(&self) -> &'static str {
        Worker::Judge.name()
    }

    fn run(self) {
        // The sandbox's worker process ends with the thread that started it, so this thread must own the pipeline.
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
                Next::Load => {
                    let has_passed = self.load(&mut engine);
                    logic.proved(Instant::now(), has_passed);
                }
                Next::Prove { golden } => {
                    let has_passed = self.prove(&mut engine, golden);
                    logic.proved(Instant::now(), has_passed);
                }
                Next::Judge { number, rule, file } => {
                    let path = file.path.clone();
                    let rule = rule.map_or(self.without, |rule| *rule);
                    let judged = self.judge(&mut engine, file, &rule);
                    logic.judged(Instant::now(), judged.is_mismatch());
                    let is_sent = self.line.send(match number {
                        Some(number) => ToLine::Judged { number, judged },
                        None => ToLine::FreeRunning { judged, at: Instant::now() },
                    });
                    if !is_sent {
                        let image = path.display();
                        tracing::warn!(
                            event = "result_discarded",
                            %image,
                            "the image was judged while the appliance ended: it is not recorded and stays in its folder"
                        );
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

/// The pipeline, as long as its engine is proven.
struct RunningEngine {
    pipeline: Option<Pipeline>,
    /// How long the network may take for one image before the judge counts as stuck.
    max_infer: Duration,
}

impl Judge {
    /// The service with the settings of the configuration.
    pub(super) fn new(
        config: &Config,
        model: Model,
        activation: Activation,
        shared: Arc<Shared>,
        connections: Connections,
    ) -> Self {
        let Connections { messages, line, archiver } = connections;
        shared.metrics.image.set_envelope(model.envelope());
        let images = u32::try_from(model.golden().len()).ok().and_then(NonZeroU32::new);
        let settings = Settings {
            matching: config.acquire.matching,
            lead: Duration::from_millis(config.acquire.lead_ms),
            prove_every: Duration::from_secs(60 * u64::from(config.model.prove_every_minutes.get())),
            golden_images: images.expect("a model has at least one golden image"),
            max_prove_wait: PROVE_WAIT_MORE + Duration::from_millis(config.plc.deadline_ms.get().into()),
        };
        let without = BundleSettings::without(&config.bundle, model.policy());
        Self { model, activation, shared, messages, line, archiver, settings, without }
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
                    event = "order_lost",
                    lead_ms = self.settings.lead.as_millis(),
                    "images can't be assigned to triggers: every part is REJECT/IMAGE_MISMATCH until neither has come for \
                     lead_ms; pause the line for that long"
                ),
                Effect::OrderRestored => {
                    tracing::info!(event = "order_restored", "images can be assigned to triggers again");
                }
            }
        }
    }

    /// Judges the image in `file` by `rule`, if it is still the file that arrived. An engine that fails is unloaded, because none of its
    /// scores can be trusted any more.
    fn judge(&self, engine: &mut RunningEngine, file: ImageFile, rule: &Rule) -> Judged {
        let max_infer = engine.max_infer;
        let Some(pipeline) = &mut engine.pipeline else {
            return Judged::reject(ReasonCode::ENGINE_FAILED, "no engine is proven").with_file(file);
        };
        if file.identity.is_none() {
            let detail = "the file was written to or replaced right after it arrived";
            return Judged::reject(ReasonCode::IMAGE_MISMATCH, detail).with_file(file);
        }
        let mut judgement = pipeline.judge_telling(&file.path, Some(&file), rule, &mut |stage| {
            let most = if stage == Stage::Infer { max_infer } else { MAX_STAGE_TIME };
            self.shared.liveness.busy(Worker::Judge, most);
        });
        let start = Instant::now();
        let regions = judged::regions(&judgement, rule, self.model.conversion());
        judgement.times.decide += start.elapsed();
        self.shared.metrics.parts.judged(&judgement.times);
        if let Some(measures) = &judgement.measures {
            self.shared.metrics.image.measured(measures);
        }
        self.shared.metrics.device.set_decoder_restarts(pipeline.sandbox().restarts());
        if pipeline.is_lost() {
            engine.pipeline = None;
            self.shared.give_up_engine(judgement.detail.as_deref().unwrap_or_default());
        } else if judgement.decision.reason == Reason::EngineFailed {
            tracing::error!(
                event = "engine_failed",
                detail = judgement.detail,
                "not ready: the engine is loaded again"
            );
            self.shared.engine.set_starting();
            engine.pipeline = None;
        }
        Judged::of(judgement, file, self.model.conversion(), rule, regions)
    }

    /// Loads the engine and proves it on all golden images. Returns whether the engine passed.
    fn load(&self, engine: &mut RunningEngine) -> bool {
        self.shared.engine.set_starting();
        self.shared.liveness.busy(Worker::Judge, MAX_LOAD_TIME);
        let start = Instant::now();
        let outcome = self.activate();
        if matches!(outcome, Err(ActivationError::Stopped)) {
            tracing::info!(event = "proof_stopped", "the appliance stops before the engine is proven");
            return false;
        }
        let has_passed = self.proved(engine, outcome);
        if has_passed {
            let ms = start.elapsed().as_millis();
            tracing::info!(event = "engine_proven", ms, "the engine gave the golden images their expected outputs");
        }
        has_passed
    }

    /// Proves the running engine again on the golden image number `golden`. Returns whether the engine passed. If it did not, no
    /// pipeline is left.
    fn prove(&self, engine: &mut RunningEngine, golden: u32) -> bool {
        let Some(running) = engine.pipeline.take() else { return false };
        self.shared.engine.set_starting();
        // No sign of life comes meanwhile.
        self.shared.liveness.busy(Worker::Judge, engine.max_infer + 2 * MAX_STAGE_TIME);
        let start = Instant::now();
        let proven = running.proven_again(&self.model, self.activation.precision, golden as usize);
        let has_passed = self.proved(engine, proven);
        if has_passed {
            let ms = start.elapsed().as_millis();
            tracing::info!(
                event = "engine_proven_again",
                golden,
                ms,
                "the engine gave one golden image its expected outputs again"
            );
        }
        has_passed
    }

    /// Keeps a pipeline that passed its proof. Returns whether it passed.
    fn proved(&self, engine: &mut RunningEngine, outcome: Result<Pipeline, ActivationError>) -> bool {
        self.shared.metrics.device.proved(outcome.is_ok());
        match outcome {
            Ok(proven) => {
                // Twice the network's time for the slowest golden image, but at least `MAX_STAGE_TIME`.
                engine.max_infer = (2 * proven.slowest_inference()).max(MAX_STAGE_TIME);
                engine.pipeline = Some(proven);
                self.shared.engine.set_proven();
                return true;
            }
            Err(error) if error.is_lost() => self.shared.give_up_engine(&error.in_one_line()),
            Err(error) => {
                self.shared.engine.set_failed();
                let error = error.in_one_line();
                tracing::error!(event = "engine_refused", error, "not ready: the next attempt follows in 10 s");
            }
        }
        false
    }

    fn activate(&self) -> Result<Pipeline, ActivationError> {
        let shared = Arc::clone(&self.shared);
        let alive: Alive = Arc::new(move || {
            shared.liveness.busy(Worker::Judge, MAX_LOAD_TIME);
            shared.continue_unless_stopping()
        });
        let (pipeline, chosen): (Pipeline, Chosen) = Pipeline::activate_telling(&self.model, &self.activation, &alive)?;
        self.shared.metrics.device.set_fallback(chosen.is_fallback);
        let Chosen { engine, why, unused_gpu, .. } = &chosen;
        if chosen.is_fallback {
            let gpu = unused_gpu.as_ref().map_or_else(|| "none found".to_owned(), ToString::to_string);
            tracing::warn!(
                event = "engine_fallback",
                engine,
                gpu,
                why,
                "judging on the CPU, because the GPU can't be used"
            );
        } else {
            tracing::info!(event = "engine_chosen", engine, why, "judging with this engine");
        }
        Ok(pipeline)
    }
}
