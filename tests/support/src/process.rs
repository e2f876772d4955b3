//! Finds out about processes from the Linux kernel's /proc.

use rustix::process::Pid;
use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

/// The processes that any thread of `parent` started. Empty if `parent` has ended.
pub fn children(parent: &Child) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{}/task", parent.id())).into_iter().flatten().flatten();
    let lists = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let ids: Vec<i32> =
        lists.flat_map(|list| list.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>()).collect();
    ids.into_iter().filter_map(Pid::from_raw).collect()
}

/// Whether the process has ended. A zombie counts as ended.
pub fn has_ended(process: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    status.map_or(true, |status| status.contains(") Z"))
}

/// Waits until the process has ended. Panics after `most`.
pub fn wait_for_end(process: Pid, most: Duration) {
    let start = Instant::now();
    while !has_ended(process) {
        assert!(start.elapsed() < most, "{process:?} lives on");
        std::thread::sleep(Duration::from_millis(1));
    }
}
