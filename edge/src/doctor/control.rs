//! Checks whether the appliance can create its control socket.

use super::folder::or_here;
use crate::control::is_held;
use crate::finding::Finding;
use rustix::fs::{Access, access};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// Checks the folder of `socket`, and that nothing else is at its path. A socket that the running appliance uses is a warning only,
/// and so is a missing folder.
pub(super) fn control(socket: &Path, is_running: bool) -> Finding {
    let what = "control socket";
    let named = socket.display();
    if is_held(socket) {
        return if is_running {
            Finding::warning(what, format!("{named}: in use by the running appliance"))
        } else {
            let todo = "set [control] socket to another path, or stop the other appliance";
            Finding::failure(what, format!("{named}: in use by an appliance with another journal; {todo}"))
        };
    }
    let folder = or_here(socket.parent().unwrap_or(socket));
    if !folder.is_dir() {
        let found = format!(
            "{}: no such folder; if it is /run/cellgate, run `systemd-tmpfiles --create`; create any other folder yourself",
            folder.display()
        );
        return Finding::warning(what, found);
    }
    if let Err(error) = access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        return Finding::failure(what, format!("{}: {error}; let this user write there", folder.display()));
    }
    if socket.symlink_metadata().is_ok_and(|file| !file.file_type().is_socket()) {
        let found =
            format!("{named}: found a file that is no socket; move it away, or set [control] socket to another path");
        return Finding::failure(what, found);
    }
    Finding::ok(what, named.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Server;
    use crate::finding::FindingState;

    #[test]
    fn folder_file_and_other_appliances_are_checked() {
        let place = tempfile::tempdir().unwrap();
        let state = |name: &str, is_running| control(&place.path().join(name), is_running).state;
        assert_eq!(state("control", false), FindingState::Ok);
        assert_eq!(state("missing/control", false), FindingState::Warning);
        std::fs::write(place.path().join("file"), "").unwrap();
        assert_eq!(state("file", false), FindingState::Failure);
        assert_eq!(control(Path::new("control"), false).state, FindingState::Ok, "a relative path");
        let server = Server::listen(&place.path().join("control")).unwrap();
        assert_eq!([state("control", true), state("control", false)], [FindingState::Warning, FindingState::Failure]);
        drop(server);
        assert_eq!(state("control", false), FindingState::Ok);
        // A socket that a dead appliance left behind is replaced at the start.
        drop(std::os::unix::net::UnixListener::bind(place.path().join("control")).unwrap());
        assert_eq!(state("control", false), FindingState::Ok);
    }
}
