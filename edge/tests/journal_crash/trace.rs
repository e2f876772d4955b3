//! Runs the driver under shim.c and reads the notes that the shim writes.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// One call of the traced program, or one mark that it wrote.
pub(crate) struct Note {
    /// When the call was made, by the monotonic clock.
    pub(crate) time_ns: u64,
    /// The name of the file in the watched folder; empty for the folder itself.
    pub(crate) name: String,
    /// What the program did.
    pub(crate) call: Call,
}

/// What the traced program did to a file.
pub(crate) enum Call {
    /// Opened a file that did not exist before.
    Created,
    /// Wrote `data` at `offset`.
    Written { offset: usize, data: Vec<u8> },
    /// Set the file's length to `length` bytes.
    Truncated { length: usize },
    /// Synced the file or folder.
    Synced,
    /// Tried to sync the file or folder, and the shim made that fail.
    SyncFailed,
    /// Deleted the file's name.
    Unlinked,
    /// Wrote this text to the file `marks`, see `driver.rs`.
    Mark(String),
    /// The shim made the call with this name fail, or killed the program there.
    Failed(String),
}

/// Reads a trace. Its format is `struct note` in shim.c.
pub(crate) fn read(path: &Path) -> Vec<Note> {
    // Three numbers of 8 bytes, the kind, and a name of 31 bytes.
    const HEADER: usize = 56;
    let bytes = std::fs::read(path).unwrap();
    let mut rest = &bytes[..];
    let mut notes = Vec::new();
    while !rest.is_empty() {
        let number = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().unwrap());
        let (time_ns, offset, length) = (number(0), number(8) as usize, number(16) as usize);
        let name = std::str::from_utf8(&rest[25..HEADER]).unwrap().trim_end_matches('\0').to_owned();
        let data = rest[HEADER..HEADER + length].to_vec();
        let text = || String::from_utf8(data.clone()).unwrap();
        let call = match rest[24] {
            b'C' => Call::Created,
            b'W' => Call::Written { offset, data },
            b'T' => Call::Truncated { length: offset },
            b'S' => Call::Synced,
            b'E' => Call::SyncFailed,
            b'U' => Call::Unlinked,
            b'M' => Call::Mark(text()),
            b'X' => Call::Failed(text()),
            kind => panic!("note of kind {kind}"),
        };
        notes.push(Note { time_ns, name, call });
        rest = &rest[HEADER + length..];
    }
    notes
}

/// An error or a kill to inject: at which call, and how.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    /// The number of the call, from 1.
    pub(crate) at: u64,
    /// `eio`, `enospc`, `short`, `kill` or `kill-half`, see shim.c.
    pub(crate) how: &'static str,
    /// Whether all later calls fail too.
    pub(crate) stays: bool,
}

/// The number of the signal that a process can't handle.
const SIGKILL: i32 = 9;

/// The path of the shim, which is compiled at the first call.
fn shim() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journal_crash/shim.c");
        let built = Command::new("gcc")
            .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", "-o"])
            .args([&path, &source])
            .output()
            .expect("these tests need gcc, which scripts/setup installs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        (folder, path)
    });
    path
}

/// Runs this test program's driver in `folder` under the shim and returns the trace.
pub(crate) fn drive(folder: &Path, parts: u64, fault: Option<Fault>) -> Vec<Note> {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "driver::child", "--nocapture"])
        .env("LD_PRELOAD", shim())
        .env("JOURNAL_SHIM_FOLDER", folder)
        .env("JOURNAL_SHIM_TRACE", trace.path())
        .env("JOURNAL_DRIVER_PARTS", parts.to_string());
    if let Some(Fault { at, how, stays }) = fault {
        command
            .env("JOURNAL_SHIM_FAIL", at.to_string())
            .env("JOURNAL_SHIM_HOW", how)
            .env("JOURNAL_SHIM_STAYS", if stays { "1" } else { "0" });
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let is_killed = fault.is_some_and(|fault| fault.how.starts_with("kill")) && output.status.signal() == Some(SIGKILL);
    assert!(output.status.success() || is_killed, "the driver: {} {}", text(&output.stdout), text(&output.stderr));
    read(trace.path())
}
