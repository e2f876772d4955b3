//! Writes and reads checkpoints: files in the safetensors format from which a training is continued. They hold f32 tensors, and the
//! training's state as JSON in the metadata.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use tch::{Device, Kind, TchError, Tensor};

/// A fault of a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The checkpoint has no state.
    #[error("found no metadata entry `{expected}`, expected the state of a run there")]
    NoState {
        /// The name of the metadata entry.
        expected: &'static str,
    },
    /// The checkpoint is from another version of the program.
    #[error("found version {found}, expected version {expected}")]
    Version {
        /// The version of the checkpoint.
        found: String,
        /// The version of this program.
        expected: u32,
    },
    /// A tensor has another shape or type than expected, or a number in it is not finite.
    #[error("tensor {name}: found {found}, expected {expected}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// The tensor's shape and type, or that it has a number that is not finite.
        found: String,
        /// The shape and type expected, or finite numbers.
        expected: String,
    },
    /// The file is not in the safetensors format, or a tensor is missing.
    #[error("safetensors: {0}")]
    Tensors(#[from] SafeTensorError),
    /// The state is malformed.
    #[error("the state of the run: {0}")]
    State(#[from] serde_json::Error),
    /// libtorch failed, for example because memory ran out.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// A tensor of a checkpoint: its name, its shape, and its f32 numbers as little-endian bytes.
pub(crate) struct NamedTensor(String, Vec<usize>, Vec<u8>);

impl NamedTensor {
    /// `tensor` under the name `name`.
    ///
    /// # Errors
    /// libtorch fails.
    pub(crate) fn new(name: String, tensor: &Tensor) -> Result<Self, TchError> {
        Ok(Self(name, tensor.size().into_iter().map(|side| side as usize).collect(), bytes(tensor)?))
    }
}

/// The bytes of a checkpoint with `tensors`, and with `state` in the metadata entry `entry`.
///
/// # Errors
/// `state` can't be written as JSON, or the tensors not as safetensors.
pub(crate) fn encode<E: From<SafeTensorError> + From<serde_json::Error>>(
    entry: &str,
    state: &impl Serialize,
    tensors: &[NamedTensor],
) -> Result<Vec<u8>, E> {
    let views = tensors
        .iter()
        .map(|NamedTensor(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
    let views = views.collect::<Result<Vec<_>, E>>()?;
    let metadata = HashMap::from([(entry.to_owned(), serde_json::to_string(state)?)]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

/// The state in the metadata entry `entry` of the checkpoint with the bytes `file`. Its field `format` must be `format`. It is looked at
/// first, because a state of another version may have other fields.
///
/// # Errors
/// [`CheckpointError`]: the file is damaged or from another version.
pub(crate) fn state<S: DeserializeOwned>(file: &[u8], entry: &'static str, format: u32) -> Result<S, CheckpointError> {
    let (_, header) = SafeTensors::read_metadata(file)?;
    let state = header.metadata().as_ref().and_then(|metadata| metadata.get(entry));
    let state = state.ok_or(CheckpointError::NoState { expected: entry })?;
    let version = serde_json::from_str::<serde_json::Value>(state)?["format"].clone();
    if version != format {
        return Err(CheckpointError::Version { found: version.to_string(), expected: format });
    }
    Ok(serde_json::from_str(state)?)
}

/// The bytes of a tensor's f32 numbers, little-endian.
fn bytes(tensor: &Tensor) -> Result<Vec<u8>, TchError> {
    let tensor = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; 4 * tensor.numel()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}

/// Whether all numbers of a tensor are finite.
///
/// # Errors
/// libtorch fails.
pub(crate) fn is_finite(tensor: &Tensor) -> Result<bool, TchError> {
    Ok(tensor.f_isfinite()?.f_all()?.int64_value(&[]) != 0)
}

/// The f32 tensor called `name`, on the CPU.
///
/// # Errors
/// [`CheckpointError`]: the tensor is missing, has another shape or type, or a number that is not finite, or libtorch fails.
pub(crate) fn read(stored: &SafeTensors<'_>, name: &str, shape: &[i64]) -> Result<Tensor, CheckpointError> {
    let error = |found: String, expected: String| CheckpointError::Tensor { name: name.to_owned(), found, expected };
    let view = stored.tensor(name)?;
    let found: Vec<i64> = view.shape().iter().map(|side| *side as i64).collect();
    if found != shape || view.dtype() != Dtype::F32 {
        return Err(error(format!("{found:?} of {:?}", view.dtype()), format!("{shape:?} of F32")));
    }
    let tensor = Tensor::f_from_data_size(view.data(), shape, Kind::Float)?;
    if is_finite(&tensor)? { Ok(tensor) } else { Err(error("a NaN or an infinity".into(), "finite numbers".into())) }
}
