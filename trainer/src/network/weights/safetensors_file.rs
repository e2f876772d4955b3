//! Reads weights from a safetensors file.

use super::error::WeightsError;
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// All floating-point tensors in `bytes`. Integers called `num_batches_tracked` are skipped; other tensors are an error.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<HashMap<String, Tensor>, WeightsError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| WeightsError::Malformed {
        path: path.to_owned(),
        found: error.to_string(),
        expected: "a safetensors file, or one written by torch.save".into(),
    })?;
    let mut tensors = HashMap::new();
    for (name, view) in file.iter() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F64 => Kind::Double,
            Dtype::I64 if name.ends_with("num_batches_tracked") => continue,
            other => {
                return Err(WeightsError::Unsupported {
                    path: path.to_owned(),
                    found: format!("tensor {name} of {other:?}"),
                    expected: "F64, F32, F16 or BF16".into(),
                });
            }
        };
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        tensors.insert(name.to_owned(), tensor_from_bytes(view.data(), &shape, kind, path)?);
    }
    Ok(tensors)
}

/// A tensor of `shape` from little-endian bytes. `SafeTensors::deserialize` has checked the number of bytes.
fn tensor_from_bytes(bytes: &[u8], shape: &[i64], kind: Kind, path: &Path) -> Result<Tensor, WeightsError> {
    Tensor::f_from_data_size(bytes, shape, kind)
        .and_then(|tensor| tensor.f_to_device(Device::Cpu))
        .map_err(|source| WeightsError::Torch { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    fn file(dtype: Dtype, bytes: &[u8]) -> Vec<u8> {
        let view = TensorView::new(dtype, vec![2], bytes).unwrap();
        safetensors::serialize([("a", view)], None).unwrap()
    }

    #[test]
    fn f16_numbers_keep_their_values() {
        let halves: Vec<u8> = [1.5, -0.25].iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect();
        let tensors = parse(&file(Dtype::F16, &halves), Path::new("x")).unwrap();
        assert_eq!(Vec::<f32>::try_from(tensors["a"].to_kind(Kind::Float)).unwrap(), [1.5, -0.25]);
    }

    #[test]
    fn integers_are_unsupported() {
        let error = parse(&file(Dtype::I32, &[0; 8]), Path::new("x")).unwrap_err();
        assert!(matches!(&error, WeightsError::Unsupported { found, .. } if found.contains("I32")), "{error}");
    }
}
