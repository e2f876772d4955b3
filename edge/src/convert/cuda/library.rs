//! Searches for CUDA's libraries and loads them.
#![expect(unsafe_code, reason = "loads shared libraries")]

use super::CudaError;
use cellgate_models::library::{FoundLibrary, MULTIARCH, Missing, Search, SearchPlace};
use cellgate_models::one_line;
use libloading::Library;
use std::path::{Path, PathBuf};

/// One of CUDA's libraries and where it is searched for.
#[derive(Debug)]
pub(super) struct CudaLibrary {
    pub(super) search: Search,
    /// The package that contains it.
    pub(super) package: &'static str,
}

impl CudaLibrary {
    /// Loads the first file that is found. The path is the bare file name if the system's loader found it.
    pub(super) fn load(&self) -> Result<(PathBuf, Library), CudaError> {
        let found = self.search.find_or_load(|name| Some((name.to_owned(), self.open(name).ok()?)));
        match found.map_err(|missing| self.missing(missing))? {
            FoundLibrary::Loaded(loaded) => Ok(loaded),
            FoundLibrary::File(path) => self.open(&path).map(|library| (path, library)),
        }
    }

    pub(super) fn open(&self, path: &Path) -> Result<Library, CudaError> {
        // SAFETY: loading runs the library's start-up code. The file is the one that CUDA installs under this name, or
        // that the operator named.
        unsafe { Library::new(path) }.map_err(|error| self.unusable(path, one_line(&error)))
    }

    /// The address of a function.
    pub(super) fn address(&self, path: &Path, library: &Library, symbol: &str) -> Result<usize, CudaError> {
        // SAFETY: only looks up the address. The function is never called through the type in `get`, which may be wrong.
        let found = unsafe { library.get::<unsafe extern "C" fn()>(symbol.as_bytes()) };
        found.map(|symbol| *symbol as usize).map_err(|error| self.unusable(path, one_line(&error)))
    }

    fn missing(&self, missing: Missing) -> CudaError {
        let (wanted, package) = (&self.search.wanted, self.package);
        let variable = wanted.environment;
        // The text of `Missing` is not used: it names the variable, and so does the text of `CudaError::LibraryMissing`.
        let looked_for = match missing {
            Missing::Named { path, .. } => format!("  {} (named by {variable})\n", path.display()),
            Missing::Nowhere { looked_for, .. } => looked_for,
        };
        CudaError::LibraryMissing { library: wanted.file_name, looked_for, package, variable }
    }

    pub(super) fn unusable(&self, path: &Path, detail: String) -> CudaError {
        let library = self.search.wanted.file_name;
        CudaError::LibraryUnusable { path: path.to_owned(), detail, library, package: self.package }
    }
}

/// The subfolders `names` of the system's library folder, then WSL's library folder. An empty name stands for the system's library
/// folder itself.
pub(super) fn system_folders(names: &[&str]) -> Vec<SearchPlace> {
    let folders = names.iter().map(|name| Path::new(MULTIARCH).join(name));
    folders.chain(["/usr/lib/wsl/lib".into()]).map(SearchPlace::Folder).collect()
}

#[cfg(test)]
mod tests;
