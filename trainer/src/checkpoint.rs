//! Writes and reads the tensors of checkpoints: files in the safetensors format from which a training is continued.

use safetensors::{Dtype, SafeTensorError, SafeTensors};
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

/// The bytes of a tensor's f32 numbers, little-endian.
///
/// # Errors
/// libtorch fails.
pub(crate) fn bytes(tensor: &Tensor) -> Result<Vec<u8>, TchError> {
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
