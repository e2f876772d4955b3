//! Freezes a thread of another process with ptrace, so that the frozen process needs no code for the test.

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::process::Child;

/// A frozen thread. Dropping this value lets the thread continue. Use this value only in the test's thread that created it, because
/// ptrace obeys no other thread.
pub(crate) struct Frozen {
    thread: Pid,
}

impl Frozen {
    /// Freezes the thread of `process` with this name.
    pub(crate) fn new(process: &Child, name: &str) -> Self {
        let thread = thread(process, name);
        if let Err(error) = ptrace::seize(thread, ptrace::Options::empty()) {
            panic!("ptrace was refused: {error}; this test needs it, and a container needs CAP_SYS_PTRACE");
        }
        ptrace::interrupt(thread).unwrap();
        let stopped = waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        assert!(matches!(stopped, WaitStatus::PtraceEvent(..)), "{stopped:?}");
        Self { thread }
    }

    /// Reaps the frozen thread if it has ended. The process can't end before its frozen thread is reaped.
    pub(crate) fn reap(&self) {
        let _ = waitpid(self.thread, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG));
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // This fails if the thread has ended.
        let _ = ptrace::detach(self.thread, None);
    }
}

/// The id of the thread with this name.
fn thread(process: &Child, name: &str) -> Pid {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let mut found = tasks.filter_map(|task| {
        let task = task.unwrap();
        let comm = fs::read_to_string(task.path().join("comm")).ok()?;
        (comm.trim_end() == name).then(|| task.file_name().to_str().unwrap().parse().unwrap())
    });
    Pid::from_raw(found.next().unwrap_or_else(|| panic!("the appliance has no thread {name}")))
}
