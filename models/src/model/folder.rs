//! Lists and reads a model's files on disk, under limits. Links are refused.

use super::{MemberName, ModelError, ModelLimits, NameError};
use crate::plain_file::{Links, PlainFile, PlainFileError};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The content of a model's folder. All names are relative to that folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// All regular files, at any depth.
    pub(super) files: BTreeSet<MemberName>,
    /// All folders.
    pub(super) folders: BTreeSet<MemberName>,
}

/// Lists the model's folder `root`. The caller named `root`, so it may be a link itself. Links inside it are refused.
pub(super) fn list(root: &Path, limits: &ModelLimits) -> Result<Listing, ModelError> {
    let root_metadata = fs::metadata(root).map_err(|source| match source.kind() {
        ErrorKind::NotFound => ModelError::NoFolder { path: root.to_owned() },
        _ => io(root)(source),
    })?;
    if !root_metadata.is_dir() {
        return Err(ModelError::Kind { path: root.to_owned(), found: "a file", expected: "a model's folder" });
    }
    let mut listing = Listing::default();
    let mut waiting = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = waiting.pop() {
        for entry in fs::read_dir(&folder).map_err(io(&folder))? {
            let entry = entry.map_err(io(&folder))?;
            let name = MemberName::new(format!("{prefix}{}", to_text(root, &entry.file_name())?))
                .map_err(|source| ModelError::Name { folder: root.to_owned(), source })?;
            // `file_type` does not follow links: it returns the type of the entry itself.
            let kind = entry.file_type().map_err(io(&entry.path()))?;
            let depth = name.as_str().split('/').count();
            if depth > limits.max_depth {
                return Err(limit(&entry.path(), "depth", depth as u64, limits.max_depth as u64));
            }
            let entries = listing.files.len() + listing.folders.len() + 1;
            if entries > limits.max_entries {
                return Err(limit(root, "files and folders", entries as u64, limits.max_entries as u64));
            }
            if kind.is_dir() {
                waiting.push((entry.path(), format!("{name}/")));
                listing.folders.insert(name);
            } else if kind.is_file() {
                listing.files.insert(name);
            } else {
                let found = if kind.is_symlink() { "a symbolic link" } else { "a pipe, socket or device" };
                return Err(ModelError::Kind { path: entry.path(), found, expected: "a regular file or folder" });
            }
        }
    }
    Ok(listing)
}

/// Reads a listed file of at most `max_bytes`. For a longer file, `too_long` makes the error from the file's length. The file
/// may have been replaced since it was listed. A link, folder or pipe in its place is refused.
pub(super) fn read(
    path: &Path,
    max_bytes: u64,
    too_long: impl FnOnce(u64) -> ModelError,
) -> Result<Vec<u8>, ModelError> {
    let kind = |found| ModelError::Kind { path: path.to_owned(), found, expected: "a regular file" };
    PlainFile::open(path, Links::Refuse).and_then(|file| file.read(max_bytes)).map_err(|error| match error {
        PlainFileError::Io(source) => io(path)(source),
        PlainFileError::Folder => kind("a folder"),
        PlainFileError::Other => kind("a link, pipe, socket or device"),
        PlainFileError::TooLong { found, .. } => too_long(found),
    })
}

/// Turns an error of the system into a [`ModelError`] at `path`.
pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ModelError {
    let path = path.to_owned();
    |source| ModelError::Io { path, source }
}

fn limit(path: &Path, what: &'static str, found: u64, expected: u64) -> ModelError {
    ModelError::Limit { path: path.to_owned(), what, found, expected }
}

fn to_text<'n>(root: &Path, name: &'n std::ffi::OsStr) -> Result<&'n str, ModelError> {
    name.to_str()
        .ok_or_else(|| ModelError::Name { folder: root.to_owned(), source: NameError::of(&name.to_string_lossy()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_long_name_is_cut_in_the_error_also_if_it_is_not_utf_8() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(std::ffi::OsStr::from_bytes(&[0xff; 200])), b"").unwrap();
        let error = list(folder.path(), &ModelLimits::default()).unwrap_err();
        assert!(matches!(&error, ModelError::Name { source, .. } if source.found.chars().count() == 160), "{error}");
    }

    #[test]
    fn a_link_folder_or_pipe_that_replaces_a_listed_file_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), b"12345").unwrap();
        symlink(at("file"), at("link")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        // Opening this pipe for reading would wait forever.
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let too_long = |found| limit(Path::new("file"), "bytes", found, 4);
        for name in ["link", "folder", "pipe"] {
            let error = read(&at(name), 5, too_long).unwrap_err();
            assert!(matches!(&error, ModelError::Kind { path, .. } if *path == at(name)), "{name}: {error}");
        }
        assert_eq!(read(&at("file"), 5, too_long).unwrap(), b"12345");
        assert!(matches!(read(&at("file"), 4, too_long), Err(ModelError::Limit { found: 5, .. })));
    }
}
