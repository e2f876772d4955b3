//! Writes and reads the checkpoint of recipe `fine-tune`: one file with everything that is needed to continue a training. It is written
//! atomically.

use super::network::{Network, shapes};
use super::recipe::FineTuneRecipe;
use crate::checkpoint::{self, CheckpointError, NamedTensor};
use crate::files::{self, FileError};
use crate::fit::FitError;
use cellgate_models::digest::Digest;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use tch::Device;

/// Name of the checkpoint in its folder.
pub(super) const FILE: &str = "checkpoint.safetensors";
/// The metadata entry with the [`State`].
const STATE: &str = "cellgate fine-tune";
/// Version of the checkpoint. Raise it when a change of the code makes another training: a training that began with the old code must
/// not continue with the new code.
const FORMAT: u32 = 1;
/// Prefixes of tensor names: a weight, its average, its first moment, its second moment.
const PREFIXES: [&str; 4] = ["weight:", "average:", "first:", "second:"];

/// The results of an epoch of a training without one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupEpoch {
    /// The standard deviation of the logits of the parts that were trained on.
    pub(super) deviation: f64,
    /// The logits of the group's parts.
    pub(super) logits: Vec<f64>,
}

/// The progress of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    format: u32,
    /// Digest of the settings, the training parts and their maps.
    pub(super) settings: Digest,
    /// Number of libtorch's threads. The sums of floating-point numbers depend on it.
    pub(super) threads: i32,
    /// The finished epochs of the training without each group.
    pub(super) groups: Vec<Vec<GroupEpoch>>,
    /// Number of finished epochs of the training with all parts.
    pub(super) last: usize,
    /// Number of steps of the network in the checkpoint.
    steps: u64,
}

impl State {
    /// The state before the first step.
    pub(super) fn new(settings: Digest, groups: usize) -> Self {
        let threads = tch::get_num_threads();
        Self { format: FORMAT, settings, threads, groups: vec![Vec::new(); groups], last: 0, steps: 0 }
    }
}

/// Writes the checkpoint to `path`. `network` is the network in training; `None` if the next epoch begins with a new network. With a
/// network, the file has 210 MB.
///
/// # Errors
/// libtorch fails, or the file can't be written.
pub(super) fn write(path: &Path, state: &mut State, network: Option<&Network>) -> Result<(), FitError> {
    state.steps = network.map_or(0, |network| network.optimizer.steps);
    let mut tensors = Vec::new();
    if let Some(network) = network {
        for (name, weight) in &network.tensors {
            let [first, second] = &network.optimizer.moments[name];
            for (prefix, tensor) in PREFIXES.iter().zip([weight, &network.averages[name], first, second]) {
                tensors.push(NamedTensor::new(format!("{prefix}{name}"), tensor)?);
            }
        }
    }
    let file = checkpoint::encode(STATE, state, &tensors);
    let file = file.map_err(|source| FitError::Checkpoint { path: path.to_owned(), source })?;
    Ok(files::write(path, &file).map_err(FileError::writing(path))?)
}

/// Reads the checkpoint at `path`: the state, and the network in training if there is one. The features of its linear layer are not
/// standardised yet. `None` if there is no such file.
///
/// # Errors
/// [`FitError::OtherTraining`] if the checkpoint has other settings. [`FitError::Checkpoint`] if the file can't be read, is damaged or
/// from another version, or libtorch fails.
pub(super) fn read(
    path: &Path,
    settings: Digest,
    recipe: &FineTuneRecipe,
    device: Device,
) -> Result<Option<(State, Option<Network>)>, FitError> {
    let file = match std::fs::read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FitError::Io { path: path.to_owned(), source }),
    };
    let damaged = |source| FitError::Checkpoint { path: path.to_owned(), source };
    let state: State = checkpoint::state(&file, STATE, FORMAT).map_err(damaged)?;
    if state.settings != settings {
        return Err(FitError::OtherTraining { path: path.to_owned() });
    }
    let network =
        (state.steps > 0).then(|| network(&file, state.steps, recipe, device)).transpose().map_err(damaged)?;
    Ok(Some((state, network)))
}

fn network(file: &[u8], steps: u64, recipe: &FineTuneRecipe, device: Device) -> Result<Network, CheckpointError> {
    let stored = SafeTensors::deserialize(file)?;
    let mut tensors = PREFIXES.map(|_| BTreeMap::new());
    for (name, shape) in shapes() {
        for (prefix, tensors) in PREFIXES.iter().zip(&mut tensors) {
            let tensor = checkpoint::read(&stored, &format!("{prefix}{name}"), &shape)?.f_to_device(device)?;
            tensors.insert(name.clone(), tensor);
        }
    }
    let [weights, averages, first, second] = tensors;
    let mut network = Network::with(weights, averages, recipe)?;
    network.optimizer.steps = steps;
    let moments = first.into_iter().zip(second.into_values());
    network.optimizer.moments = moments.map(|((name, first), second)| (name, [first, second])).collect();
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::super::start::Start;
    use super::*;
    use crate::network::{Backbone, Stage4, Weights};
    use tch::{Kind, Tensor};

    #[test]
    fn a_continued_network_takes_the_same_steps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let (settings, recipe) = (Digest::of(b"settings"), FineTuneRecipe::default());
        let read = |settings| read(&path, settings, &recipe, Device::Cpu);
        assert!(read(settings).unwrap().is_none());

        let backbone = Backbone::new(&Weights::random(1), Device::Cpu).unwrap();
        let stage_4 = Stage4::of(backbone.network()).unwrap();
        let mut network = Network::new(&stage_4, &Start::new(vec![0.0; 512], 0.0), &recipe, Device::Cpu).unwrap();
        let maps = Tensor::linspace(-1, 1, 2 * 256 * 2 * 2, (Kind::Float, Device::Cpu)).view([2, 256, 2, 2]);
        let step = |network: &mut Network| network.step(&maps, &[1.0, 0.0], &[1.0, 1.0], &recipe).unwrap();
        step(&mut network);
        let mut state = State::new(settings, 2);
        state.groups[0].push(GroupEpoch { deviation: 0.1, logits: vec![1.0 / 3.0, -1e-7] });
        write(&path, &mut state, Some(&network)).unwrap();
        let (found, continued) = read(settings).unwrap().unwrap();
        let mut continued = continued.unwrap();
        assert_eq!(found, state);
        assert_eq!(step(&mut continued), step(&mut network));
        assert_eq!(continued.stage_4().unwrap(), network.stage_4().unwrap());
        assert_eq!(continued.linear(1.0).unwrap(), network.linear(1.0).unwrap());

        let error = read(Digest::of(b"others")).unwrap_err();
        assert!(matches!(error, FitError::OtherTraining { .. }), "{error}");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1000]).unwrap();
        assert!(matches!(read(settings), Err(FitError::Checkpoint { .. })));
        write(&path, &mut state, None).unwrap();
        assert!(read(settings).unwrap().unwrap().1.is_none());
    }
}
