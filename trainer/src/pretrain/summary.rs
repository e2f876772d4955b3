//! Summarises a pre-training in figures.

use super::checkpoint::State;
use super::config::{Budget, Run};
use super::held_out::Figures;
use serde::Serialize;
use std::path::PathBuf;

/// Name of the weights file.
pub(super) const WEIGHTS: &str = "resnet34-electrodes.safetensors";

/// The summary of a finished or unfinished pre-training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Path of the weights file.
    pub weights: PathBuf,
    /// Whether the budget is used up.
    pub finished: bool,
    /// Number of steps done.
    pub steps: u64,
    /// Number of crops trained on.
    pub images: u64,
    /// Training time, in seconds. Interruptions do not count.
    pub seconds: f64,
    /// Crops per second of training time.
    pub images_per_s: f64,
    /// Rendering time, added up over all threads, relative to the training time. Above 1 is possible with several
    /// threads.
    pub render_share: f64,
    /// Share of the training time in which the training waited for a batch.
    pub waiting_share: f64,
    /// Mean loss in the first row of the loss curve, which covers up to ten steps. `None` before step ten.
    pub first_loss: Option<f64>,
    /// Mean loss in the last row of the loss curve, which covers up to ten steps. `None` before step ten.
    pub last_loss: Option<f64>,
    /// The latest figures on held-out electrodes.
    pub held_out: Option<Figures>,
}

/// The share of the budget that is used up; 1 or more at the end.
pub(super) fn share(budget: Budget, state: &State) -> f64 {
    match budget {
        Budget::Steps(steps) => state.steps as f64 / steps as f64,
        Budget::Minutes(minutes) => state.seconds / (60.0 * minutes),
    }
}

/// The summary of the pre-training `run`, whose progress is `state`.
pub(super) fn summary(run: &Run<'_>, state: &State) -> Summary {
    let images = state.steps * state.config.batch as u64;
    let of_time = |seconds: f64| if state.seconds > 0.0 { seconds / state.seconds } else { 0.0 };
    Summary {
        weights: run.out.join(WEIGHTS),
        finished: share(run.budget, state) >= 1.0,
        steps: state.steps,
        images,
        seconds: state.seconds,
        images_per_s: of_time(images as f64),
        render_share: of_time(state.rendered_s),
        waiting_share: of_time(state.waited_s),
        first_loss: state.rows.first().map(|row| row.loss),
        last_loss: state.rows.last().map(|row| row.loss),
        held_out: state.held_out.last().copied(),
    }
}
