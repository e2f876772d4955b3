//! Checks what an appliance needs (engine, folders, journal, port, clock, metrics, control socket) and says what to do about each
//! problem.

mod control;
mod engine;
mod folder;
mod program;

use crate::acquire::{ArchiveError, FileSystem, count_images};
use crate::config::{AcquireConfig, Config, Matching};
use crate::finding::{Finding, FindingState};
use crate::journal::{Filter, Reader, files_of, folder_of, format_utc_ms, is_held, now_unix_ms};
use crate::metrics::listen;
use crate::user::user_name;
use cellgate_models::one_line;
use control::control;
use folder::{folder, or_here};
use program::program;
use rustix::fs::{Access, access, statvfs};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// 2026-01-01 in milliseconds since 1970. This program was written later, so a clock that shows an earlier time is wrong.
const WRITTEN_UNIX_MS: i64 = 1_767_225_600_000;

/// Free space that the journal's disk should have: room for a million verdicts of a kilobyte each, with the log (`-wal`).
const JOURNAL_MIN_FREE_MIB: u64 = 1024;

/// Checks everything that `config` names. Changes nothing. Failures come first.
#[must_use]
pub fn examine(config: &Config) -> Vec<Finding> {
    let acquire = &config.acquire;
    let is_running = is_held(&config.journal.path);
    let mut findings = engine::examine(config);
    findings.extend([
        scans(&acquire.folder),
        archive(config),
        journal(&config.journal.path),
        port(&config.plc.port, is_running),
        clock(),
    ]);
    if is_running {
        findings.extend(program(&config.journal.path));
    } else {
        findings.extend(early_images(acquire));
    }
    findings.extend(config.metrics.listen.map(|address| metrics(address, is_running)));
    findings.extend(config.control.socket.as_ref().map(|socket| control(socket, is_running)));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.state));
    findings
}

/// Checks the scanner's folder, and whether the Linux kernel reports new files there.
fn scans(path: &Path) -> Finding {
    let what = "scanner's folder";
    let found = folder(what, path);
    if found.state != FindingState::Ok {
        return found;
    }
    match FileSystem::of(path) {
        Ok(kind) => scans_on(path, kind),
        Err(error) => Finding::failure(what, format!("{}: {error}", path.display())),
    }
}

/// Warns if the Linux kernel does not report all new files on a file system of this kind.
fn scans_on(path: &Path, kind: FileSystem) -> Finding {
    let what = "scanner's folder";
    match kind.consequence() {
        None => Finding::ok(what, format!("{} ({kind})", path.display())),
        Some(consequence) => Finding::warning(what, format!("{}: {consequence}", path.display())),
    }
}

/// Warns if images are in the scanner's folder that the start would move to the archive. A folder that can't be read has a finding
/// of its own.
fn early_images(acquire: &AcquireConfig) -> Option<Finding> {
    let images = count_images(&acquire.folder).ok().filter(|images| *images > 0)?;
    if acquire.matching == Matching::FreeRunning {
        return None;
    }
    let found = format!(
        "{}: holds {images} already; the appliance does not judge images from before its start and moves them to the archive, \
         which deletes its oldest images: move them elsewhere if you need them",
        acquire.folder.display()
    );
    Some(Finding::warning("early images", found))
}

