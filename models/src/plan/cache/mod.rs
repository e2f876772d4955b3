//! Keeps the plans that this device has built, each in a file that is called an entry, and checks that this device wrote the entry.
//!
//! A plan is executable code, which TensorRT runs. So each entry ends with an authentication code, the HMAC-SHA256 of all other
//! bytes of the entry. It is computed with the device's key, which never leaves the device. An entry is authenticated before its
//! description is parsed and before its plan is deserialised.
//!
//! A planted, foreign, truncated or altered entry is reported, and the caller rebuilds the plan. `PLANS.md` in
//! this crate's folder specifies the entry's format and says which attacks the authentication code prevents.

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

/// The end of an entry's file name.
pub const SUFFIX: &str = ".plan";
/// Maximum size of an entry in bytes: 1 GiB. A plan of ResNet-34 has 34 to 90 MB.
pub const MAX_ENTRY_BYTES: u64 = 1 << 30;

/// A folder of entries and the device's key.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    key: DeviceKey,
}

/// An error of the system on the cache's folder or on a file that is written or removed. A bad entry is an [`EntryError`] instead.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct CacheError {
    /// The file or folder.
    pub path: PathBuf,
    /// The system's error.
    pub source: std::io::Error,
}

/// The result of a [`lookup`](Cache::lookup).
#[derive(Debug)]
pub enum Lookup {
    /// The plan, which this device has built.
    Hit(AuthenticPlan),
    /// There is no entry.
    Missing,
    /// There is an entry that can't be used. Rebuild the plan and [`store`](Cache::store) it, which replaces the entry.
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with the entry.
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
    /// The description of the entry's plan, or why the entry can't be used.
    pub entry: Result<Description, EntryError>,
}

impl Cache {
    /// The cache in `folder`. Creates the folder if it is missing; its parent must exist.
    ///
    /// # Errors
    /// [`CacheError`]: the folder can't be created.
    pub fn open(folder: &Path, key: DeviceKey) -> Result<Self, CacheError> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
            result => result.map_err(at(folder))?,
        }
        Ok(Self::existing(folder, key))
    }

    /// The cache in `folder`, without creating the folder. A missing folder has no entries.
    #[must_use]
    pub fn existing(folder: &Path, key: DeviceKey) -> Self {
        Self { folder: folder.to_owned(), key }
    }

    /// The path of the entry of the plan that `key` identifies.
    #[must_use]
    pub fn path(&self, key: &PlanKey) -> PathBuf {
        self.folder.join(format!("{}{SUFFIX}", key.file_stem()))
    }

    /// Looks up the plan that `key` identifies. Reads the file once, so that the bytes that were authenticated are the ones that
    /// are returned.
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

    /// Reads and authenticates an entry.
    fn authentic(&self, path: &Path) -> Result<AuthenticPlan, EntryError> {
        AuthenticPlan::open(read(path)?, &self.key)
    }

    /// Stores a plan and replaces an existing entry: writes a temporary file, flushes it, and renames it.
    ///
    /// # Errors
    /// [`CacheError`]: the entry can't be written.
    pub fn store(&self, plan: &AuthenticPlan) -> Result<PathBuf, CacheError> {
        let path = self.path(&plan.description().key);
        let mut file =
            tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(&self.folder).map_err(at(&self.folder))?;
        for piece in entry::encode(plan.description(), plan.plan(), &self.key) {
            file.write_all(&piece).map_err(at(file.path()))?;
        }
        file.as_file().sync_all().map_err(at(file.path()))?;
        file.persist(&path).map_err(|error| CacheError { path: path.clone(), source: error.error })?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(at(&self.folder))?;
        Ok(path)
    }

    /// All entries in the order of their file names, each checked as by [`lookup`](Self::lookup). Skips other files.
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

    /// Checks one entry; `None` if its file vanished meanwhile.
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
    /// [`CacheError`]: the entry can't be removed, for example because it is a folder.
    pub fn remove(&self, listed: &Listed) -> Result<(), CacheError> {
        fs::remove_file(&listed.path).map_err(at(&listed.path))
    }
}

/// Reads an entry of at most [`MAX_ENTRY_BYTES`]. Refuses links, pipes and folders.
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
