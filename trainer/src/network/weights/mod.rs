//! The backbone's weights: read from safetensors or a checkpoint of PyTorch, checked against the architecture.

mod checkpoint;
mod error;
mod find;
mod layout;
mod no_weights;
mod origin;
mod random;
mod safetensors_file;

pub use error::WeightsError;
pub use find::find;
pub use no_weights::NoWeights;
pub use origin::WeightsOrigin;

use super::architecture;
use cellgate_models::digest::Digest;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tch::{Kind, Tensor};

/// Largest weights file that is read: ResNet-34 in f32 takes 87 MB.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The weights of a ResNet-34 under torchvision's names: f32 on the CPU, all finite.
#[derive(Debug)]
pub struct Weights {
    tensors: HashMap<String, Tensor>,
    digest: Digest,
}

impl Weights {
    /// Reads the file at `path`: safetensors in f64, f32, f16 or bf16, or a checkpoint that Python's `torch.save` wrote (`.pth`,
    /// `.pt`, `.ckpt`), which needs a Python with PyTorch and runs no code of the file. Which one it is, its content decides.
    /// ResNet-34 may lie in dictionaries and below prefixes such as `module.`. The tensors of the last layer (`fc`) may be missing;
    /// tensors that ResNet-34 does not know are ignored.
    ///
    /// # Errors
    /// [`WeightsError`]: unreadable, malformed, unsupported, or not a ResNet-34.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let io = |source| WeightsError::Io { path: path.to_owned(), source };
        let no_weights = |found| WeightsError::NoWeights { path: path.to_owned(), found };
        let metadata = std::fs::metadata(path).map_err(io)?;
        if metadata.is_dir() {
            return Err(no_weights(NoWeights::Folder));
        }
        let bytes = metadata.len();
        if bytes > MAX_FILE_BYTES {
            return Err(WeightsError::Unsupported {
                path: path.to_owned(),
                found: format!("{bytes} bytes"),
                expected: format!("at most {MAX_FILE_BYTES}"),
            });
        }
        let bytes = std::fs::read(path).map_err(io)?;
        if let Some(found) = NoWeights::of(&bytes) {
            return Err(no_weights(found));
        }
        let content = if checkpoint::is_checkpoint(&bytes) {
            checkpoint::read(path)?
        } else {
            checkpoint::Content { tensors: safetensors_file::parse(&bytes, path)?, ..Default::default() }
        };
        let checkpoint::Content { tensors, other, not_plain } = content;
        let weights =
            without_prefix(tensors, other, path).and_then(|tensors| Self::check(tensors, Digest::of(&bytes), path));
        weights.map_err(|error| match error {
            // Tensors that could not be taken are why others seem to be missing.
            WeightsError::NotResNet34 { .. } | WeightsError::Tensor { .. } if !not_plain.is_empty() => {
                WeightsError::NotPlain { path: path.to_owned(), tensors: not_plain }
            }
            error => error,
        })
    }

    fn check(mut stored: HashMap<String, Tensor>, digest: Digest, path: &Path) -> Result<Self, WeightsError> {
        let mut tensors = HashMap::new();
        let has_fc = stored.contains_key("fc.weight") || stored.contains_key("fc.bias");
        let [inputs, outputs] = architecture::FC;
        let fc = [("fc.weight".to_owned(), vec![outputs, inputs]), ("fc.bias".to_owned(), vec![outputs])];
        for (name, shape) in architecture::tensors().into_iter().chain(fc.into_iter().filter(|_| has_fc)) {
            let error = |found: String, name: String| WeightsError::Tensor {
                path: path.to_owned(),
                name,
                found,
                expected: format!("ResNet-34's shape {shape:?}"),
            };
            let Some(tensor) = stored.remove(&name) else { return Err(error("none".into(), name)) };
            if tensor.size() != shape {
                return Err(error(format!("{:?}", tensor.size()), name));
            }
            let finite = tensor.f_to_kind(Kind::Float).and_then(|tensor| Ok((tensor.f_isfinite()?.f_all()?, tensor)));
            let (finite, tensor) = finite.map_err(|source| WeightsError::Torch { path: path.to_owned(), source })?;
            if finite.int64_value(&[]) == 0 {
                return Err(error("a NaN or an infinity".into(), name));
            }
            tensors.insert(name, tensor);
        }
        Ok(Self { tensors, digest })
    }

    /// The digest of the file.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The last layer, 512 -> 1000: weight (1000 x 512, a row an output) and bias; none where the file has none.
    #[must_use]
    pub fn fc(&self) -> Option<(Vec<f32>, Vec<f32>)> {
        let values = |name| self.tensors.get(name).and_then(|tensor| Vec::<f32>::try_from(tensor.flatten(0, -1)).ok());
        values("fc.weight").zip(values("fc.bias"))
    }

    /// A tensor of the architecture by its name.
    pub(crate) fn tensor(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }
}