/// Checks the archive, or the folder in which it will be created: whether it can be written, is on the scanner's file system, and
/// has enough free space.
fn archive(config: &Config) -> Finding {
    let what = "archive";
    let acquire = &config.acquire;
    let named = acquire.archive.display();
    let Some(place) = acquire.archive.ancestors().map(or_here).find(|place| place.is_dir()) else {
        return Finding::failure(what, format!("{named}: no such folder; set [acquire] archive to another folder"));
    };
    if let Err(error) = access(place, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        return Finding::failure(what, format!("{named}: {error}; let this user read and write there"));
    }
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev());
    // A missing scanner's folder has a finding of its own.
    if let (Ok(archive), Ok(folder)) = (device(place), device(&acquire.folder))
        && archive != folder
    {
        let found = format!("{named}: on another file system than {}", acquire.folder.display());
        return Finding::failure(
            what,
            format!("{found}; judged images are renamed into the archive, so put both on one file system"),
        );
    }
    match statvfs(place) {
        Ok(disk) => {
            let [free_mib, disk_mib] = [disk.f_bavail, disk.f_blocks].map(|blocks| (blocks * disk.f_frsize) >> 20);
            let found = format!("{named}: {free_mib} MiB free");
            if disk_mib < acquire.min_free_mib {
                let (folder, min_free_mib) = (acquire.archive.clone(), acquire.min_free_mib);
                return Finding::failure(what, ArchiveError::SmallDisk { folder, min_free_mib, disk_mib }.to_string());
            }
            if free_mib >= acquire.min_free_mib {
                Finding::ok(what, found)
            } else {
                let found = format!(
                    "{found}, less than min_free_mib = {}: every archived image is deleted at once",
                    acquire.min_free_mib
                );
                Finding::warning(what, found)
            }
        }
        Err(error) => Finding::failure(what, format!("{named}: {error}")),
    }
}

/// Checks whether the journal's files can be written and read, and whether its disk has room.
fn journal(path: &Path) -> Finding {
    let what = "journal";
    if is_held(path) {
        return Finding::warning(what, format!("{}: not checked, because a running appliance uses it", path.display()));
    }
    if let Some(found) = unwritable(&files_of(path)) {
        return Finding::failure(what, found);
    }
    let place = folder_of(path);
    if let Ok(disk) = statvfs(&place)
        && (disk.f_bavail * disk.f_frsize) >> 20 < JOURNAL_MIN_FREE_MIB
    {
        let found =
            format!("{}: less than {JOURNAL_MIN_FREE_MIB} MiB free; a full disk can't store verdicts", path.display());
        return Finding::warning(what, found);
    }
    let writable = folder(what, &place);
    if writable.state != FindingState::Ok {
        return writable;
    }
    if !path.exists() {
        return Finding::ok(what, format!("{}: will be created", path.display()));
    }
    match Reader::open(path).and_then(|reader| reader.newest(&Filter::default(), 1)) {
        Ok(rows) => {
            let newest = rows.first().map_or_else(
                || "no row yet".to_owned(),
                |row| format!("newest row {} from {}", row.seq, format_utc_ms(row.committed_unix_ms)),
            );
            Finding::ok(what, format!("{}: {newest}; `journal verify` checks the whole chain", path.display()))
        }
        Err(error) => Finding::failure(what, one_line(&error)),
    }
}

/// Describes the files that this user may not read and write, their owners, and what to do. `None` if there are no such files. Root
/// leaves such files behind by starting the appliance once.
fn unwritable(files: &[PathBuf]) -> Option<String> {
    let may = |file: &PathBuf| access(file, Access::READ_OK | Access::WRITE_OK);
    let refused: Vec<_> = files.iter().filter_map(|file| may(file).err().map(|error| (file, error))).collect();
    let (_, error) = refused.first()?;
    let this_user = user_name(rustix::process::getuid().as_raw());
    let owners: Vec<_> = refused.iter().map(|(file, _)| file.metadata().map(|file| user_name(file.uid()))).collect();
    let paths: Vec<_> = refused.iter().map(|(file, _)| file.display().to_string()).collect();
    let with_owner = |(path, owner): (&String, &std::io::Result<String>)| match owner {
        Ok(owner) => format!("{path} (owner {owner})"),
        Err(_) => path.clone(),
    };
    let named: Vec<_> = paths.iter().zip(&owners).map(with_owner).collect();
    let paths = paths.join(" ");
    let todo = if *error != rustix::io::Errno::ACCESS {
        "expected writable files".to_owned()
    } else if owners.iter().flatten().all(|owner| *owner == this_user) {
        format!("`chmod u+rw {paths}`")
    } else {
        format!(
            "expected files of {this_user}: run `chown {this_user} {paths}` as root, or run doctor as the appliance's user"
        )
    };
    Some(format!("{}: {error}; {todo}", named.join(", ")))
}

