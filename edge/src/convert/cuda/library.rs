//! CUDA's libraries, loaded before cudarc asks for them: it panics where one is missing.
//!
//! What was loaded once from its own path is what a later search by name finds: that is how cudarc comes to the same file.
#![expect(unsafe_code, reason = "loads shared libraries")]

use super::{CudaError, CudaOptions};
use cellgate_models::one_line;
use libloading::{Library, Symbol};
use std::ffi::{OsString, c_int};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The environment variable that names the driver's library file.
pub const CUDA_ENV: &str = "CELLGATE_CUDA";

/// The environment variable that names the compiler's library file.
pub const NVRTC_ENV: &str = "CELLGATE_NVRTC";

/// The oldest driver: what cudarc's bindings are made for.
const OLDEST_DRIVER: (c_int, c_int) = (13, 0);

/// A library and everything that decides where to look for it.
#[derive(Debug)]
struct Wanted<'a> {
    name: &'static str,
    variable: &'static str,
    package: &'static str,
    /// The file that the caller named. No other is looked for.
    explicit: Option<&'a Path>,
    /// The value of the variable; empty counts as not set. No other file is looked for.
    environment: Option<OsString>,
    /// Where it is looked for, in order.
    folders: Vec<PathBuf>,
    /// Whether the system's loader is asked before them.
    ask_loader: bool,
}

/// The CUDA version that the driver serves, major and minor.
///
/// # Errors
/// [`CudaError`]: there is no driver, or it is too old.
pub fn driver_version(options: &CudaOptions) -> Result<(i32, i32), CudaError> {
    driver(options)
}

/// The driver, loaded and new enough; its version.
pub(super) fn driver(options: &CudaOptions) -> Result<(i32, i32), CudaError> {
    let wanted = Wanted {
        name: "libcuda.so.1",
        variable: CUDA_ENV,
        package: "the NVIDIA driver 580 or newer (Debian: nvidia-driver-cuda; JetPack: nvidia-l4t-cuda)",
        explicit: options.cuda.as_deref(),
        environment: std::env::var_os(CUDA_ENV),
        folders: system_folders(&["", "nvidia", "nvidia/current", "tegra"]),
        ask_loader: true,
    };
    let (path, library) = wanted.load()?;
    let version = wanted.check_driver(&path, &library)?;
    // SAFETY: loading the driver runs its start-up code, which a driver is made for.
    let known = unsafe { cudarc::driver::sys::is_culib_present() };
    wanted.keep(&path, library, known)?;
    Ok(version)
}

/// The compiler, loaded, and what it loads itself.
pub(super) fn nvrtc(options: &CudaOptions) -> Result<(), CudaError> {
    let mut folders = beside_the_program();
    folders.extend(system_folders(&[""]));
    folders.extend(["/usr/local/cuda/lib64", "/usr/local/cuda-13/lib64"].map(PathBuf::from));
    let wanted = Wanted {
        name: "libnvrtc.so.13",
        variable: NVRTC_ENV,
        package: "CUDA 13's run-time compiler (PyPI: nvidia-cuda-nvrtc; NVIDIA's Debian packages: cuda-nvrtc-13-0)",
        explicit: options.nvrtc.as_deref(),
        environment: std::env::var_os(NVRTC_ENV),
        folders,
        ask_loader: true,
    };
    let (path, library) = wanted.load()?;
    if let Some(builtins) = path.parent().and_then(builtins_in) {
        // SAFETY: a part of the compiler that it would load by name; its start-up code is made for that.
        let builtins = unsafe { Library::new(builtins) };
        std::mem::forget(builtins);
    }
    // SAFETY: only asks for the symbol; its type is that of NVRTC's documentation.
    let found = unsafe { library.get::<unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int>(b"nvrtcVersion\0") };
    if let Err(error) = found {
        return Err(wanted.unusable(&path, one_line(&error)));
    }
    // SAFETY: as for the driver.
    let known = unsafe { cudarc::nvrtc::sys::is_culib_present() };
    wanted.keep(&path, library, known)
}

