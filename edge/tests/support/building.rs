//! A program that is building a plan, in a child that never comes to an end. Needs gcc.

use cellgate_models::plan::Library;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A TensorRT with a version, whose parser hangs when it is loaded: the child that builds does that, its parent does not.
const BUILDER: &str = "int getInferLibMajorVersion(void) { return 1; }
int getInferLibMinorVersion(void) { return 7; }
int getInferLibPatchVersion(void) { return 1; }
int getInferLibBuildVersion(void) { return 116; }
";
const PARSER: &str = "#include <unistd.h>
__attribute__((constructor)) static void hang(void) { for (;;) pause(); }
";

/// Puts that TensorRT into `folder`.
pub(crate) fn hanging_tensorrt(folder: &Path) {
    for (library, text) in [(Library::Builder, BUILDER), (Library::Parser, PARSER)] {
        let library = folder.join(library.file_name());
        let source = library.with_extension("c");
        fs::write(&source, text).unwrap();
        let built = Command::new("gcc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
        assert!(built.expect("gcc").success());
    }
}

/// A program that ends with the test, however that ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `command`, which is to build with [`hanging_tensorrt`]. Its child hangs, and is stopped, so that no signal but the one
/// that kills ends it.
pub(crate) fn building(command: &mut Command) -> (Running, Pid) {
    let mut parent = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let start = Instant::now();
    loop {
        assert_eq!(parent.0.try_wait().unwrap(), None, "it ended without building");
        assert!(start.elapsed() < Duration::from_secs(60), "it does not build");
        for child in children(parent.0.id()) {
            if fs::read_to_string(format!("/proc/{child}/maps")).is_ok_and(|maps| maps.contains("onnxparser")) {
                let child = Pid::from_raw(child).unwrap();
                kill_process(child, Signal::STOP).unwrap();
                return (parent, child);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
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
        assert!(start.elapsed() < Duration::from_secs(30), "{process:?} lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}
