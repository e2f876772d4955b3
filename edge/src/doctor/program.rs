//! Checks whether the running appliance is an older program than the one that is installed.

use crate::finding::Finding;
use crate::journal::lock_of;
use crate::program::ProgramFile;
use std::path::Path;

/// Warns if the file of the program that runs as the appliance with this journal was replaced, as an upgrade does. `None` if the
/// appliance noted no file.
pub(super) fn program(journal: &Path) -> Option<Finding> {
    let running = ProgramFile::noted_in(&lock_of(journal))?;
    let (what, path) = ("program", running.path().display());
    if running.is_replaced() {
        let todo = "restart the service while the production line stands still";
        return Some(Finding::warning(
            what,
            format!("{path}: was replaced, and the appliance runs the old program; {todo}"),
        ));
    }
    Some(Finding::ok(what, format!("{path}: the running appliance was started from this file")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::FindingState;
    use crate::journal::{Journal, JournalOptions, is_held};

    #[test]
    fn a_running_appliance_whose_program_was_replaced_is_a_warning() {
        let place = tempfile::tempdir().unwrap();
        let journal = place.path().join("journal");
        std::fs::write(lock_of(&journal), "0 0 /usr/bin/earlier").unwrap();
        let (_running, _) = Journal::open(&journal, JournalOptions::default()).unwrap();
        assert_eq!(
            program(&journal),
            None,
            "the appliance has not noted its program yet, and the note of an earlier one is gone"
        );
        let this = ProgramFile::of_this_process().unwrap();
        this.note_in(&lock_of(&journal));
        assert!(is_held(&journal), "a note takes the lock from nobody");
        assert_eq!(program(&journal).unwrap().state, FindingState::Ok);
        // No file has the inode 0.
        std::fs::write(lock_of(&journal), format!("0 0 {}", this.path().display())).unwrap();
        let replaced = program(&journal).unwrap();
        let path = this.path().to_str().unwrap();
        assert!(replaced.state == FindingState::Warning && replaced.found.starts_with(path), "{replaced:?}");
    }
}
