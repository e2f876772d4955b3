//! `--device`: libtorch's CUDA library is opened where CUDA is asked for, and what is missing is named. The loader itself (glibc) says
//! what it loads.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a command said on stderr, its exit status, and what the loader says about its libraries.
struct Done {
    status: Option<i32>,
    stderr: String,
    loader: String,
}

/// Every command that has `--device`, with arguments that are complete.
const COMMANDS: [&[&str]; 4] = [
    &["features", "nowhere"],
    &["crossval", "nowhere", "--out", "nowhere/run"],
    &["train", "nowhere", "--out", "nowhere/run"],
    &["pretrain", "--out", "nowhere/run", "--crop", "1x1"],
];

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
    /// Whether the start-up code of libtorch's CUDA library was run.
    fn has_loaded_cuda(&self) -> bool {
        self.loader.lines().any(|line| line.contains("calling init: ") && line.ends_with("/libtorch_cuda.so"))
    }
}

/// A folder with a driver that has no function at all.
fn empty_driver() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = (folder.path().join("empty.c"), folder.path().join("libcuda.so.1"));
    std::fs::write(&source, "int cellgate_pretended_driver = 1;\n").unwrap();
    let done = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&path).arg(&source).status().unwrap();
    assert!(done.success());
    (folder, path)
}

#[test]
fn cuda_is_loaded_where_it_is_asked_for_only() {
    for command in COMMANDS {
        let cpu = run(command, "cpu", None);
        assert!(!cpu.stderr.contains("CUDA") && !cpu.has_loaded_cuda(), "{command:?}: {}", cpu.stderr);
        let cuda = run(command, "cuda", None);
        assert!(cuda.has_loaded_cuda(), "{command:?}: {}", cuda.stderr);
        // On a machine with a GPU the command goes on, to what else is wrong with it.
        if !cuda.stderr.contains("nowhere") && !cuda.stderr.contains("--crop:") {
            assert_eq!(cuda.status, Some(2));
            assert!(cuda.stderr.contains("NVIDIA driver"), "{command:?}: {}", cuda.stderr);
            assert!(!cuda.stderr.contains("0 CUDA devices"), "{command:?}: {}", cuda.stderr);
        }
    }
}

#[test]
fn a_driver_without_a_gpu_is_told_from_no_driver() {
    let (folder, path) = empty_driver();
    let done = run(&["features", "nowhere"], "cuda:1", Some(folder.path()));
    assert!(path.is_file() && done.has_loaded_cuda(), "{}", done.loader);
    assert!(
        done.status == Some(2) && done.stderr.contains("the NVIDIA driver (libcuda.so.1) is there"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("CUDA error") && done.stderr.contains("nvidia-smi"), "{}", done.stderr);
}
