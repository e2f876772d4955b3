//! A program that is building a plan, held still while TensorRT is at work in its child.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Starts `command`; its child, in which TensorRT is at work, is stopped.
pub(crate) fn building(command: &mut Command) -> (Child, Pid) {
    let mut parent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    loop {
        assert!(parent.try_wait().unwrap().is_none(), "it was too quick for this test");
        for child in children(parent.id()) {
            if fs::read_to_string(format!("/proc/{child}/maps")).is_ok_and(|maps| maps.contains("onnxparser")) {
                let child = Pid::from_raw(child).unwrap();
                kill_process(child, Signal::STOP).unwrap();
                return (parent, child);
            }
        }
    }
}

/// The children of all threads of a process.
fn children(parent: u32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    lists.flat_map(|list| list.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Waits for the end of a process.
pub(crate) fn ends(process: Pid) {
    let start = Instant::now();
    let stat = || fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    while stat().is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(start.elapsed() < Duration::from_secs(5), "{process:?} lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}
