//! Where CUDA's libraries are looked for, and how one is loaded.
#![expect(unsafe_code, reason = "loads shared libraries")]

use super::CudaError;
use cellgate_models::one_line;
use libloading::Library;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A library and everything that decides where to look for it.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: &'static str,
    pub(super) variable: &'static str,
    pub(super) package: &'static str,
    /// The value of the variable; empty counts as not set. No other file is looked for.
    pub(super) environment: Option<OsString>,
    /// Where it is looked for, in order.
    pub(super) places: Vec<Place>,
}

/// A place to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// What the system's loader finds by the library's name.
    Loader,
    /// A folder.
    Folder(PathBuf),
}

impl Place {
    /// A place for each of `folders`.
    pub(super) fn folders(folders: impl IntoIterator<Item = PathBuf>) -> impl Iterator<Item = Self> {
        folders.into_iter().map(Self::Folder)
    }
}

impl Wanted {
    /// The first file that loads; its path is the bare name where the system's loader found it.
    pub(super) fn load(&self) -> Result<(PathBuf, Library), CudaError> {
        let environment = self.environment.as_ref().filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = environment {
            if !path.is_file() {
                return Err(self.missing(format!("  {} (named by {})\n", path.display(), self.variable)));
            }
            return self.open(&path).map(|library| (path, library));
        }
        let mut looked_for = String::new();
        for place in &self.places {
            // Writing to a String can't fail.
            let _ = match place {
                Place::Loader => match self.open(Path::new(self.name)) {
                    Ok(library) => return Ok((self.name.into(), library)),
                    Err(_) => writeln!(looked_for, "  {} by the system's loader", self.name),
                },
                Place::Folder(folder) => {
                    let path = folder.join(self.name);
                    if path.is_file() {
                        return self.open(&path).map(|library| (path, library));
                    }
                    writeln!(looked_for, "  {}", path.display())
                }
            };
        }
        Err(self.missing(looked_for))
    }

    pub(super) fn open(&self, path: &Path) -> Result<Library, CudaError> {
        // SAFETY: loading runs the library's start-up code. The file is the one that CUDA installs under this name, or
        // that the operator named.
        unsafe { Library::new(path) }.map_err(|error| self.unusable(path, one_line(&error)))
    }

    /// The address of a function.
    pub(super) fn address(&self, path: &Path, library: &Library, symbol: &str) -> Result<usize, CudaError> {
        // SAFETY: only asks for the address; nothing is called by this type.
        let found = unsafe { library.get::<unsafe extern "C" fn()>(symbol.as_bytes()) };
        found.map(|symbol| *symbol as usize).map_err(|error| self.unusable(path, one_line(&error)))
    }

    fn missing(&self, looked_for: String) -> CudaError {
        let Self { name: library, package, variable, .. } = *self;
        CudaError::LibraryMissing { library, looked_for, package, variable }
    }

    pub(super) fn unusable(&self, path: &Path, detail: String) -> CudaError {
        CudaError::LibraryUnusable { path: path.to_owned(), detail, library: self.name, package: self.package }
    }
}

/// Folders of the system, each with some below it.
pub(super) fn system_folders(below: &[&str]) -> Vec<PathBuf> {
    let library =
        if cfg!(target_arch = "aarch64") { "/usr/lib/aarch64-linux-gnu" } else { "/usr/lib/x86_64-linux-gnu" };
    let mut folders: Vec<PathBuf> = below.iter().map(|below| Path::new(library).join(below)).collect();
    folders.push("/usr/lib/wsl/lib".into());
    folders
}

/// `lib` beside `program`, and the wheel's folder in `.venv` in or above the program's folder.
pub(super) fn beside(program: &Path) -> Vec<PathBuf> {
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

#[cfg(test)]
mod tests;
