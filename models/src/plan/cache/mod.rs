//! The plans that this device has built, kept so that only it can have written them.
//!
//! A plan is executable code: TensorRT runs what it finds in one. Each entry therefore ends with an HMAC-SHA256 over all of
//! it, made with a key that never leaves the device, and is checked before anything of it is parsed, let alone
//! deserialised. A planted, foreign, cut or altered entry is reported, and the caller builds the plan anew.
//! `PLANS.md` beside this crate has the format and what it protects against.

mod device_key;
mod entry;
mod key;
#[cfg(test)]
mod tests;

pub use device_key::{DeviceKey, DeviceKeyError};
pub use entry::{AuthenticPlan, Description, EntryError, FORMAT, MAGIC};
pub use key::{Gpu, MAX_GPU_NAME_BYTES, PlanKey};

use crate::plain_file::{Links, PlainFile, PlainFileError};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// What an entry's file name ends with.
pub const SUFFIX: &str = ".plan";
/// Largest entry in bytes that is read: 1 GiB. A plan of the reference network has 34 to 90 MB.
pub const MAX_ENTRY_BYTES: u64 = 1 << 30;

/// A folder of entries and the device's key.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    key: DeviceKey,
}

/// Why a cache can't be used at all. A bad entry is no such error.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct CacheError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

/// What the cache has for a key.
#[derive(Debug)]
pub enum Lookup {
    /// This device built it for this key.
    Hit(AuthenticPlan),
    /// Nothing.
    Missing,
    /// Something that is not to be used: build the plan anew and [`store`](Cache::store) it in its place.
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: EntryError,
    },
}

/// One entry of a [`list`](Cache::list).
#[derive(Debug)]
pub struct Listed {
    /// Its file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// What it is, without the plan; else why it is not to be used.
    pub entry: Result<Description, EntryError>,
}

impl Cache {
    /// The cache in `folder`, which is made where it is missing; its parent must be there.
    ///
    /// # Errors
    /// [`CacheError`]: the folder can't be made.
    pub fn open(folder: &Path, key: DeviceKey) -> Result<Self, CacheError> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
            result => result.map_err(at(folder))?,
        }
        Ok(Self::existing(folder, key))
    }

    /// The cache in `folder` as it is: one that is missing is not made, and has no entries.
    #[must_use]
    pub fn existing(folder: &Path, key: DeviceKey) -> Self {
        Self { folder: folder.to_owned(), key }
    }

    /// The file that an entry of this key has.
    #[must_use]
    pub fn path(&self, key: &PlanKey) -> PathBuf {
        self.folder.join(format!("{}{SUFFIX}", key.file_stem()))
    }

    /// The plan of this key. The file is read once, into memory, and what is checked is what is handed on.
    #[must_use]
    pub fn lookup(&self, key: &PlanKey) -> Lookup {
        let path = self.path(key);
        let reason = match self.authentic(&path) {
            Ok(plan) if plan.description().key == *key => return Lookup::Hit(plan),
            Ok(plan) => EntryError::OtherKey { found: plan.description().key.to_string(), expected: key.to_string() },
            Err(EntryError::Unreadable { kind: ErrorKind::NotFound, .. }) => return Lookup::Missing,
            Err(reason) => reason,
        };
        Lookup::Refused { path, reason }
    }

    /// What this device wrote into a file.
    fn authentic(&self, path: &Path) -> Result<AuthenticPlan, EntryError> {
        AuthenticPlan::open(read(path)?, &self.key)
    }

    /// Stores a plan that this process has built, in the place of what is there: written beside it, flushed, moved there.
    ///
    /// # Errors
    /// [`CacheError`]: it can't be written.
    pub fn store(&self, plan: &AuthenticPlan) -> Result<PathBuf, CacheError> {
        let path = self.path(&plan.description().key);
        let mut file =
            tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(&self.folder).map_err(at(&self.folder))?;
        for part in entry::encode(plan.description(), plan.plan(), &self.key) {
            file.write_all(&part).map_err(at(file.path()))?;
        }
        file.as_file().sync_all().map_err(at(file.path()))?;
        file.persist(&path).map_err(|error| CacheError { path: path.clone(), source: error.error })?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(at(&self.folder))?;
        Ok(path)
    }

    /// All entries, each checked as [`lookup`](Self::lookup) does, in the order of their file names. Other files are passed
    /// over.
    ///
    /// # Errors
    /// [`CacheError`]: the folder can't be read.
    pub fn list(&self) -> Result<Vec<Listed>, CacheError> {
        let mut paths = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(at(&self.folder))?,
        };
        for entry in entries {
            let path = entry.map_err(at(&self.folder))?.path();
            if path.to_str().is_some_and(|path| path.ends_with(SUFFIX)) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths.into_iter().filter_map(|path| self.listed(path)).collect())
    }

    /// None for one that is gone meanwhile.
    fn listed(&self, path: PathBuf) -> Option<Listed> {
        let bytes = fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
        let entry = self.authentic(&path).and_then(|plan| {
            let description = plan.description().clone();
            let expected = self.path(&description.key);
            if expected == path {
                Ok(description)
            } else {
                let expected = expected.display().to_string();
                Err(EntryError::OtherKey { found: description.key.to_string(), expected })
            }
        });
        let is_gone = matches!(entry, Err(EntryError::Unreadable { kind: ErrorKind::NotFound, .. }));
        (!is_gone).then_some(Listed { path, bytes, entry })
    }

    /// Removes an entry, whatever its state.
    ///
    /// # Errors
    /// [`CacheError`]: it can't be removed.
    pub fn remove(&self, listed: &Listed) -> Result<(), CacheError> {
        fs::remove_file(&listed.path).map_err(at(&listed.path))
    }
}

/// Reads an entry's file under [`MAX_ENTRY_BYTES`]. A link, pipe or folder is none.
fn read(path: &Path) -> Result<Vec<u8>, EntryError> {
    PlainFile::open(path, Links::Refuse).and_then(|file| file.read(MAX_ENTRY_BYTES)).map_err(|error| match error {
        PlainFileError::Io(error) => EntryError::Unreadable { kind: error.kind(), message: error.to_string() },
        PlainFileError::Folder => EntryError::Folder,
        PlainFileError::Other => EntryError::NoFile,
        PlainFileError::TooLong { found, expected } => EntryError::TooLong { found, expected },
    })
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> CacheError {
    let path = path.to_owned();
    |source| CacheError { path, source }
}
