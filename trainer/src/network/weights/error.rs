//! What can go wrong with weights.

use super::no_weights::NoWeights;
use std::path::PathBuf;

/// The rest of the sentence about missing weights.
const HOW_TO_GET: &str = "\
Use --backbone PATH or CELLGATE_BACKBONE=PATH to name a file, or put one there. The official weights are torchvision's \
ResNet34_Weights.IMAGENET1K_V1: https://download.pytorch.org/models/resnet34-b627a593.pth (83 MB; its SHA-256 begins \
with the b627a593 of its name). Without a network, fetch it on another machine and copy it";

/// Why weights could not be had.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// No file at any of the places that were looked at.
    #[error(
        "no backbone weights; looked for: {}. {}",
        looked_for.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
        HOW_TO_GET
    )]
    Missing {
        /// The places, in order.
        looked_for: Vec<PathBuf>,
    },
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path leads to something that holds no weights.
    #[error("{}: found {found}", path.display())]
    NoWeights {
        /// The path.
        path: PathBuf,
        /// What it leads to.
        found: NoWeights,
    },
    /// The file is damaged, or no weights file at all.
    #[error("{}: malformed weights: found {found}, expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// A sound file with something in it that is not read here.
    #[error("{}: unsupported weights: found {found}, expected {expected}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What stands there.
        found: String,
        /// What is supported.
        expected: String,
    },
    /// A tensor of ResNet-34 is missing, has another shape or is not finite.
    #[error("{}: tensor {name}: found {found}, expected {expected}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name in torchvision.
        name: String,
        /// Its shape, or that it is missing.
        found: String,
        /// The shape in ResNet-34.
        expected: String,
    },
    /// The file holds other tensors than those of ResNet-34.
    #[error(
        "{}: found {found}{}; expected one ResNet-34 under torchvision's names, and whatever prefix: save it alone with \
         torch.save(network.state_dict(), FILE)",
        path.display(), besides(other)
    )]
    NotResNet34 {
        /// The file.
        path: PathBuf,
        /// The network or tensors in it.
        found: String,
        /// What else is in it.
        other: Vec<String>,
    },
    /// The file holds ResNet-34, or part of it, in a form whose numbers can't be taken as they are.
    #[error(
        "{}: found {} tensors that are not plain floating-point numbers, such as {}; expected all of ResNet-34's in F64, F32, F16 \
         or BF16: save the network as it was before it was quantised, made sparse or moved to the meta device",
        path.display(), tensors.len(), tensors.iter().take(3).cloned().collect::<Vec<_>>().join(", ")
    )]
    NotPlain {
        /// The file.
        path: PathBuf,
        /// The names of these tensors, each with its form; at least one.
        tensors: Vec<String>,
    },
    /// There is no Python to read a checkpoint with.
    #[error(
        "{}: a file of torch.save is read by Python with PyTorch, found none at {}: run scripts/setup, name one in \
         CELLGATE_PYTHON, or take a .safetensors file",
        path.display(), looked_for.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NoPython {
        /// The file.
        path: PathBuf,
        /// Where Python was looked for, in order.
        looked_for: Vec<PathBuf>,
    },
    /// The Python that reads a checkpoint failed.
    #[error(
        "{}: {} could not read it: {detail}; expected a Python with PyTorch: run scripts/setup, or name one in CELLGATE_PYTHON",
        path.display(), python.display()
    )]
    Python {
        /// The file.
        path: PathBuf,
        /// The Python.
        python: PathBuf,
        /// What happened.
        detail: String,
    },
    /// libtorch failed.
    #[error("{}: libtorch: {source}", path.display())]
    Torch {
        /// The file.
        path: PathBuf,
        /// What libtorch said.
        source: tch::TchError,
    },
}

/// The other content of a checkpoint, after what was found.
fn besides(other: &[String]) -> String {
    if other.is_empty() { String::new() } else { format!(", and {}", other.join(", ")) }
}
