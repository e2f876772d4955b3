//! Tests the option `--device`: libtorch's CUDA library is loaded only if the user asks for a GPU, and errors name what is
//! missing. The log of glibc's loader shows which libraries were loaded.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Exit status and stderr of a command, and the log of glibc's loader.
struct Done {
    status: Option<i32>,
    stderr: String,
    loader: String,
}

/// All commands that have `--device`, with all required arguments. With a usable `--device`, each command still fails
/// later, because of another argument.
const COMMANDS: [&[&str]; 4] = [
    &["features", "nowhere"],
    &["crossval", "nowhere", "--out", "nowhere/run"],
    &["train", "nowhere", "--out", "nowhere/run"],
    &["pretrain", "--out", "nowhere/run", "--crop", "1x1"],
];

/// Runs the program with `arguments` and `--device`. The loader searches the folder `libraries` first, if it is given.
fn run(arguments: &[&str], device: &str, libraries: Option<&Path>) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate-trainer"));
    command.args(arguments).args(["--device", device]).current_dir(folder.path());
    command.env("LD_DEBUG", "files").env("LD_DEBUG_OUTPUT", folder.path().join("loader"));
    if let Some(libraries) = libraries {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    let Output { status, stderr, .. } = command.output().unwrap();
    let logs = std::fs::read_dir(folder.path()).unwrap().map(|log| std::fs::read(log.unwrap().path()).unwrap());
    let loader = logs.map(|log| String::from_utf8_lossy(&log).into_owned()).collect();
    Done { status: status.code(), stderr: String::from_utf8(stderr).unwrap(), loader }
}

impl Done {
    /// Whether the loader ran the start-up code of libtorch's CUDA library.
    fn has_loaded_cuda(&self) -> bool {
        self.loader.lines().any(|line| line.contains("calling init: ") && line.ends_with("/libtorch_cuda.so"))
    }
}

/// A folder with a stand-in for NVIDIA's driver library that has no functions, and the path of this stand-in.
fn empty_driver() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = (folder.path().join("empty.c"), folder.path().join("libcuda.so.1"));
    std::fs::write(&source, "int cellgate_pretended_driver = 1;\n").unwrap();
    let done = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&path).arg(&source).status().unwrap();
    assert!(done.success());
    (folder, path)
}

#[test]
fn cuda_is_loaded_only_if_the_device_is_a_gpu() {
    for command in COMMANDS {
        let cpu = run(command, "cpu", None);
        assert!(!cpu.stderr.contains("CUDA") && !cpu.has_loaded_cuda(), "{command:?}: {}", cpu.stderr);
        let cuda = run(command, "cuda", None);
        assert!(cuda.has_loaded_cuda(), "{command:?}: {}", cuda.stderr);
        // On a machine with a GPU, the command fails later, because of the folder `nowhere` or because of `--crop`.
        if !cuda.stderr.contains("nowhere") && !cuda.stderr.contains("--crop:") {
            assert_eq!(cuda.status, Some(2));
            assert!(cuda.stderr.contains("libcuda.so.1"), "{command:?}: {}", cuda.stderr);
        }
    }
}

/// Only the error for a driver without a GPU names nvidia-smi and CUDA's own error.
#[test]
fn a_driver_without_a_gpu_has_another_error_than_a_missing_driver() {
    let (folder, path) = empty_driver();
    let done = run(&["features", "nowhere"], "cuda:1", Some(folder.path()));
    assert!(path.is_file() && done.has_loaded_cuda(), "{}", done.loader);
    assert_eq!(done.status, Some(2), "{}", done.stderr);
    for token in ["libcuda.so.1", "nvidia-smi", "CUDA_VISIBLE_DEVICES", "CUDA error"] {
        assert!(done.stderr.contains(token), "{token}: {}", done.stderr);
    }
}