/// Checks whether the port can be opened. A port that the running appliance uses is a warning only.
fn port(path: &Path, is_running: bool) -> Finding {
    let what = "serial port";
    // Without O_NONBLOCK, opening would wait for a modem's carrier. Without O_NOCTTY, the port would become the controlling
    // terminal of this process.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let opened = OpenOptions::new().read(true).write(true).custom_flags(flags.bits() as i32).open(path);
    match opened.map(|port: File| rustix::termios::isatty(&port)) {
        Ok(true) => Finding::ok(what, path.display().to_string()),
        Ok(false) => {
            Finding::failure(what, format!("{}: found something else, expected a serial port", path.display()))
        }
        Err(error) => {
            let errno = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
            if is_running && errno == Some(rustix::io::Errno::BUSY) {
                return Finding::warning(what, format!("{}: in use by the running appliance", path.display()));
            }
            let hint = match errno {
                Some(rustix::io::Errno::ACCESS) => "add this user to the group dialout",
                Some(rustix::io::Errno::BUSY) => "another process has it open; is an appliance running?",
                _ => "is the adapter plugged in? See `ls /dev/serial/by-path`",
            };
            Finding::failure(what, format!("{}: {error}; {hint}", path.display()))
        }
    }
}

/// Checks whether the metrics' address is free. An address that the running appliance uses is a warning only.
fn metrics(address: SocketAddr, is_running: bool) -> Finding {
    let what = "metrics";
    match listen(address) {
        Ok(_) => Finding::ok(what, format!("{address} is free")),
        Err(error) if error.source.kind() != ErrorKind::AddrInUse => Finding::failure(what, error.to_string()),
        Err(_) if is_running => Finding::warning(what, format!("{address}: in use by the running appliance")),
        Err(error) => Finding::failure(
            what,
            format!("{error}; no appliance uses this journal, but one with another journal may be running"),
        ),
    }
}

