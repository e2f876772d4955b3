//! What decides a run.

use cellgate_models::conversion::Size;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tch::Device;

/// What decides a run, together with its budget: a checkpoint goes on only with the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainConfig {
    /// Names the random numbers.
    pub seed: u64,
    /// Crops a step, at least 2.
    pub batch: usize,
    /// Size of a crop, multiples of 32 from 64 to 1024.
    pub crop: Size,
    /// The highest learning rate.
    pub learning_rate: f64,
}

/// When a run is done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// After so many steps.
    Steps(u64),
    /// After so many minutes of training, stops in between not counted. Weights then depend on the machine's speed.
    Minutes(f64),
}

/// A run to begin or to go on with.
#[derive(Debug)]
pub struct Run<'a> {
    /// Its folder.
    pub out: &'a Path,
    /// What decides it.
    pub config: PretrainConfig,
    /// When it is done.
    pub budget: Budget,
    /// Where it computes.
    pub device: Device,
    /// Ends it after the current step, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// The command, for the model card.
    pub command: &'a str,
}
