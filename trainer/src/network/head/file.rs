//! Reads and writes the file of a readout, `head.safetensors`. The metadata entry `cellgate.head` holds the structure as JSON: version,
//! the head's blocks, activation, number of flips and the kind of each layer, and the whitening's blocks. Weights and biases of the head
//! are f32 tensors named `members.<member>.<layer>.<weight|bias>`. `<member>` is the index of an ensemble member, and `<layer>` the
//! index of a layer in this ensemble member. Those of the whitening are `whitening.weight` and `whitening.bias`. If the structure says
//! `stage_4`, the weights of stage 4 are f32 tensors named `stage_4.<name>`, such as `stage_4.layer4.0.conv1.weight`.

use super::{Activation, Head, Layer};
use crate::files;
use crate::network::flips::Flips;
use crate::network::pooling::Block;
use crate::network::stage_4::Stage4;
use crate::network::{Readout, ReadoutError, Whitening};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Name of the metadata entry with the [`Structure`].
const METADATA: &str = "cellgate.head";
/// Prefix of the names of the tensors with the weights of stage 4.
const STAGE_4: &str = "stage_4.";
/// Version of the file's format.
const VERSION: u32 = 2;

/// Error of reading or writing a readout.
#[derive(Debug, thiserror::Error)]
pub enum HeadFileError {
    /// The file can't be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file does not hold a readout.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The content found, or the fault.
        found: String,
        /// The content expected.
        expected: String,
    },
    /// The readout is inconsistent.
    #[error("{}: {source}", path.display())]
    Readout {
        /// The file.
        path: PathBuf,
        /// The first fault.
        source: ReadoutError,
    },
}

/// What the structure has in all versions of the file.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Structure {
    version: u32,
    blocks: Vec<Block>,
    activation: Activation,
    #[serde(default)]
    flips: Flips,
    members: Vec<Vec<LayerKind>>,
    whitening: Vec<Block>,
    /// Whether the file has weights of stage 4.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stage_4: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LayerKind {
    Affine,
    Slice { start: usize, length: usize },
    Relu,
    SignedSqrt,
}

impl Readout {
    /// Writes the readout to `path` atomically.
    ///
    /// # Errors
    /// [`HeadFileError`]: the readout is inconsistent, or the file can't be written.
    pub fn write(&self, path: &Path) -> Result<(), HeadFileError> {
        let io = |source| HeadFileError::Io { path: path.to_owned(), source };
        let bytes = self.to_bytes(path)?;
        files::write(path, &bytes).map_err(io)
    }

