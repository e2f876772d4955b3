//! Writes a model to a temporary folder beside its destination, reads it back, and then moves it to the destination.

use super::folder::io;
use super::reader::is_any_manifest;
use super::{
    CONVERSION, ENVELOPE, Expectation, FORMAT, GOLDEN_FOLDER, GoldenEntry, MANIFEST, MODEL_CARD, Manifest, Member,
    MemberName, Model, ModelError, ModelLimits, NetworkEntry, POLICY, PRODUCT, Precision, TrainingRecord,
};
use crate::conversion::ConversionSpec;
use crate::digest::Digest;
use crate::engine::{LogitMap, WhitenedFeatures};
use crate::envelope::Envelope;
use crate::policy::Policy;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

/// Everything that goes into a model.
#[derive(Debug, Clone)]
pub struct Contents {
    /// When the model was made: a time by RFC 3339 such as `2026-11-23T09:30:00Z`.
    pub created: String,
    /// The bytes of the ONNX files, at least one.
    pub networks: BTreeMap<Precision, Vec<u8>>,
    /// How a radiograph becomes the network's input. The specification must have a size.
    pub conversion: ConversionSpec,
    /// How a logit becomes a verdict.
    pub policy: Policy,
    /// What the training images were like. All golden images must be inside.
    pub envelope: Envelope,
    /// A description of the model for people, Markdown.
    pub model_card: String,
    /// How the networks were trained.
    pub training: TrainingRecord,
    /// The trainer's figures on the networks.
    pub metrics: serde_json::Map<String, serde_json::Value>,
    /// Images with their expected outputs, at least one.
    pub golden: Vec<GoldenSource>,
}

/// A golden image to be written.
#[derive(Debug, Clone)]
pub struct GoldenSource {
    /// Its file name within the folder `golden`, for example `01.tif`.
    pub name: String,
    /// The bytes of its TIFF file.
    pub tiff: Vec<u8>,
    /// The expected map, of the size that [`LogitMap::size_for`] returns for the conversion's size. Its member has the name of the TIFF
    /// file with the ending `.map`.
    pub map: LogitMap,
    /// The expected whitened features. Their member has the name of the TIFF file with the ending `.features`.
    pub features: WhitenedFeatures,
    /// The expected logit for each of [`Contents::networks`]. No threshold may lie within the tolerance of an expected logit, and
    /// the largest distance not within the tolerance of the features.
    pub expected: BTreeMap<Precision, Expectation>,
}

/// What to do if the path to which the model should be written already exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave the path as it is and refuse to write.
    Refuse,
    /// Replace a folder that has a valid `manifest.json`. For any other folder or file, writing is refused.
    Replace,
}

/// Writes a model to the folder `path` and returns its digest.
///
/// The files are written to a folder beside `path`, flushed to disk, read back with [`Model::open`] and moved into place. So
/// `path` never holds a partial model. If the process is killed, a folder `.NAME.*.tmp` may remain. Replacing a model takes two
/// moves. If the process is killed between the two moves, the old model is in that folder, and nothing is at `path`. The same holds
/// if the second move fails and the old model can't be moved back. The error then names the folder.
///
/// # Errors
/// [`ModelError`]: as for [`Model::open`]; also if `path` exists and may not be replaced, or if it can't be written.
pub fn write(path: &Path, contents: &Contents, existing: Existing) -> Result<Digest, ModelError> {
    check_place(path, existing)?;
    let (parent, name) = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => (Path::new("."), name),
        (Some(parent), Some(name)) => (parent, name),
        _ => {
            return Err(ModelError::Kind { path: path.to_owned(), found: "no name", expected: "a new folder's path" });
        }
    };
    let prefix = format!(".{}.", name.to_string_lossy());
    let folder = tempfile::Builder::new().prefix(&prefix).suffix(".tmp").tempdir_in(parent).map_err(io(parent))?;
    let new = folder.path().join("new");
    fs::create_dir(&new).map_err(io(&new))?;
    write_files(&new, contents)?;
    let digest = Model::open(&new, &ModelLimits::default())?.digest();
    let folder = move_into_place(folder, path)?;
    sync_folder(parent)?;
    // Deletes the old model.
    drop(folder);
    Ok(digest)
}

/// Moves what is at `path` to `old` in `folder`, and then `new` in `folder` to `path`. If the second move fails, moves `old` back.
/// Returns `folder`, which still holds `old`.
fn move_into_place(folder: TempDir, path: &Path) -> Result<TempDir, ModelError> {
    let replaces = path.symlink_metadata().is_ok();
    if replaces {
        fs::rename(path, folder.path().join("old")).map_err(io(path))?;
    }
    match fs::rename(folder.path().join("new"), path) {
        Ok(()) => Ok(folder),
        Err(error) if replaces => Err(io(path)(move_back(folder, path, error))),
        Err(error) => Err(io(path)(error)),
    }
}

/// Moves `old` in `folder` back to `path` after moving the new model failed with `error`. If this fails too, keeps `folder`, which
/// then holds the only copy of the old model. Returns the error to report.
fn move_back(folder: TempDir, path: &Path, error: std::io::Error) -> std::io::Error {
    let Err(undo) = fs::rename(folder.path().join("old"), path) else { return error };
    let old = folder.keep().join("old");
    std::io::Error::other(format!(
        "{error}; moving the old model back also failed: {undo}; the old model is kept in {}",
        old.display()
    ))
}

