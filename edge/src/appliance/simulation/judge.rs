//! The judge of the simulated line: its real logic, and a network that knows good parts from bad ones.

use super::{LEAD, Simulation, What};
use crate::acquire::ImageFile;
use crate::appliance::engine_state::EngineState;
use crate::appliance::judge::logic::{Effect, Logic, Next, Settings, View};
use crate::appliance::part::judged::Judged;
use crate::config::Matching;
use crate::pipeline::{Judgement, Times};
use cellgate_models::conversion::{ConversionSpec, Method};
use cellgate_models::policy::Reason;
use rand::RngExt as _;
use std::time::{Duration, Instant};

impl Simulation {
    pub(super) fn serve_judge(&mut self) {
        if self.now_ms < self.judging_until_ms {
            return;
        }
        let mut effects = Vec::new();
        while let Some(message) = self.inbox.pop_front() {
            self.logic.on_message(message, self.now(), &mut effects);
        }
        let engine = self.engine.get();
        let view = View { engine, is_running: engine != EngineState::Starting, is_stopping: false };
        match self.logic.next(self.now(), &view, &mut effects) {
            Next::Prove => {
                let is_loading = engine == EngineState::Starting;
                self.engine.set_starting();
                self.judging_until_ms = self.now_ms + if is_loading { 0 } else { 50 };
                self.engine.set_proven();
                self.logic.proved(self.now(), true);
            }
            Next::Judge { number, file } => {
                let took_ms = if self.goes_wrong(10) { 600 } else { self.random.random_range(5..60) };
                self.judging_until_ms = self.now_ms + took_ms;
                let judged = judged(file);
                if let Some(number) = number {
                    if self.goes_wrong(5) {
                        self.after(took_ms + 1, What::Judged { number, judged: judged.clone() });
                    }
                    self.after(took_ms, What::Judged { number, judged });
                }
            }
            Next::Wait(_) => {}
        }
        for effect in effects {
            match effect {
                Effect::Reject { number, reason, detail } => {
                    self.after(0, What::Judged { number, judged: Judged::reject(reason, detail) });
                }
                Effect::RequestProof => self.engine.request_proof(),
                _ => {}
            }
        }
    }
}

pub(super) fn logic_of(matching: Matching, now: Instant) -> Logic {
    let prove_every = Duration::from_secs(20);
    Logic::new(Settings { matching, lead: LEAD, prove_every, prove_wait_most: Duration::from_secs(2) }, now)
}

pub(super) fn is_good(part: u64) -> bool {
    !part.is_multiple_of(3)
}

/// The result for this image: PASS for a good part.
fn judged(file: ImageFile) -> Judged {
    let part: u64 = file.path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok()).unwrap();
    let reason = if is_good(part) { Reason::ScoreBelowReview } else { Reason::ScoreFromReject };
    let score = Some(if is_good(part) { 0.1 } else { 0.9 });
    let judgement = Judgement {
        decision: reason.into(),
        score,
        image: None,
        detail: None,
        detail_without_path: None,
        times: Times::default(),
    };
    Judged::of(judgement, file, &ConversionSpec::new(Method::Naive))
}