    /// Reads the readout at `path` and checks it.
    ///
    /// # Errors
    /// [`HeadFileError`]: the file can't be read, does not hold a readout, or holds an inconsistent one.
    pub fn read(path: &Path) -> Result<Self, HeadFileError> {
        let bytes = std::fs::read(path).map_err(|source| HeadFileError::Io { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes, path)
    }

    fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, HeadFileError> {
        self.check().map_err(|source| HeadFileError::Readout { path: path.to_owned(), source })?;
        let head = &self.head;
        let malformed = |error: String| malformed(path, error, "a head that can be written");
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        let mut members = Vec::new();
        for (member, layers) in head.members.iter().enumerate() {
            let mut kinds = Vec::new();
            for (index, layer) in layers.iter().enumerate() {
                let mut tensor = |name: &str, shape: Vec<usize>, values: &[f32]| {
                    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                    tensors.push((format!("members.{member}.{index}.{name}"), shape, bytes));
                };
                kinds.push(match layer {
                    Layer::Affine { inputs, outputs, weight, bias } => {
                        tensor("weight", vec![*outputs, *inputs], weight);
                        tensor("bias", vec![*outputs], bias);
                        LayerKind::Affine
                    }
                    Layer::Slice { start, length } => LayerKind::Slice { start: *start, length: *length },
                    Layer::Relu => LayerKind::Relu,
                    Layer::SignedSqrt => LayerKind::SignedSqrt,
                });
            }
            members.push(kinds);
        }
        for (name, shape, values) in self.fixed_tensors() {
            tensors.push((name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect()));
        }
        let Head { activation, flips, .. } = *head;
        let (blocks, whitening) = (head.blocks.clone(), self.whitening.blocks.clone());
        let stage_4 = head.stage_4.is_some();
        let structure = Structure { version: VERSION, blocks, activation, flips, members, whitening, stage_4 };
        let structure = serde_json::to_string(&structure).map_err(|error| malformed(error.to_string()))?;
        let views =
            tensors.iter().map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
        let views = views.collect::<Result<Vec<_>, SafeTensorError>>().map_err(|error| malformed(error.to_string()))?;
        let metadata = HashMap::from([(METADATA.to_owned(), structure)]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| malformed(error.to_string()))
    }

    fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, HeadFileError> {
        let no_head = |error: String| malformed(path, error, "a head.safetensors as `train` writes it");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| no_head(error.to_string()))?;
        let structure = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA));
        let structure = structure.ok_or_else(|| no_head(format!("no metadata entry {METADATA}")))?;
        let AnyVersion { version } = serde_json::from_str(structure).map_err(|error| no_head(error.to_string()))?;
        if version != VERSION {
            let expected = format!("version {VERSION}; train again with this version of the trainer");
            return Err(malformed(path, format!("version {version}"), &expected));
        }
        let structure: Structure = serde_json::from_str(structure).map_err(|error| no_head(error.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| no_head(error.to_string()))?;
        let tensor = |name: String| {
            let view = file.tensor(&name).map_err(|error| no_head(error.to_string()))?;
            if view.dtype() != Dtype::F32 {
                return Err(malformed(path, format!("tensor {name} of {:?}", view.dtype()), "F32"));
            }
            let numbers = view.data().as_chunks().0.iter().map(|&number| f32::from_le_bytes(number));
            Ok((view.shape().to_vec(), numbers.collect::<Vec<f32>>()))
        };
        let layer = |prefix: String, kind: &LayerKind| {
            Ok(match kind {
                LayerKind::Affine => {
                    let (shape, weight) = tensor(format!("{prefix}.weight"))?;
                    let [outputs, inputs] = shape[..] else {
                        return Err(malformed(path, format!("{prefix}.weight of shape {shape:?}"), "two dimensions"));
                    };
                    Layer::Affine { inputs, outputs, weight, bias: tensor(format!("{prefix}.bias"))?.1 }
                }
                LayerKind::Slice { start, length } => Layer::Slice { start: *start, length: *length },
                LayerKind::Relu => Layer::Relu,
                LayerKind::SignedSqrt => Layer::SignedSqrt,
            })
        };
        let member = |(member, kinds): (usize, &Vec<LayerKind>)| {
            let layers = kinds.iter().enumerate().map(|(index, kind)| layer(format!("members.{member}.{index}"), kind));
            layers.collect::<Result<Vec<Layer>, HeadFileError>>()
        };
        let members = structure.members.iter().enumerate().map(member).collect::<Result<_, _>>()?;
        let stage_4 = structure.stage_4.then(|| {
            let values =
                Stage4::shapes().into_iter().map(|(name, _)| Ok((name.clone(), tensor(format!("{STAGE_4}{name}"))?.1)));
            Ok(Stage4::new(values.collect::<Result<_, HeadFileError>>()?))
        });
        let stage_4 = stage_4.transpose()?;
        let Structure { blocks, activation, flips, whitening, .. } = structure;
        let numbers = |name: &str| Ok(tensor(name.to_owned())?.1);
        let (weight, bias) = (numbers("whitening.weight")?, numbers("whitening.bias")?);
        let head = Head { blocks, members, activation, flips, stage_4 };
        let readout = Self { head, whitening: Whitening { blocks: whitening, weight, bias } };
        readout.check().map_err(|source| HeadFileError::Readout { path: path.to_owned(), source })?;
        for (name, shape, _) in readout.fixed_tensors() {
            let found = tensor(name.clone())?.0;
            if found != shape {
                return Err(malformed(path, format!("{name} of shape {found:?}"), &format!("the shape {shape:?}")));
            }
        }
        Ok(readout)
    }

    /// Name, shape and numbers of each tensor whose shape follows from the structure: those of the whitening and of stage 4. The readout
    /// must pass [`Self::check`].
    fn fixed_tensors(&self) -> Vec<(String, Vec<usize>, &[f32])> {
        let Whitening { weight, bias, .. } = &self.whitening;
        let mut tensors = vec![
            ("whitening.weight".to_owned(), vec![bias.len(), self.whitening.width()], &weight[..]),
            ("whitening.bias".to_owned(), vec![bias.len()], &bias[..]),
        ];
        if let Some(stage_4) = &self.head.stage_4 {
            for (name, shape) in Stage4::shapes() {
                let shape = shape.into_iter().map(|side| side as usize).collect();
                tensors.push((format!("{STAGE_4}{name}"), shape, &stage_4.values()[&name][..]));
            }
        }
        tensors
    }
}

