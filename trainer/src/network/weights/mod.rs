//! Reads the backbone's weights from safetensors or a PyTorch checkpoint, and checks them against the architecture.

mod checkpoint;
mod error;
pub mod fetch;
mod find;
mod layout;
mod no_weights;
mod origin;
mod random;
mod safetensors_file;

pub use error::WeightsError;
pub use find::{Place, find, places};
pub use no_weights::NoWeights;
pub use origin::WeightsOrigin;

use super::architecture;
use cellgate_models::digest::Digest;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tch::{Kind, Tensor};

/// Largest weights file that is read. ResNet-34 in f32 takes 87 MB.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The weights of a ResNet-34 under torchvision's names. They are f32, on the CPU, and finite.
#[derive(Debug)]
pub struct Weights {
    tensors: HashMap<String, Tensor>,
    digest: Digest,
}

impl Weights {
    /// Reads the file at `path`. The format is detected from the content:
    ///
    /// | format | needs |
    /// |---|---|
    /// | safetensors in f64, f32, f16 or bf16 | |
    /// | checkpoint of Python's `torch.save` (`.pth`, `.pt`, `.ckpt`) | a Python with PyTorch; runs no code from the file |
    ///
    /// ResNet-34 may be inside dictionaries and have a prefix such as `module.`. The tensors of the last layer (`fc`) may
    /// be missing. Tensors that do not belong to ResNet-34 are ignored.
    ///
    /// # Errors
    /// [`WeightsError`]: the file can't be read, is malformed or unsupported, or does not hold ResNet-34.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let bytes = file(path)?;
        let content = if checkpoint::is_checkpoint(&bytes) {
            checkpoint::read(path)?
        } else {
            checkpoint::Content { tensors: safetensors_file::parse(&bytes, path)?, ..Default::default() }
        };
        Self::of(content, Digest::of(&bytes), path)
    }

    /// Takes the ResNet-34 from the content of the file at `path`.
    fn of(content: checkpoint::Content, digest: Digest, path: &Path) -> Result<Self, WeightsError> {
        let checkpoint::Content { tensors, other, not_plain } = content;
        let weights = without_prefix(tensors, other, path).and_then(|tensors| Self::check(tensors, digest, path));
        weights.map_err(|error| match error {
            // Quantised, sparse and similar tensors were left out, so ResNet-34 or one of its tensors seems to be missing.
            WeightsError::NotResNet34 { .. } | WeightsError::Tensor { .. } if !not_plain.is_empty() => {
                WeightsError::NotPlain { path: path.to_owned(), tensors: not_plain }
            }
            error => error,
        })
    }

    /// Checks the names, shapes and numbers of ResNet-34's tensors, and converts them to f32.
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
            let Some(tensor) = stored.remove(&name) else { return Err(error("no such tensor".into(), name)) };
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

    /// The digest of the weights file.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The last layer, 512 -> 1000: weight (1000 x 512, one row per output) and bias. `None` if the file has no last layer.
    #[must_use]
    pub fn fc(&self) -> Option<(Vec<f32>, Vec<f32>)> {
        let values = |name| self.tensors.get(name).and_then(|tensor| Vec::<f32>::try_from(tensor.flatten(0, -1)).ok());
        values("fc.weight").zip(values("fc.bias"))
    }

    /// The tensor called `name` in torchvision. Panics if ResNet-34 has no such tensor.
    pub(crate) fn tensor(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }
}

/// The bytes of the file at `path`. Refuses a folder, a file that is too large, and a file whose first bytes show that it
/// can't hold weights.
fn file(path: &Path) -> Result<Vec<u8>, WeightsError> {
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let no_weights = |found| WeightsError::NoWeights { path: path.to_owned(), found };
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.is_dir() {
        return Err(no_weights(NoWeights::Folder));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(WeightsError::Unsupported {
            path: path.to_owned(),
            found: format!("{} bytes", metadata.len()),
            expected: format!("at most {MAX_FILE_BYTES} bytes"),
        });
    }
    let bytes = std::fs::read(path).map_err(io)?;
    match NoWeights::of(&bytes) {
        Some(found) => Err(no_weights(found)),
        None => Ok(bytes),
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

    fn check(change: impl Fn(&mut HashMap<String, Tensor>)) -> Result<Weights, WeightsError> {
        let mut tensors = Weights::random(1).tensors;
        change(&mut tensors);
        Weights::check(tensors, Digest::of(b""), Path::new("x.pth"))
    }

    #[test]
    fn a_missing_tensor_another_shape_and_a_nan_are_refused() {
        type Change = fn(&mut HashMap<String, Tensor>);
        const OPTIONS: (Kind, Device) = (Kind::Float, Device::Cpu);
        let changes: [(&str, Change); 3] = [
            ("layer3.0.conv1.weight", |tensors| {
                tensors.insert("layer3.0.conv1.weight".into(), Tensor::zeros([256, 128, 1, 1], OPTIONS));
            }),
            ("bn1.running_var", |tensors| drop(tensors.remove("bn1.running_var"))),
            ("bn1.bias", |tensors| drop(tensors.insert("bn1.bias".into(), Tensor::full([64], f64::NAN, OPTIONS)))),
        ];
        let errors = changes.map(|(changed, change)| {
            let error = check(change).unwrap_err();
            assert!(matches!(&error, WeightsError::Tensor { name, .. } if name == changed), "{error}");
            format!("{error}\n")
        });
        insta::assert_snapshot!("tensors", errors.concat());
    }

    #[test]
    fn the_last_layer_may_be_missing_only_as_a_whole() {
        let (weight, bias) = Weights::random(1).fc().unwrap();
        assert_eq!((weight.len(), bias.len()), (512_000, 1000));
        let without = check(|t| t.retain(|name, _| !name.starts_with("fc.")));
        assert!(without.unwrap().fc().is_none());
        let error = check(|t| drop(t.remove("fc.bias"))).unwrap_err();
        assert!(matches!(&error, WeightsError::Tensor { name, .. } if name == "fc.bias"), "{error}");
        assert!(check(|t| drop(t.insert("bn1.num_batches_tracked".into(), Tensor::from(7_i64)))).is_ok());
    }

    #[test]
    fn damaged_files_are_malformed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for bytes in [&b"PK\x03\x04"[..], b"hello, this is no weights file", &[0x80, 2, b'.']] {
            std::fs::write(file.path(), bytes).unwrap();
            let error = Weights::read(file.path()).unwrap_err();
            assert!(matches!(error, WeightsError::Malformed { .. }), "{error}");
        }
        assert!(matches!(Weights::read(Path::new("/nowhere/x.pth")), Err(WeightsError::Io { .. })));
    }

    #[test]
    fn a_folder_an_empty_file_and_a_web_page_are_refused() {
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
