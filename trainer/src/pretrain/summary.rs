//! How far a run is, in figures.

use super::checkpoint::State;
use super::config::{Budget, Run};
use super::held_out::Figures;
use serde::Serialize;
use std::path::PathBuf;

/// The weights' file.
pub(super) const WEIGHTS: &str = "resnet34-electrodes.safetensors";

/// A run so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The weights.
    pub weights: PathBuf,
    /// Whether the budget is used up.
    pub finished: bool,
    /// Steps made.
    pub steps: u64,
    /// Crops trained on.
    pub images: u64,
    /// Time spent.
    pub seconds: f64,
    /// Crops a second.
    pub images_per_s: f64,
    /// Rendering on its threads, as a share of the time spent: above 1 where several threads render.
    pub render_share: f64,
    /// Share of the time spent that training waited for a batch.
    pub waiting_share: f64,
    /// Mean loss of the first ten steps.
    pub first_loss: Option<f64>,
    /// Mean loss of the last ten steps.
    pub last_loss: Option<f64>,
    /// The last figures on held-out electrodes.
    pub held_out: Option<Figures>,
}

/// Share of the budget that is used.
pub(super) fn share(budget: Budget, state: &State) -> f64 {
    match budget {
        Budget::Steps(steps) => state.steps as f64 / steps as f64,
        Budget::Minutes(minutes) => state.seconds / (60.0 * minutes),
    }
}

/// What `state` comes to.
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
