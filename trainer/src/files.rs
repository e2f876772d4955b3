//! Writes files atomically: a file has either its old or its complete new content, even if the program is killed.

use serde::Serialize;
use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Prefix of the temporary names of files that are still being written.
pub const TEMPORARY: &str = ".writing-";

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system reports an error.
    #[error("{} can't be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A value can't be written as JSON.
    #[error("{} can't be written as JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: serde_json::Error,
    },
}

impl FileError {
    /// Returns a function that makes a [`FileError::Write`] for `path` from the system's error.
    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}

/// Writes `bytes` to `path` through a temporary file beside it. A kill or a power cut leaves either the old file or the new
/// one. Creates missing folders.
///
/// # Errors
/// The folder or the file can't be written.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // By default, a temporary file can be read by its owner only. With 0o666 it gets the permissions of any new file, because the
    // system removes the bits of the umask.
    let permissions = Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).permissions(permissions).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Removes the temporary files that killed programs have left in `folder`. Does nothing if there is no such folder.
///
/// # Errors
/// The folder can't be read, or a file can't be removed.
pub(crate) fn remove_temporary(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes `value` as indented JSON, atomically like [`write()`].
///
/// # Errors
/// [`FileError`]: the value can't be expressed in JSON, or the file can't be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let text = serde_json::to_vec_pretty(value);
    let mut text = text.map_err(|source| FileError::Json { path: path.to_owned(), source })?;
    text.push(b'\n');
    write(path, &text).map_err(FileError::writing(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_no_temporary_file_remains() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/file.json");
        write_json(&path, &[1, 2]).unwrap();
        write(&path, b"[3]\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"[3]\n");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        // The umask decides the permissions, as for any new file.
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain));
    }

    #[test]
    fn writing_to_the_path_of_a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(folder.path(), b"").is_err());
    }
}
