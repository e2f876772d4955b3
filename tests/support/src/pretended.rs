//! Builds the pretended driver of `driver.c`, sets its answers and reads its counts of calls.
//!
//! Each scenario runs in a separate process, since a process keeps the driver that it has loaded, and since the loader's search path
//! (`LD_LIBRARY_PATH`) is only read at the start of a process.
#![expect(unsafe_code, reason = "calls the pretended driver")]

use std::ffi::{CString, c_char, c_int};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable that names the driver's file.
const CUDA_ENV: &str = "CELLGATE_CUDA";

/// The driver's functions that the product calls, from the list in its source code.
pub fn listed() -> Vec<&'static str> {
    let source = include_str!("../../../edge/src/convert/cuda/driver.rs");
    let (_, list) = source.split_once("const FUNCTIONS").expect("the list");
    let names = list.lines().take_while(|line| !line.contains("];")).filter_map(|line| line.trim().strip_prefix('"'));
    names.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name).chain(["cuDriverGetVersion"]).collect()
}

/// Builds the driver in `folder` with only the functions `functions`, under both of the driver's usual file names. Returns the
/// path of the library.
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

/// The driver's source, for tests that build it themselves.
pub fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/driver.c")
}

/// Runs the scenario, an ignored test of `module` (`module_path!()`), in a separate process. Its loader looks in `path` first, and
/// `CELLGATE_CUDA` names `driver`.
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

/// Runs the scenario with a driver that has all [`listed`] functions, or all but the function `without`.
pub fn run_alone(module: &str, scenario: &str, without: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let functions: Vec<_> = listed().into_iter().filter(|&name| Some(name) != without).collect();
    let driver = build(folder.path(), &functions);
    run(module, scenario, folder.path(), &driver);
}

/// The functions that control the pretended driver.
pub struct Pretended(libloading::Library);

impl Pretended {
    pub fn open() -> Self {
        // SAFETY: the library was built by this module.
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
