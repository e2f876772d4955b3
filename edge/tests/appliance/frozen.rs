//! A thread of another process that stands still, without any hook in that process: the kernel stops it for a tracer.

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::process::Child;

/// A stopped thread; it goes on when this is dropped. To be used in the thread that made it, as that one is the tracer.
pub(crate) struct Frozen {
    thread: Pid,
}

impl Frozen {
    /// Stops the thread of `process` with this name; it stands still when this returns.
    pub(crate) fn new(process: &Child, name: &str) -> Self {
        let thread = thread(process, name);
        if let Err(error) = ptrace::seize(thread, ptrace::Options::empty()) {
            panic!(
                "this test stops a thread with ptrace, which was refused: {error}; a container needs CAP_SYS_PTRACE"
            );
        }
        ptrace::interrupt(thread).unwrap();
        let stopped = waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        assert!(matches!(stopped, WaitStatus::PtraceEvent(..)), "{stopped:?}");
        Self { thread }
    }

    /// Takes note of the thread's end: a traced thread that nobody takes note of keeps its process from ending.
    pub(crate) fn reap(&self) {
        let _ = waitpid(self.thread, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG));
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // Fails where it has ended.
        let _ = ptrace::detach(self.thread, None);
    }
}

/// The number of the thread with this name; the first one has that of the process.
fn thread(process: &Child, name: &str) -> Pid {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let mut found = tasks.filter_map(|task| {
        let task = task.unwrap();
        let called = fs::read_to_string(task.path().join("comm")).ok()?;
        (called.trim_end() == name).then(|| task.file_name().to_str().unwrap().parse().unwrap())
    });
    Pid::from_raw(found.next().unwrap_or_else(|| panic!("the appliance has no thread {name}")))
}
