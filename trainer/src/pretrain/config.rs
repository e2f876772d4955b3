//! Declares the settings of a pre-training.

use cellgate_models::conversion::Size;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tch::Device;

/// The settings that decide, together with the budget, which weights a pre-training gives. A pre-training is only
/// continued with the same settings; the budget may differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainConfig {
    /// Seed of all random numbers.
    pub seed: u64,
    /// Crops per step, at least 2.
    pub batch: usize,
    /// Size of a crop. Both sides are multiples of 32 from 64 to 1024.
    pub crop: Size,
    /// The highest learning rate.
    pub learning_rate: f64,
}

/// The length of a pre-training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Number of steps.
    Steps(u64),
    /// Minutes of training. Interruptions do not count. With this budget, the weights depend on the machine's speed.
    Minutes(f64),
}

/// A pre-training to start or to continue.
#[derive(Debug)]
pub struct Run<'a> {
    /// The folder for the checkpoint and the output.
    pub out: &'a Path,
    /// The settings that the weights depend on.
    pub config: PretrainConfig,
    /// How long to train, counted from the first start on.
    pub budget: Budget,
    /// Where libtorch computes: the CPU or a GPU.
    pub device: Device,
    /// Once this is set, the training stops after the current step and writes a checkpoint.
    pub stop: &'a AtomicBool,
    /// The command line, for the model card.
    pub command: &'a str,
}