/// The tensors of the ResNet-34 in `stored`, under torchvision's names.
fn without_prefix(
    stored: HashMap<String, Tensor>,
    other: Vec<String>,
    path: &Path,
) -> Result<HashMap<String, Tensor>, WeightsError> {
    let shapes: BTreeMap<_, _> = stored.iter().map(|(name, tensor)| (name.clone(), tensor.size())).collect();
    let prefix = layout::prefix(&shapes);
    let prefix = prefix.map_err(|found| WeightsError::NotResNet34 { path: path.to_owned(), found, other })?;
    let below = stored.into_iter().filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?.to_owned(), tensor)));
    Ok(below.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn check(change: impl Fn(&mut HashMap<String, Tensor>)) -> Result<Weights, String> {
        let mut tensors = Weights::random(1).tensors;
        change(&mut tensors);
        Weights::check(tensors, Digest::of(b""), Path::new("x.pth")).map_err(|error| error.to_string())
    }

    #[test]
    fn other_networks_are_refused_by_tensor() {
        let wrong = Tensor::zeros([256, 128, 1, 1], (Kind::Float, Device::Cpu));
        let shape = check(|tensors| drop(tensors.insert("layer3.0.conv1.weight".into(), wrong.copy())));
        assert_eq!(
            shape.unwrap_err(),
            "x.pth: tensor layer3.0.conv1.weight: found [256, 128, 1, 1], expected ResNet-34's shape [256, 128, 3, 3]"
        );
        let missing = check(|t| drop(t.remove("bn1.running_var")));
        assert_eq!(missing.unwrap_err(), "x.pth: tensor bn1.running_var: found none, expected ResNet-34's shape [64]");
        let nan =
            check(|t| drop(t.insert("bn1.bias".into(), Tensor::full([64], f64::NAN, (Kind::Float, Device::Cpu)))));
        assert_eq!(
            nan.unwrap_err(),
            "x.pth: tensor bn1.bias: found a NaN or an infinity, expected ResNet-34's shape [64]"
        );
    }

    #[test]
    fn the_last_layer_may_be_missing_but_not_by_half() {
        let (weight, bias) = Weights::random(1).fc().unwrap();
        assert_eq!((weight.len(), bias.len()), (512_000, 1000));
        let without = check(|t| t.retain(|name, _| !name.starts_with("fc.")));
        assert!(without.unwrap().fc().is_none());
        assert!(check(|t| drop(t.remove("fc.bias"))).unwrap_err().contains("fc.bias"));
        assert!(check(|t| drop(t.insert("bn1.num_batches_tracked".into(), Tensor::from(7_i64)))).is_ok());
    }

    #[test]
    fn garbage_is_malformed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for bytes in [&b"PK\x03\x04"[..], b"hello, this is no weights file", &[0x80, 2, b'.']] {
            std::fs::write(file.path(), bytes).unwrap();
            let error = Weights::read(file.path()).unwrap_err();
            assert!(matches!(error, WeightsError::Malformed { .. }), "{error}");
        }
        assert!(matches!(Weights::read(Path::new("/nowhere/x.pth")), Err(WeightsError::Io { .. })));
    }

    #[test]
    fn what_holds_no_weights_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let found = |path: &Path| match Weights::read(path).unwrap_err() {
            WeightsError::NoWeights { found, .. } => found,
            error => panic!("{error}"),
        };
        assert_eq!(found(folder.path()), NoWeights::Folder);
        let file = folder.path().join("resnet34.pth");
        for (bytes, expected) in [(&b""[..], NoWeights::Empty), (b"<html>", NoWeights::WebPage)] {
            std::fs::write(&file, bytes).unwrap();
            assert_eq!(found(&file), expected);
        }
    }
}
