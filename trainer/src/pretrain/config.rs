//! The settings of a run.

use cellgate_models::conversion::Size;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tch::Device;

/// The settings that a run's weights depend on, together with its budget. A run is only continued with the same settings.
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

/// The length of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Number of steps.
    Steps(u64),
    /// Minutes of training. Interruptions do not count. The weights then depend on the machine's speed.
    Minutes(f64),
}

/// A run to start or to continue.
#[derive(Debug)]
pub struct Run<'a> {
    /// Its folder.
    pub out: &'a Path,
    /// Its settings.
    pub config: PretrainConfig,
    /// Its length.
    pub budget: Budget,
    /// The device that it runs on.
    pub device: Device,
    /// If set, the run writes a checkpoint and stops after the current step.
    pub stop: &'a AtomicBool,
    /// The command line, for the model card.
    pub command: &'a str,
}
