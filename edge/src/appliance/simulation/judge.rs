//! Simulates the judge: the real logic, with a network that always tells good from bad parts.

use super::{LEAD, SimulatedEvent, Simulation};
use crate::acquire::ImageFile;
use crate::appliance::judge::logic::{Effect, Logic, Next, Settings, View};
use crate::appliance::part::judged::Judged;
use crate::config::Matching;
use crate::pipeline::{Judgement, Times};
use cellgate_models::conversion::{ConversionSpec, Method, Size};
use cellgate_models::engine::{LogitMap, Output, WhitenedFeatures};
use cellgate_models::policy::{Calibration, OperatingPoint, Policy, Reference, Rule};
use rand::RngExt as _;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

impl Simulation {
    /// The engine's proof begins and takes this long.
    fn begin_proof(&mut self, took_ms: u64) {
        self.engine.set_starting();
        self.is_running = false;
        self.judging_until_ms = self.now_ms + took_ms;
        let has_passed = !self.goes_wrong_per_mille(100);
        self.after(took_ms, SimulatedEvent::Proved(has_passed));
    }

    /// The engine's proof ended.
    pub(super) fn proved(&mut self, has_passed: bool) {
        self.is_running = has_passed;
        if has_passed {
            self.engine.set_proven();
        } else {
            self.engine.set_failed();
        }
        self.logic.proved(self.now(), has_passed);
    }

    pub(super) fn serve_judge(&mut self) {
        if self.now_ms < self.judging_until_ms {
            return;
        }
        let mut effects = Vec::new();
        while let Some(message) = self.inbox.pop_front() {
            self.logic.on_message(message, self.now(), &mut effects);
        }
        let engine = self.engine.get();
        let view = View { engine, is_running: self.is_running, is_stopping: false };
        match self.logic.next(self.now(), &view, &mut effects) {
            Next::Load => self.begin_proof(50),
            Next::Prove { .. } => self.begin_proof(10),
            Next::Judge { number, rule, file } => {
                // 600 ms is longer than the deadline.
                let took_ms = if self.goes_wrong_per_mille(10) { 600 } else { self.random.random_range(5..60) };
                self.judging_until_ms = self.now_ms + took_ms;
                let judged = judged(file, &rule.map_or_else(|| policy().rule(), |rule| *rule));
                let Some(number) = number else {
                    self.after(took_ms, SimulatedEvent::FreeRunning(judged));
                    return;
                };
                // The result comes twice.
                if self.goes_wrong_per_mille(5) {
                    self.after(took_ms + 1, SimulatedEvent::Judged { number, judged: judged.clone() });
                }
                self.after(took_ms, SimulatedEvent::Judged { number, judged });
            }
            Next::Wait(_) => {}
        }
        for effect in effects {
            match effect {
                Effect::Reject { number, reason, detail } => {
                    self.after(0, SimulatedEvent::Judged { number, judged: Judged::reject(reason, detail) });
                }
                Effect::RequestProof => self.engine.request_proof(),
                Effect::SetAside(images, _) => {
                    self.images.retain(|path| images.iter().all(|image| image.path != *path));
                }
                Effect::Found(_) | Effect::OrderLost | Effect::OrderRestored => {}
            }
        }
    }
}

pub(super) fn logic_of(matching: Matching, now: Instant) -> Logic {
    let settings = Settings {
        matching,
        lead: LEAD,
        prove_every: Duration::from_secs(60),
        golden_images: NonZeroU32::new(3).unwrap(),
        max_prove_wait: Duration::from_secs(2),
    };
    Logic::new(settings, now)
}

pub(super) fn is_good(part: u64) -> bool {
    !part.is_multiple_of(3)
}

/// The bundle that the PLC names for this part: another one after each 60 parts, and for each eighth of these none.
pub(super) fn bundle_of(part: u64) -> u32 {
    let bundle = u32::try_from(part / 60).unwrap() + 1;
    if bundle.is_multiple_of(8) { 0 } else { bundle }
}

/// How much the bundle that this part was made in shifts its logits. Every fifth bundle is unlike those of the training.
fn shift_of(part: u64) -> f32 {
    match part / 60 % 10 {
        4 => 40.0,
        9 => -40.0,
        bundle => bundle as f32 / 10.0 - 0.4,
    }
}

/// The policy of the simulated model. It needs two reference parts. The logit of a good part less the offset of its bundle is about 0.
pub(super) fn policy() -> Policy {
    let [without, with] =
        [[-1.0, 1.0], [2.0, 3.0]].map(|thresholds| OperatingPoint::new(thresholds, Calibration::IDENTITY).unwrap());
    let bundles: Vec<[f64; 3]> =
        (0..9).map(|bundle| f64::from(bundle) / 10.0 - 2.4).map(|mean| [mean - 0.1, mean, mean + 0.1]).collect();
    Policy::with_reference(without, with, Reference::estimate(&bundles, 2).unwrap())
}

/// The result for this image by `rule`. The logit of a good part is -2 plus the shift of its bundle. That of another part is far above
/// the reject thresholds, whatever its bundle is.
fn judged(file: ImageFile, rule: &Rule) -> Judged {
    let part: u64 = file.path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok()).unwrap();
    let logit = if is_good(part) { shift_of(part) - 2.0 } else { 50.0 };
    let features = WhitenedFeatures::ORIGIN;
    let output = Output { logit, map: LogitMap::new(Size { height: 1, width: 1 }, vec![logit]).unwrap(), features };
    let judgement = Judgement {
        decision: rule.decide(logit, &features),
        score: rule.score(logit),
        distance: Some(rule.distance(&features)),
        output: Some(output),
        size: None,
        measures: None,
        image: None,
        detail: None,
        detail_without_path: None,
        times: Times::default(),
    };
    Judged::of(judgement, file, &ConversionSpec::new(Method::Naive), rule, None)
}
