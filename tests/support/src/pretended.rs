//! The pretended driver of `driver.c`: built, told what to answer, and asked what was called.
//!
//! Each scenario has a process of its own, as a process keeps the driver that it loaded, and the loader's path is read at its
//! start.
#![expect(unsafe_code, reason = "tells the pretended driver what to do")]

use std::ffi::{CString, c_char, c_int};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable by which the run-time is told where the driver is.
const CUDA_ENV: &str = "CELLGATE_CUDA";

/// The functions that the run-time says it calls.
pub fn listed() -> Vec<&'static str> {
    let source = include_str!("../../../edge/src/convert/cuda/driver.rs");
    let (_, list) = source.split_once("const FUNCTIONS").expect("the list");
    let names = list.lines().take_while(|line| !line.contains("];")).filter_map(|line| line.trim().strip_prefix('"'));
    names.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name).chain(["cuDriverGetVersion"]).collect()
}

/// Builds the driver in `folder`, with those functions alone, under both of its usual names.
pub fn build(folder: &Path, functions: &[&str]) -> PathBuf {
    let (library, exports) = (folder.join("libcuda.so.1"), folder.join("exports"));
    std::fs::write(&exports, format!("{{ global: pretend_*; {}; local: *; }};", functions.join("; "))).unwrap();
    let source = source();
    let built = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wl,-soname,libcuda.so.1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg(format!("-Wl,--version-script,{}", exports.display()))
        .status();
    assert!(built.expect("gcc").success());
    std::os::unix::fs::symlink("libcuda.so.1", folder.join("libcuda.so")).unwrap();
    library
}

/// The driver's source, for a build of its own.
pub fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/driver.c")
}

/// Runs the scenario, an ignored test of `module` (`module_path!()`), in a process whose loader looks into `path` first; `driver` is the one that is named.
pub fn run(module: &str, scenario: &str, path: &Path, driver: &Path) {
    let name = module.split_once("::").map_or(scenario.to_owned(), |(_, module)| format!("{module}::{scenario}"));
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env("LD_LIBRARY_PATH", path)
        .env(CUDA_ENV, driver)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && text.contains("1 passed"), "{}: {text}", run.status);
}

/// The same with one driver, sound or without a function.
pub fn run_alone(module: &str, scenario: &str, without: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let functions: Vec<_> = listed().into_iter().filter(|&name| Some(name) != without).collect();
    let driver = build(folder.path(), &functions);
    run(module, scenario, folder.path(), &driver);
}

/// The pretended driver's own functions.
pub struct Pretended(libloading::Library);

impl Pretended {
    pub fn open() -> Self {
        // SAFETY: the library that was built here.
        Self(unsafe { libloading::Library::new(std::env::var_os(CUDA_ENV).unwrap()) }.unwrap())
    }

    pub fn answers(&self, function: &str, status: c_int) {
        let name = CString::new(function).unwrap();
        // SAFETY: the type is that of driver.c.
        unsafe {
            let set = self.0.get::<unsafe extern "C" fn(*const c_char, c_int)>("pretend_status").unwrap();
            set(name.as_ptr(), status);
        }
    }

    pub fn calls(&self, function: &str) -> c_int {
        let name = CString::new(function).unwrap();
        // SAFETY: the type is that of driver.c.
        unsafe {
            let get = self.0.get::<unsafe extern "C" fn(*const c_char) -> c_int>("pretend_calls").unwrap();
            get(name.as_ptr())
        }
    }
}