/// Checks whether the clock shows a time after this program was written.
fn clock() -> Finding {
    let now = now_unix_ms();
    let text = format_utc_ms(now);
    if now < WRITTEN_UNIX_MS {
        let found = format!(
            "{text} is before this program was written; set the clock, because the journal's rows carry its time"
        );
        return Finding::warning("clock", found);
    }
    Finding::ok("clock", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, JournalOptions};

    #[test]
    fn missing_things_are_failures_and_nothing_is_created() {
        let place = tempfile::tempdir().unwrap();
        let text = Config::EXAMPLE.replace("/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0", "port");
        let config = Config::parse(&text, &place.path().join("edge.toml")).unwrap();
        std::fs::write(place.path().join("port"), "").unwrap();
        let findings = examine(&config);
        let state = |what: &str| findings.iter().find(|finding| finding.what == what).unwrap();
        assert_eq!(state("model and engine").state, FindingState::Failure);
        assert_eq!(state("scanner's folder").state, FindingState::Failure, "{findings:?}");
        assert_eq!(state("serial port").state, FindingState::Failure, "{findings:?}");
        assert_eq!((state("journal").state, state("clock").state), (FindingState::Ok, FindingState::Ok));
        assert_eq!(findings[0].state, FindingState::Failure, "failures come first");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "doctor created something");
    }

    #[test]
    fn a_relative_archive_need_not_exist_yet() {
        let mut config = Config::parse(Config::EXAMPLE, Path::new("edge.toml")).unwrap();
        config.acquire.archive = "archive-that-is-not-there-yet".into();
        config.acquire.folder = ".".into();
        assert_ne!(archive(&config).state, FindingState::Failure, "{}", archive(&config).found);
    }

    #[test]
    fn a_disk_smaller_than_min_free_mib_is_a_failure() {
        let mut config = Config::parse(Config::EXAMPLE, Path::new("edge.toml")).unwrap();
        config.acquire.folder = ".".into();
        config.acquire.min_free_mib = u64::MAX;
        assert_eq!(archive(&config).state, FindingState::Failure);
    }

    #[test]
    fn a_folder_whose_new_files_the_linux_kernel_does_not_report_is_a_warning() {
        let state = |of: &str| scans_on(Path::new("scans"), FileSystem::of(Path::new(of)).unwrap()).state;
        assert_eq!((state("/dev/shm"), state("/proc")), (FindingState::Ok, FindingState::Warning));
    }

    #[test]
    fn images_that_the_start_would_archive_unjudged_are_a_warning() {
        let place = tempfile::tempdir().unwrap();
        let mut config = Config::parse(Config::EXAMPLE, &place.path().join("edge.toml")).unwrap();
        let AcquireConfig { folder, .. } = &config.acquire;
        assert_eq!(early_images(&config.acquire), None, "no folder");
        std::fs::create_dir_all(folder.join("3.tif")).unwrap();
        for name in [".4.tif", "5.txt"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!(early_images(&config.acquire), None, "no image");
        for name in ["1.tif", "2.TIFF"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let found = early_images(&config.acquire).unwrap();
        assert!(found.state == FindingState::Warning && found.found.contains("holds 2 "), "{found:?}");
        assert!(examine(&config).contains(&found));
        config.acquire.matching = Matching::FreeRunning;
        assert_eq!(early_images(&config.acquire), None, "they are judged");
    }

    #[test]
    fn only_an_existing_scanner_s_folder_is_compared_with_the_archive() {
        let place = tempfile::tempdir().unwrap();
        let mut config = Config::parse(Config::EXAMPLE, &place.path().join("edge.toml")).unwrap();
        config.acquire.min_free_mib = 0;
        assert!(!config.acquire.folder.exists());
        assert_eq!(archive(&config).state, FindingState::Ok, "{}", archive(&config).found);
        config.acquire.folder = "/proc".into();
        let found = archive(&config);
        assert_eq!(found.state, FindingState::Failure);
        assert!(
            found.found.contains(config.acquire.archive.to_str().unwrap()) && found.found.contains("/proc"),
            "{found:?}"
        );
    }

    #[test]
    fn a_journal_and_an_address_that_the_running_appliance_uses_are_warnings() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("journal");
        let (running, _) = Journal::open(&path, JournalOptions::default()).unwrap();
        let found = journal(&path);
        assert_eq!(found.state, FindingState::Warning, "{found:?}");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(
            [true, false].map(|is_running| metrics(address, is_running).state),
            [FindingState::Warning, FindingState::Failure]
        );
        drop(running);
        assert_ne!(journal(&path).state, FindingState::Failure);
    }

    #[test]
    fn the_folder_of_a_journal_behind_a_symbolic_link_is_the_folder_of_the_target() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("journal");
        drop(Journal::open(&path, JournalOptions::default()).unwrap());
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("journal");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(folder_of(&link), place.path().canonicalize().unwrap());
        assert_eq!(folder_of(Path::new("journal-that-is-not-there")), Path::new(".").canonicalize().unwrap());
    }

    #[test]
    fn a_journal_with_files_of_another_user_is_a_failure() {
        use std::fs::{Permissions, set_permissions};
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("journal");
        drop(Journal::open(&path, JournalOptions::default()).unwrap());
        let lock = place.path().join("journal.lock");
        set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
        files_of(&path).iter().for_each(|file| set_permissions(file, Permissions::from_mode(0o666)).unwrap());
        set_permissions(&lock, Permissions::from_mode(0o444)).unwrap();
        let is_root = rustix::process::getuid().is_root();
        // Root may write everything, so the checking thread switches to the user `nobody`. Only that thread is affected.
        let look = || {
            if is_root {
                let nobody = rustix::process::Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).ok()?;
                access(place.path(), Access::READ_OK).ok()?;
            }
            Some(journal(&path))
        };
        let Some(found) = std::thread::scope(|scope| scope.spawn(look).join().unwrap()) else {
            cellgate_test_support::skipped(
                "root can't switch to another user here, or that user can't reach the folder for temporary files",
            );
            return;
        };
        assert_eq!(found.state, FindingState::Failure, "{found:?}");
        assert!(found.found.contains(lock.to_str().unwrap()), "{found:?}");
        let todo = if is_root {
            format!("`chown {} {}`", user_name(65534), lock.display())
        } else {
            "`chmod u+rw ".to_owned()
        };
        assert!(found.found.contains(&todo), "{found:?}");
        assert!(!is_root || found.found.contains("root"), "{found:?}");
        set_permissions(&lock, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(std::thread::scope(|scope| scope.spawn(look).join().unwrap()).unwrap().state, FindingState::Ok);
    }
}
