//! Builds the simulated CUDA drivers, sets their answers and reads their counts of calls.
//!
//! | driver | source | queued work |
//! |---|---|---|
//! | simple | `driver.c` | copies are done at once, kernels never |
//! | lazy | `driver.c` and `lazy_driver` | copies and kernels are done as late as a GPU may do them |
//!
//! Each scenario runs in a separate process, since a process keeps the driver that it has loaded, and since the loader's search path
//! (`LD_LIBRARY_PATH`) is only read at the start of a process.
#![expect(unsafe_code, reason = "calls the simulated driver")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The environment variable that names the driver's file.
const CUDA_ENV: &str = "CELLGATE_CUDA";

/// The driver's functions that the product calls, from the list in its source code.
pub fn listed() -> Vec<&'static str> {
    let source = include_str!("../../../edge/src/convert/cuda/driver.rs");
    let (_, list) = source.split_once("const FUNCTIONS").expect("the list");
    let names = list.lines().take_while(|line| !line.contains("];")).filter_map(|line| line.trim().strip_prefix('"'));
    names.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name).chain(["cuDriverGetVersion"]).collect()
}

/// Builds the simple driver in `folder` with only the functions `functions`, under both of the driver's usual file names. Returns the
/// path of the library.
pub fn build(folder: &Path, functions: &[&str]) -> PathBuf {
    link(Command::new("gcc").args(["-O1", "-Wall", "-Werror"]).arg(source()), folder, functions)
}

/// Builds the lazy driver in `folder`, as [`build`] does. Needs g++ too.
fn build_lazy(folder: &Path) -> PathBuf {
    let object = folder.join("driver.o");
    let compiled = Command::new("gcc")
        .args(["-c", "-fPIC", "-O1", "-Wall", "-Werror", "-DLAZY", "-o"])
        .args([&object, &source()])
        .status();
    assert!(compiled.expect("gcc").success());
    let mut compiler = Command::new("g++");
    // No fused multiply-add, as in `tests/build.rs`.
    compiler.args(["-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]);
    link(compiler.arg(source().with_file_name("lazy_driver").join("driver.cpp")).arg(object), folder, &listed())
}

/// Has `compiler` link its sources to a driver in `folder` that exports `functions`.
fn link(compiler: &mut Command, folder: &Path, functions: &[&str]) -> PathBuf {
    let (library, exports) = (folder.join("libcuda.so.1"), folder.join("exports"));
    std::fs::write(&exports, format!("{{ global: pretend_*; {}; local: *; }};", functions.join("; "))).unwrap();
    let built = compiler
        .args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"])
        .arg(&library)
        .arg(format!("-Wl,--version-script,{}", exports.display()))
        .status();
    assert!(built.expect("a C compiler").success());
    std::os::unix::fs::symlink("libcuda.so.1", folder.join("libcuda.so")).unwrap();
    library
}

/// The simple driver's source, for tests that build it themselves.
pub fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/driver.c")
}

/// Runs the scenario, an ignored test of `module` (`module_path!()`), in a separate process. Its loader looks in `path` first, and
/// `CELLGATE_CUDA` names `driver`.
pub fn run(module: &str, scenario: &str, path: &Path, driver: &Path) {
    assert_passed(&outcome(module, scenario, path, driver));
}

fn outcome(module: &str, scenario: &str, path: &Path, driver: &Path) -> Output {
    let name = module.split_once("::").map_or(scenario.to_owned(), |(_, module)| format!("{module}::{scenario}"));
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env("LD_LIBRARY_PATH", path)
        .env(CUDA_ENV, driver)
        .output()
        .unwrap()
}

fn assert_passed(outcome: &Output) {
    let text = text_of(outcome);
    assert!(outcome.status.success() && text.contains("1 passed"), "{}: {text}", outcome.status);
    // For a figure that a scenario prints.
    print!("{text}");
}

fn text_of(outcome: &Output) -> String {
    String::from_utf8_lossy(&outcome.stdout).into_owned() + &String::from_utf8_lossy(&outcome.stderr)
}

/// Runs the scenario with a simple driver that has all [`listed`] functions, or all but the function `without`.
pub fn run_alone(module: &str, scenario: &str, without: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let functions: Vec<_> = listed().into_iter().filter(|&name| Some(name) != without).collect();
    let driver = build(folder.path(), &functions);
    run(module, scenario, folder.path(), &driver);
}

/// Runs the scenario with the lazy driver.
pub fn run_lazy(module: &str, scenario: &str) {
    assert_passed(&lazy_outcome(module, scenario));
}

/// Runs the scenario with the lazy driver, which must end the process. Returns what the process wrote.
pub fn text_of_lazy_fault(module: &str, scenario: &str) -> String {
    let outcome = lazy_outcome(module, scenario);
    let text = text_of(&outcome);
    assert!(std::os::unix::process::ExitStatusExt::signal(&outcome.status).is_some(), "{}: {text}", outcome.status);
    text
}

fn lazy_outcome(module: &str, scenario: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let driver = build_lazy(folder.path());
    outcome(module, scenario, folder.path(), &driver)
}

/// The functions that control the simulated driver.
pub struct Pretended(libloading::Library);

impl Pretended {
    pub fn open() -> Self {
        // SAFETY: the library was built by this module.
        Self(unsafe { libloading::Library::new(std::env::var_os(CUDA_ENV).unwrap()) }.unwrap())
    }

    /// From now on a function of the lazy driver does nothing and returns success. Tests break the product's waiting with it.
    pub fn skips(&self, function: &str) {
        self.answers(function, -1);
    }

    /// From now on a function returns `status`; with 0 it works.
    pub fn answers(&self, function: &str, status: c_int) {
        self.answers_after(function, 0, status);
    }

    /// A function works for the next `good` calls, and returns `status` after them.
    pub fn answers_after(&self, function: &str, good: c_int, status: c_int) {
        let name = CString::new(function).unwrap();
        // SAFETY: the type is that of driver.c.
        unsafe {
            let set = self.0.get::<unsafe extern "C" fn(*const c_char, c_int, c_int)>("pretend_status").unwrap();
            set(name.as_ptr(), status, good);
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

    /// Sets whether the GPU shares the processor's memory; at the start it does.
    pub fn set_integrated(&self, is: bool) {
        // SAFETY: the type is that of driver.c.
        unsafe { self.0.get::<unsafe extern "C" fn(c_int)>("pretend_integrated").unwrap()(c_int::from(is)) }
    }

    /// The bytes of pinned memory that were allocated so far: those that are write-combined, or those that are not.
    pub fn pinned_bytes(&self, is_write_combined: bool) -> usize {
        // SAFETY: the type is that of driver.c.
        let get = unsafe { self.0.get::<unsafe extern "C" fn(c_int) -> usize>("pretend_pinned") }.unwrap();
        // SAFETY: the function only reads a number.
        unsafe { get(c_int::from(is_write_combined)) }
    }

    /// Queues a call of `work` with `data` on a stream of the lazy driver.
    ///
    /// # Safety
    /// `work` may be called with `data` until the stream has executed it.
    pub unsafe fn queue(&self, stream: *mut c_void, work: unsafe extern "C" fn(*mut c_void), data: *mut c_void) {
        type Queue = unsafe extern "C" fn(*mut c_void, unsafe extern "C" fn(*mut c_void), *mut c_void);
        // SAFETY: the type is that of lazy_driver/driver.cpp; the caller keeps its promise.
        unsafe { self.0.get::<Queue>("pretend_work").unwrap()(stream, work, data) }
    }
}