/// Checks that `path` does not exist, or that it holds a model of any format and may be replaced.
fn check_place(path: &Path, existing: Existing) -> Result<(), ModelError> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    let hint = match existing {
        Existing::Refuse => "; remove it, choose another path, or ask for it to be replaced",
        Existing::Replace if metadata.is_dir() && is_model_of_any_format(path) => return Ok(()),
        Existing::Replace => " and is not a model; remove it or choose another path",
    };
    Err(ModelError::Exists { path: path.to_owned(), hint })
}

fn is_model_of_any_format(path: &Path) -> bool {
    is_any_manifest(&path.join(MANIFEST), &ModelLimits::default())
}

fn write_files(folder: &Path, contents: &Contents) -> Result<(), ModelError> {
    let files = files(contents);
    let mut members = BTreeMap::new();
    let named =
        |name: &str| MemberName::new(name).map_err(|source| ModelError::Name { folder: folder.to_owned(), source });
    for (name, bytes) in &files {
        members.insert(named(name)?, Member { sha256: Digest::of(bytes), bytes: bytes.len() as u64 });
    }
    let network = |&precision: &Precision| Ok(NetworkEntry { precision, member: named(precision.member())? });
    let golden = |golden: &GoldenSource| {
        Ok(GoldenEntry {
            member: named(&golden_member(golden))?,
            map: named(&output_member(golden, "map"))?,
            features: named(&output_member(golden, "features"))?,
            expected: golden.expected.clone(),
        })
    };
    let manifest = Manifest {
        format: FORMAT,
        product: PRODUCT.to_owned(),
        created: contents.created.clone(),
        members,
        networks: contents.networks.keys().map(network).collect::<Result<_, ModelError>>()?,
        training: contents.training.clone(),
        metrics: contents.metrics.clone(),
        golden: contents.golden.iter().map(golden).collect::<Result<_, ModelError>>()?,
    };
    manifest
        .check(&ModelLimits::default())
        .map_err(|source| ModelError::Manifest { path: folder.join(MANIFEST), source })?;
    let golden_folder = folder.join(GOLDEN_FOLDER);
    fs::create_dir(&golden_folder).map_err(io(&golden_folder))?;
    for (name, bytes) in &files {
        write_file(&folder.join(name), bytes)?;
    }
    write_file(&folder.join(MANIFEST), &manifest.to_bytes())?;
    sync_folder(&golden_folder)?;
    sync_folder(folder)
}

/// All files except the manifest.
fn files(contents: &Contents) -> Vec<(String, Cow<'_, [u8]>)> {
    let mut files = vec![
        (CONVERSION.to_owned(), Cow::Owned(json(&contents.conversion))),
        (POLICY.to_owned(), Cow::Owned(json(&contents.policy))),
        (ENVELOPE.to_owned(), Cow::Owned(json(&contents.envelope))),
        (MODEL_CARD.to_owned(), Cow::Borrowed(contents.model_card.as_bytes())),
    ];
    let networks = contents.networks.iter().map(|(precision, bytes)| (precision.member().to_owned(), bytes));
    let golden = contents.golden.iter().map(|golden| (golden_member(golden), &golden.tiff));
    files.extend(networks.chain(golden).map(|(name, bytes)| (name, Cow::Borrowed(bytes.as_slice()))));
    for golden in &contents.golden {
        files.push((output_member(golden, "map"), Cow::Owned(golden.map.to_bytes())));
        files.push((output_member(golden, "features"), Cow::Owned(golden.features.to_bytes())));
    }
    files
}

fn golden_member(golden: &GoldenSource) -> String {
    format!("{GOLDEN_FOLDER}/{}", golden.name)
}

/// The name of an expected output of the golden image: that of its TIFF file with the ending `ending`.
fn output_member(golden: &GoldenSource, ending: &str) -> String {
    let stem = golden.name.rsplit_once('.').map_or(golden.name.as_str(), |(stem, _)| stem);
    format!("{GOLDEN_FOLDER}/{stem}.{ending}")
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("these types are always JSON");
    bytes.push(b'\n');
    bytes
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let mut file = File::create_new(path).map_err(io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io(path))
}

fn sync_folder(path: &Path) -> Result<(), ModelError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_model_that_cannot_be_moved_back_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let (path, folder) = (parent.path().join("model"), TempDir::new_in(parent.path()).unwrap());
        let old = folder.path().join("old");
        fs::create_dir(&old).unwrap();
        fs::write(old.join(MANIFEST), b"the old model").unwrap();
        // A folder with a file in it can't be replaced by a rename.
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), b"").unwrap();
        let error = move_back(folder, &path, std::io::Error::other("DISK FULL"));
        assert_eq!(fs::read(old.join(MANIFEST)).unwrap(), b"the old model");
        assert!(error.to_string().contains(&*old.to_string_lossy()), "{error}");
    }

    #[test]
    fn an_old_model_is_moved_back_if_the_new_one_cannot_be_moved() {
        let parent = tempfile::tempdir().unwrap();
        let (path, folder) = (parent.path().join("model"), TempDir::new_in(parent.path()).unwrap());
        fs::create_dir(&path).unwrap();
        fs::write(path.join(MANIFEST), b"the old model").unwrap();
        // The folder has no `new`.
        assert!(move_into_place(folder, &path).is_err());
        assert_eq!(fs::read(path.join(MANIFEST)).unwrap(), b"the old model");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1, "no temporary folder remains");
    }
}
