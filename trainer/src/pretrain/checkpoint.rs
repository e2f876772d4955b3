//! Writes and reads the checkpoint: one file with everything that is needed to continue a pre-training. It is written
//! atomically.

use super::PretrainError;
use super::config::PretrainConfig;
use super::held_out::Figures;
use super::network::{TrainableNetwork, all};
use super::optimizer::optimizer;
use crate::adamw::AdamW;
use crate::checkpoint::{self, CheckpointError, NamedTensor, is_finite};
use crate::files::{self, FileError};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use tch::Device;

/// Name of the checkpoint in the pre-training's folder.
pub(super) const FILE: &str = "checkpoint.safetensors";
/// The metadata entry with the [`State`].
const STATE: &str = "cellgate pretrain";
/// Version of the checkpoint. It increases when the code of the stream, the network or the loss changes: a pre-training
/// that began with the old code must not continue with the new code.
const FORMAT: u32 = 2;
/// Prefixes of tensor names: a weight, its first moment, its second moment.
const PREFIXES: [&str; 3] = ["weight:", "first:", "second:"];

/// One row of the loss curve. Loss and terms are means over the steps since the previous row. If the pre-training was
/// interrupted after the previous row, they are means over the steps since it was continued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) step: u64,
    pub(super) seconds: f64,
    pub(super) learning_rate: f64,
    pub(super) loss: f64,
    pub(super) terms: Vec<f64>,
}

/// The progress of a pre-training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    format: u32,
    pub(super) config: PretrainConfig,
    /// Number of batches trained on. The stream counts its batches from 0, so this is also the number of the next
    /// batch.
    pub(super) steps: u64,
    /// Time spent from the first batch on, in seconds. Interruptions do not count.
    pub(super) seconds: f64,
    /// How many of the `seconds` were spent waiting for batches.
    pub(super) waited_s: f64,
    /// Time that the rendering threads took for the batches, added up over all threads, in seconds.
    pub(super) rendered_s: f64,
    pub(super) rows: Vec<Row>,
    pub(super) held_out: Vec<Figures>,
}

impl State {
    /// The state before the first step.
    pub(super) fn new(config: PretrainConfig) -> Self {
        let (steps, seconds, waited_s, rendered_s) = (0, 0.0, 0.0, 0.0);
        Self { format: FORMAT, config, steps, seconds, waited_s, rendered_s, rows: vec![], held_out: vec![] }
    }
}

/// Writes the checkpoint, 262 MB, to `path`.
///
/// If a weight, a moment or a held-out loss is not finite, nothing is written. An earlier good checkpoint is thus kept.
///
/// # Errors
/// A value is not finite, libtorch fails, or the file can't be written.
pub(super) fn write(
    path: &Path,
    state: &State,
    network: &TrainableNetwork,
    optimizer: &AdamW,
) -> Result<(), PretrainError> {
    let moments = optimizer.moments.iter().flat_map(|(name, moments)| moments.iter().map(move |tensor| (name, tensor)));
    for (name, tensor) in network.tensors.iter().chain(moments) {
        if !is_finite(tensor)? {
            return Err(PretrainError::Diverged {
                step: state.steps,
                found: format!("a NaN or an infinity in {name}"),
            });
        }
    }
    for figures in &state.held_out {
        if !figures.loss.is_finite() {
            let found = format!("a held-out loss of {}", figures.loss);
            return Err(PretrainError::Diverged { step: figures.step, found });
        }
    }
    let mut tensors = Vec::new();
    for (name, tensor) in &network.tensors {
        tensors.push(NamedTensor::new(format!("{}{name}", PREFIXES[0]), tensor)?);
    }
    for (name, moments) in &optimizer.moments {
        for (prefix, tensor) in PREFIXES[1..].iter().zip(moments) {
            tensors.push(NamedTensor::new(format!("{prefix}{name}"), tensor)?);
        }
    }
    let file = checkpoint::encode::<PretrainError>(STATE, state, &tensors)?;
    Ok(files::write(path, &file).map_err(FileError::writing(path))?)
}

/// Reads the checkpoint at `path`. `None` if there is no such file.
///
/// # Errors
/// The file can't be read, the file is damaged or from another version, or libtorch fails.
pub(super) fn read(path: &Path, device: Device) -> Result<Option<(State, TrainableNetwork, AdamW)>, PretrainError> {
    let file = match std::fs::read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(PretrainError::Io { path: path.to_owned(), source }),
    };
    parse(&file, device).map(Some).map_err(|source| PretrainError::Checkpoint { path: path.to_owned(), source })
}

fn parse(file: &[u8], device: Device) -> Result<(State, TrainableNetwork, AdamW), CheckpointError> {
    let state: State = checkpoint::state(file, STATE, FORMAT)?;
    let stored = SafeTensors::deserialize(file)?;
    let read = |prefix: &str, name: &str, shape: &[i64]| checkpoint::read(&stored, &format!("{prefix}{name}"), shape);
    let mut tensors = BTreeMap::new();
    for (name, shape) in all() {
        let tensor = read(PREFIXES[0], &name, &shape)?;
        tensors.insert(name, tensor);
    }
    let network = TrainableNetwork::new(tensors, device)?;
    let mut optimizer = optimizer(&network)?;
    optimizer.steps = state.steps;
    for (name, moments) in &mut optimizer.moments {
        for (prefix, moment) in PREFIXES[1..].iter().zip(moments) {
            *moment = read(prefix, name, &moment.size())?.f_to_device(device)?;
        }
    }
    Ok((state, network, optimizer))
}