impl Wanted<'_> {
    /// The first file that loads; its path is the bare name where the system's loader found it.
    fn load(&self) -> Result<(PathBuf, Library), CudaError> {
        let environment = self.environment.as_ref().filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = self.explicit.map(Path::to_owned).or(environment) {
            if !path.is_file() {
                return Err(self.missing(format!("  {} (named by the caller or {})\n", path.display(), self.variable)));
            }
            return self.open(&path).map(|library| (path, library));
        }
        let mut looked_for = String::new();
        if self.ask_loader {
            if let Ok(library) = self.open(Path::new(self.name)) {
                return Ok((self.name.into(), library));
            }
            // Writing to a String can't fail.
            let _ = writeln!(looked_for, "  {} by the system's loader", self.name);
        }
        for path in self.folders.iter().map(|folder| folder.join(self.name)) {
            if path.is_file() {
                return self.open(&path).map(|library| (path, library));
            }
            let _ = writeln!(looked_for, "  {}", path.display());
        }
        Err(self.missing(looked_for))
    }

    fn open(&self, path: &Path) -> Result<Library, CudaError> {
        // SAFETY: loading runs the library's start-up code. The file is the one that CUDA installs under this name, or
        // that the operator named.
        unsafe { Library::new(path) }.map_err(|error| self.unusable(path, one_line(&error)))
    }

    /// The driver's version, without cudarc.
    fn check_driver(&self, path: &Path, library: &Library) -> Result<(c_int, c_int), CudaError> {
        let mut version = 0;
        // SAFETY: the symbol's type is that of the driver's documentation; it writes one number and needs no start.
        let status = unsafe {
            let get_version: Symbol<'_, unsafe extern "C" fn(*mut c_int) -> c_int> =
                library.get(b"cuDriverGetVersion\0").map_err(|error| self.unusable(path, one_line(&error)))?;
            get_version(&raw mut version)
        };
        if status != 0 {
            return Err(self.unusable(path, format!("it does not tell its version: status {status}")));
        }
        let found = (version / 1000, version % 1000 / 10);
        if found < OLDEST_DRIVER {
            return Err(CudaError::DriverTooOld { path: path.to_owned(), found, expected: OLDEST_DRIVER });
        }
        Ok(found)
    }

    /// Leaves the library loaded for good, so that cudarc finds it by name: `known` tells whether it does.
    fn keep(&self, path: &Path, library: Library, known: bool) -> Result<(), CudaError> {
        std::mem::forget(library);
        if known {
            return Ok(());
        }
        Err(self.unusable(path, "it does not call itself by its usual name".to_owned()))
    }

    fn missing(&self, looked_for: String) -> CudaError {
        let Self { name: library, package, variable, .. } = *self;
        CudaError::LibraryMissing { library, looked_for, package, variable }
    }

    fn unusable(&self, path: &Path, detail: String) -> CudaError {
        CudaError::LibraryUnusable { path: path.to_owned(), detail, library: self.name, package: self.package }
    }
}

/// Folders of the system, each with some below it.
fn system_folders(below: &[&str]) -> Vec<PathBuf> {
    let library =
        if cfg!(target_arch = "aarch64") { "/usr/lib/aarch64-linux-gnu" } else { "/usr/lib/x86_64-linux-gnu" };
    let mut folders: Vec<PathBuf> = below.iter().map(|below| Path::new(library).join(below)).collect();
    folders.push("/usr/lib/wsl/lib".into());
    folders
}

/// `lib` beside the program, and the wheel's folder in `.venv` in or above the program's folder.
fn beside_the_program() -> Vec<PathBuf> {
    let Ok(program) = std::env::current_exe().and_then(fs::canonicalize) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = program.parent().map(|folder| folder.join("lib")).into_iter().collect();
    for ancestor in program.ancestors().skip(1) {
        folders.extend(wheels_below(&ancestor.join(".venv/lib")));
    }
    folders
}

/// The folders of CUDA 13's wheels, one for each Python.
fn wheels_below(libraries: &Path) -> Vec<PathBuf> {
    let pythons = fs::read_dir(libraries).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = pythons.map(|python| python.path().join("site-packages/nvidia/cu13/lib")).collect();
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    folders
}

/// The compiler's second library in `folder`: without it beforehand, the compiler asks the system's loader alone.
fn builtins_in(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.flatten().map(|file| file.path());
    let is_builtins = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("libnvrtc-builtins.so."))
    };
    files.filter(is_builtins).max()
}

#[cfg(test)]
mod tests;
