//! Errors of reading weights.

use super::no_weights::NoWeights;
use std::path::PathBuf;

/// Advice after the list of paths that were tried.
const HOW_TO_GET: &str = "\
Name a file with --backbone PATH or CELLGATE_BACKBONE=PATH, or get torchvision's with `cellgate-trainer backbone fetch` (87 MB)";

/// Error of reading weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// No file exists at any of the paths that were tried.
    #[error(
        "found no backbone weights; tried {}. {}",
        looked_for.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
        HOW_TO_GET
    )]
    Missing {
        /// The paths that were tried, in order.
        looked_for: Vec<PathBuf>,
    },
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The path is a folder, or a file that can't hold weights.
    #[error("{}: found {found}", path.display())]
    NoWeights {
        /// The path.
        path: PathBuf,
        /// The kind of thing found.
        found: NoWeights,
    },
    /// The file is damaged, or is not a weights file.
    #[error("{}: malformed weights: found {found}, expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The fault.
        found: String,
        /// The content expected.
        expected: String,
    },
    /// The file is well-formed, but holds something that is not supported.
    #[error("{}: unsupported weights: found {found}, expected {expected}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The content found.
        found: String,
        /// The content that is supported.
        expected: String,
    },
    /// A tensor of ResNet-34 is missing, has another shape or has a number that is not finite.
    #[error("{}: tensor {name}: found {found}, expected {expected}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name in torchvision.
        name: String,
        /// The tensor's shape, or that the tensor is missing or has a number that is not finite.
        found: String,
        /// The words "ResNet-34's shape" and the shape.
        expected: String,
    },
    /// The file does not hold exactly one ResNet-34.
    #[error(
        "{}: found {found}{}; expected one ResNet-34 with torchvision's names, with or without a prefix: save the network alone \
         with torch.save(network.state_dict(), FILE)",
        path.display(), besides(other)
    )]
    NotResNet34 {
        /// The file.
        path: PathBuf,
        /// The networks or tensors in it.
        found: String,
        /// The file's other content.
        other: Vec<String>,
    },
    /// Tensors of ResNet-34 are quantised, sparse, without data or of integers.
    #[error(
        "{}: found {} tensor(s) that are not plain floating-point numbers, such as {}; expected all tensors of ResNet-34 in F64, \
         F32, F16 or BF16: save the network before it is quantised, made sparse or moved to the meta device",
        path.display(), tensors.len(), tensors.iter().take(3).cloned().collect::<Vec<_>>().join(", ")
    )]
    NotPlain {
        /// The file.
        path: PathBuf,
        /// The names and forms of the tensors that are not plain; at least one.
        tensors: Vec<String>,
    },
    /// There is no Python to read a checkpoint with.
    #[error(
        "{}: reading a checkpoint of torch.save needs a Python with PyTorch, found none at {}: run scripts/setup, name a Python \
         in CELLGATE_PYTHON, or use a .safetensors file",
        path.display(), looked_for.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NoPython {
        /// The file.
        path: PathBuf,
        /// The paths of Python that were tried, in order.
        looked_for: Vec<PathBuf>,
    },
    /// The Python that reads a checkpoint failed.
    #[error(
        "{}: the Python {} failed to read it: {detail}; expected a Python with PyTorch: run scripts/setup, or name another Python \
         in CELLGATE_PYTHON",
        path.display(), python.display()
    )]
    Python {
        /// The file.
        path: PathBuf,
        /// The Python.
        python: PathBuf,
        /// The failure.
        detail: String,
    },
    /// libtorch failed.
    #[error("{}: libtorch: {source}", path.display())]
    Torch {
        /// The file.
        path: PathBuf,
        /// libtorch's error.
        source: tch::TchError,
    },
}

/// The text for the other content of a checkpoint, which continues a sentence. Empty if `other` is empty.
fn besides(other: &[String]) -> String {
    if other.is_empty() { String::new() } else { format!(", and {}", other.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_match_the_snapshot() {
        let path = || PathBuf::from("x.pth");
        let text = str::to_owned;
        let no_weights =
            [NoWeights::Folder, NoWeights::Empty, NoWeights::WebPage, NoWeights::LfsPointer, NoWeights::TorchScript];
        let no_weights = no_weights.map(|found| WeightsError::NoWeights { path: path(), found });
        let tensors = ["a", "b", "c", "d"].map(|name| format!("{name} (sparse)")).to_vec();
        let errors = [
            WeightsError::Missing { looked_for: vec!["/a/resnet34.safetensors".into(), "/b/resnet34.pth".into()] },
            WeightsError::Malformed { path: path(), found: text("FOUND"), expected: text("EXPECTED") },
            WeightsError::Unsupported { path: path(), found: text("FOUND"), expected: text("EXPECTED") },
            WeightsError::NotResNet34 { path: path(), found: text("no tensors"), other: vec![] },
            WeightsError::NotResNet34 {
                path: path(),
                found: text("ResNet-18"),
                other: vec![text("epoch 90"), text("arch 'resnet18'")],
            },
            WeightsError::NotPlain { path: path(), tensors },
            WeightsError::NoPython { path: path(), looked_for: vec!["/a/python3".into(), "/b/python3".into()] },
            WeightsError::Python { path: path(), python: "/a/python3".into(), detail: text("DETAIL") },
        ];
        let lines = no_weights.iter().chain(&errors).map(|error| format!("{error}\n"));
        insta::assert_snapshot!("errors", lines.collect::<String>());
    }
}
