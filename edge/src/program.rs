//! Notices that the file of a running program was replaced, as an upgrade does: a newer program waits for the next start.

use crate::file_id::FileId;
use std::fs;
use std::path::{Path, PathBuf};

/// The file that a running program was started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProgramFile {
    path: PathBuf,
    id: FileId,
}

impl ProgramFile {
    /// The file of this process, which has just started. `None` if its path is not known.
    pub(crate) fn of_this_process() -> Option<Self> {
        Self::at(std::env::current_exe().ok()?)
    }

    fn at(path: PathBuf) -> Option<Self> {
        FileId::of(&path).ok().map(|id| Self { path, id })
    }

    /// The path from which the program was started.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether another file, or none, is at the program's path now.
    pub(crate) fn is_replaced(&self) -> bool {
        FileId::of(&self.path).ok() != Some(self.id)
    }

    /// Writes this into `file`, for [`Self::noted_in`] of another process. Failure is harmless: then that process can't tell.
    pub(crate) fn note_in(&self, file: &Path) {
        let FileId { device, inode } = self.id;
        let _ = fs::write(file, format!("{device} {inode} {}", self.path.display()));
    }

    /// What [`Self::note_in`] wrote into `file`. `None` if it can't be read, or is something else.
    pub(crate) fn noted_in(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let mut words = text.splitn(3, ' ');
        let id = FileId { device: words.next()?.parse().ok()?, inode: words.next()?.parse().ok()? };
        Some(Self { path: words.next()?.into(), id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_and_a_missing_program_are_noticed_also_by_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let [path, newer, note] = ["a program", "newer", "note"].map(|name| folder.path().join(name));
        fs::write(&path, "1").unwrap();
        let running = ProgramFile::at(path.clone()).unwrap();
        running.note_in(&note);
        let noted = ProgramFile::noted_in(&note).unwrap();
        assert_eq!(noted, running);
        assert!(!running.is_replaced() && !noted.is_replaced());
        // As dpkg does it: the new file is renamed into place.
        fs::write(&newer, "1").unwrap();
        fs::rename(&newer, &path).unwrap();
        assert!(running.is_replaced() && noted.is_replaced());
        fs::remove_file(&path).unwrap();
        assert!(running.is_replaced());
        assert!(!ProgramFile::of_this_process().unwrap().is_replaced());
    }

    #[test]
    fn a_file_with_something_else_is_no_note() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("note");
        assert_eq!(ProgramFile::noted_in(&note), None);
        for text in ["", "1 2", "1 x /usr/bin/program", "-1 2 /usr/bin/program"] {
            fs::write(&note, text).unwrap();
            assert_eq!(ProgramFile::noted_in(&note), None, "{text}");
        }
    }
}
