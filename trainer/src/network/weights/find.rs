//! Where the backbone's weights are looked for.

use super::WeightsError;
use std::path::{Path, PathBuf};

/// Names the file to use instead of the default places.
const VARIABLE: &str = "CELLGATE_BACKBONE";

/// The rest of the sentence about missing weights.
pub(super) const HOW_TO_GET: &str = "\
Use --backbone PATH or CELLGATE_BACKBONE=PATH to name a file, or put one there. The official weights are torchvision's \
ResNet34_Weights.IMAGENET1K_V1: https://download.pytorch.org/models/resnet34-b627a593.pth (83 MB; its SHA-256 begins \
with the b627a593 of its name). Without a network, fetch it on another machine and copy it";

/// The weights file: `given` (`--backbone`) if there is one, else the one named by the environment variable
/// `CELLGATE_BACKBONE`, else the first that exists of
/// 1. `models/weights/resnet34.safetensors` in the working directory,
/// 2. `~/.cache/cellgate/backbone/resnet34-b627a593.pth` (or below `$XDG_CACHE_HOME`),
/// 3. `models/weights/resnet34-electrodes.safetensors` in the working directory: this repository's own.
///
/// # Errors
/// [`WeightsError::Missing`] with all places and how to get the official file.
pub fn find(given: Option<&Path>) -> Result<PathBuf, WeightsError> {
    let named = given.map(Path::to_owned).or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    let candidates = match named {
        Some(path) => vec![path],
        None => std::iter::once(PathBuf::from("models/weights/resnet34.safetensors"))
            .chain(crate::features::default_cache_root().map(|dir| dir.join("backbone/resnet34-b627a593.pth")))
            .chain([PathBuf::from("models/weights/resnet34-electrodes.safetensors")])
            .collect(),
    };
    first_that_exists(candidates)
}

fn first_that_exists(candidates: Vec<PathBuf>) -> Result<PathBuf, WeightsError> {
    match candidates.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(WeightsError::Missing { looked_for: candidates }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_existing_file_wins_and_a_missing_one_is_explained() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let missing = PathBuf::from("/nowhere/resnet34.pth");
        let found = first_that_exists(vec![missing.clone(), file.path().to_owned()]).unwrap();
        assert_eq!(found, file.path());
        let message = find(Some(&missing)).unwrap_err().to_string();
        for part in ["/nowhere/resnet34.pth", "--backbone", "b627a593", "https://download.pytorch.org", "copy"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