fn malformed(path: &Path, found: String, expected: &str) -> HeadFileError {
    HeadFileError::Malformed { path: path.to_owned(), found, expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::head;
    use super::*;
    use crate::network::{Backbone, Weights};
    use cellgate_models::engine::WhitenedFeatures;

    /// The whitening takes another block than the head.
    fn readout(activation: Activation) -> Readout {
        let count = WhitenedFeatures::COUNT;
        let weight = (0..count * 256).map(|index| (index as f32).sin()).collect();
        let whitening = Whitening { blocks: vec![Block::MEAN_3], weight, bias: vec![0.5; count] };
        Readout { head: head(activation), whitening }
    }

    /// Replaces the first occurrence of `before` by `after`, which is as long.
    fn replace(bytes: &mut [u8], before: &[u8], after: &[u8]) {
        let place = bytes.windows(before.len()).position(|text| text == before).unwrap();
        bytes[place..][..before.len()].copy_from_slice(after);
    }

    #[test]
    fn a_file_of_another_version_is_refused_whatever_its_structure() {
        let path = Path::new("head.safetensors");
        let mut bytes = readout(Activation::Sigmoid).to_bytes(path).unwrap();
        replace(&mut bytes, br#"version\":2"#, br#"version\":1"#);
        replace(&mut bytes, b"whitening", b"something");
        let error = Readout::from_bytes(&bytes, path).unwrap_err();
        insta::assert_snapshot!("other_version", error.to_string());
    }

    #[test]
    fn a_transposed_weight_is_refused() {
        let path = Path::new("head.safetensors");
        let backbone = Backbone::new(&Weights::random(1), tch::Device::Cpu).unwrap();
        let mut readout = readout(Activation::Sigmoid);
        readout.head.stage_4 = Some(Stage4::of(backbone.network()).unwrap());
        let bytes = readout.to_bytes(path).unwrap();
        let cases: [(&[u8], &[u8], &str); 2] = [
            (b"[64,256]", b"[256,64]", "found whitening.weight of shape [256, 64], expected the shape [64, 256]"),
            (
                b"[512,256,3,3]",
                b"[256,512,3,3]",
                "found stage_4.layer4.0.conv1.weight of shape [256, 512, 3, 3], expected the shape [512, 256, 3, 3]",
            ),
        ];
        for (before, after, expected) in cases {
            let mut bytes = bytes.clone();
            replace(&mut bytes, before, after);
            let error = Readout::from_bytes(&bytes, path).unwrap_err().to_string();
            assert_eq!(error, format!("head.safetensors: {expected}"));
        }
    }

    #[test]
    fn a_readout_is_read_back_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        for activation in [Activation::Softmax, Activation::Sigmoid] {
            let (mut readout, path) = (readout(activation), folder.path().join("head.safetensors"));
            readout.head.flips = Flips::Four;
            readout.write(&path).unwrap();
            assert_eq!(Readout::read(&path).unwrap(), readout);
            let bytes = std::fs::read(&path).unwrap();
            readout.write(&path).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "the same readout must give the same file");
        }
    }

    #[test]
    fn weights_of_stage_4_are_read_back_and_must_be_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("head.safetensors");
        let backbone = Backbone::new(&Weights::random(1), tch::Device::Cpu).unwrap();
        let mut readout = readout(Activation::Sigmoid);
        readout.head.stage_4 = Some(Stage4::of(backbone.network()).unwrap());
        readout.write(&path).unwrap();
        assert_eq!(Readout::read(&path).unwrap(), readout);
        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.tensor("stage_4.layer4.0.conv1.weight").unwrap().shape(), [512, 256, 3, 3]);
        readout.head.stage_4 = Some(Stage4::new(std::collections::BTreeMap::new()));
        let error = readout.write(&path).unwrap_err();
        assert!(matches!(error, HeadFileError::Readout { source: ReadoutError::Head(_), .. }), "{error}");
    }

    #[test]
    fn a_truncated_file_is_an_error() {
        let path = Path::new("head.safetensors");
        let bytes = readout(Activation::Sigmoid).to_bytes(path).unwrap();
        // A step of 997 bytes keeps the test fast.
        for length in (0..bytes.len()).step_by(997).chain([bytes.len() - 1]) {
            assert!(Readout::from_bytes(&bytes[..length], path).is_err(), "{length}");
        }
    }

    #[test]
    fn an_inconsistent_whitening_is_neither_written_nor_read() {
        let path = Path::new("head.safetensors");
        let mut wrong = readout(Activation::Sigmoid);
        wrong.whitening.bias.pop();
        let error = wrong.to_bytes(path).unwrap_err();
        assert!(matches!(error, HeadFileError::Readout { source: ReadoutError::Whitening(_), .. }), "{error}");
        let mut bytes = readout(Activation::Sigmoid).to_bytes(path).unwrap();
        // The head takes stage 4, and the whitening stage 3.
        replace(&mut bytes, br#"stage\":3,"#, br#"stage\":4,"#);
        let error = Readout::from_bytes(&bytes, path).unwrap_err();
        assert!(matches!(error, HeadFileError::Readout { source: ReadoutError::Whitening(_), .. }), "{error}");
    }

    #[test]
    fn other_safetensors_files_are_refused() {
        let bytes = safetensors::serialize([("a", TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap())], None);
        let error = Readout::from_bytes(&bytes.unwrap(), Path::new("x")).unwrap_err();
        insta::assert_snapshot!("no_head", error.to_string());
    }
}
