//! Starts a program that builds a plan in a child process which never finishes by itself. Needs gcc.

use super::device::compile;
use crate::process::{children, wait_for_end};
use cellgate_models::plan::Library;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The sources of a simulated TensorRT: the builder reports a version, and the parser hangs when it is loaded. Only the child
/// process loads the parser.
const BUILDER: &str = "int getInferLibMajorVersion(void) { return 1; }
int getInferLibMinorVersion(void) { return 7; }
int getInferLibPatchVersion(void) { return 1; }
int getInferLibBuildVersion(void) { return 116; }
";
const PARSER: &str = "#include <unistd.h>
__attribute__((constructor)) static void hang(void) { for (;;) pause(); }
";

/// Compiles the simulated TensorRT with the hanging parser into `folder`.
pub(crate) fn hanging_tensorrt(folder: &Path) {
    for (library, text) in [(Library::Builder, BUILDER), (Library::Parser, PARSER)] {
        let source = folder.join(library.file_name()).with_extension("c");
        fs::write(&source, text).unwrap();
        compile(folder, library.file_name(), &[], &source);
    }
}

/// A simulated TensorRT whose builder ends the process when it is created. The exit status is 16, plus 1 if the builder could open the
/// CUDA driver by its name, plus 2 if it could open its resource by its name.
const OPENING_BUILDER: &str = "#include <dlfcn.h>
#include <unistd.h>
void *createInferBuilder_INTERNAL(void *logger, int version)
{
    int driver = dlopen(\"libcuda.so.1\", RTLD_NOW) != 0;
    int resource = dlopen(\"libnvinfer_builder_resource_sm86.so.1.7.1\", RTLD_NOW) != 0;
    _exit(16 + driver + 2 * resource);
}
";

/// Compiles the simulated TensorRT whose builder opens libraries by their names into `folder`, with a resource of this version.
pub(crate) fn opening_tensorrt(folder: &Path, resource: &str) {
    let resource = format!("libnvinfer_builder_resource_sm86.so.{resource}");
    let soname = format!("-Wl,-soname,{resource}");
    let make = |name: &str, options: &[&str], text: &str| {
        let source = folder.join(name).with_extension("c");
        fs::write(&source, text).unwrap();
        compile(folder, name, options, &source);
    };
    make(Library::Builder.file_name(), &[], &[BUILDER, OPENING_BUILDER].concat());
    make(Library::Parser.file_name(), &[], "void createNvOnnxParser_INTERNAL(void) {}\n");
    make(&resource, &[&soname], "");
}

/// A program that is killed when the test ends.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Waits until the program has ended, and returns its exit status.
    pub(crate) fn wait_for_exit(&mut self) -> Option<i32> {
        assert_ends(Pid::from_child(&self.0));
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `command`, which must build with [`hanging_tensorrt`]. Stops the hanging child process with SIGSTOP, so that only
/// SIGKILL ends the child. Returns the program and the child.
pub(crate) fn building(command: &mut Command) -> (Running, Pid) {
    let mut parent = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let start = Instant::now();
    loop {
        assert_eq!(parent.0.try_wait().unwrap(), None, "the program ended without building");
        assert!(start.elapsed() < Duration::from_secs(60), "the program does not build");
        for child in children(&parent.0) {
            let maps = fs::read_to_string(format!("/proc/{}/maps", child.as_raw_nonzero()));
            if maps.is_ok_and(|maps| maps.contains("onnxparser")) {
                kill_process(child, Signal::STOP).unwrap();
                return (parent, child);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a process has ended. Panics if it does not end within 30 s.
pub(crate) fn assert_ends(process: Pid) {
    wait_for_end(process, Duration::from_secs(30));
}
