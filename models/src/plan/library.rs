//! Finds and loads TensorRT's libraries. Reads the builder's version before any other function of the library is called.

use super::flavour::{BUILDER, FLAVOUR, INSTALL, OLDEST, PARSER};
use super::{Library, PlanError, TensorRt, Version};
use crate::library::{Search, library_in};
use crate::one_line;
use libloading::Symbol;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A library that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedLibrary {
    /// Its file.
    pub path: PathBuf,
    /// Product and version of TensorRT, as the library reports them.
    pub tensorrt: TensorRt,
}

impl fmt::Display for ProbedLibrary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}, {}", self.tensorrt, self.path.display())
    }
}

/// Finds one of TensorRT's libraries and reads its version. No other function of the library is called, and no GPU is needed.
///
/// Searches `folder` only; if `folder` is `None`, searches in the order of this crate's `README.md`. The first place that has the
/// file wins.
///
/// # Errors
/// [`PlanError`]: the library is missing, does not report a version of TensorRT, or has another version.
pub fn probe(library: Library, folder: Option<&Path>) -> Result<ProbedLibrary, PlanError> {
    let path = locate(library, folder)?;
    let loaded = open(library, &path)?;
    let found =
        version(loaded).map_err(|message| PlanError::LibraryUnusable { library, path: path.clone(), message })?;
    let (major, minor) = OLDEST;
    if found.major != major || found.minor < minor {
        let expected = format!("{major}.{minor} or later, before {}", major + 1);
        return Err(PlanError::LibraryVersion { library, path, found, expected, install: INSTALL.into() });
    }
    Ok(ProbedLibrary { path, tensorrt: TensorRt { flavour: FLAVOUR, version: found } })
}

/// Finds the file of a library.
fn locate(library: Library, folder: Option<&Path>) -> Result<PathBuf, PlanError> {
    let path = Search::of_process(library.wanted(), folder).find().map_err(|missing| PlanError::LibraryMissing {
        library,
        looked_for: missing.to_string(),
        install: INSTALL.into(),
    })?;
    Ok(path.canonicalize().unwrap_or(path))
}

/// Opens a library for the life of the process: C++ libraries with threads and static destructors can't be unloaded safely.
fn open(library: Library, path: &Path) -> Result<&'static libloading::Library, PlanError> {
    #[expect(unsafe_code, reason = "a shared library's code runs when it is opened")]
    // SAFETY: the operator installed the file as TensorRT, in a folder that only trusted users may write to, as README.md
    // demands. NVIDIA's initialisers have no preconditions.
    let opened = unsafe { libloading::Library::new(path) };
    match opened {
        Ok(opened) => Ok(Box::leak(Box::new(opened))),
        Err(error) => Err(PlanError::LibraryUnusable { library, path: path.to_owned(), message: one_line(&error) }),
    }
}

/// The start of the names of TensorRT's builder resources: compiled kernels that the builder chooses from.
const RESOURCE: &str = "libnvinfer_builder_resource";

/// Opens the resources of the builder `found`. The builder opens a resource by its bare file name, which the system's loader only finds
/// in the folders that it knows; but it takes a library of that name that is open already.
///
/// A resource that can't be opened is left to TensorRT, which says whether it needs it.
pub(super) fn open_resources(found: &ProbedLibrary) {
    for path in resources(found) {
        if let Err(error) = open(Library::Builder, &path) {
            tracing::debug!(event = "builder_resource_unusable", %error, "a resource of TensorRT's builder was not opened");
        }
    }
}

/// The resources of the builder's version in its folder, such as `libnvinfer_builder_resource_sm110.so.11.4.1`.
fn resources(found: &ProbedLibrary) -> Vec<PathBuf> {
    let Version { major, minor, patch, .. } = found.tensorrt.version;
    let end = format!(".so.{major}.{minor}.{patch}");
    let is_resource = |name: &str| name.starts_with(RESOURCE) && name.ends_with(&end);
    let folder = found.path.parent().unwrap_or(Path::new("/"));
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter(|file| file.file_name().to_str().is_some_and(is_resource)).map(|file| file.path()).collect()
}

/// Reads the version of a library of TensorRT.
fn version(library: &libloading::Library) -> Result<Version, String> {
    let number = |name: &str| -> Result<u16, String> {
        #[expect(unsafe_code, reason = "functions of a shared library are called as their headers declare them")]
        // SAFETY: NvInferRuntime.h declares the four functions that are called below as `int32_t NAME() noexcept` with C linkage,
        // unchanged since TensorRT 8.
        let number = unsafe {
            let function: Symbol<'_, extern "C" fn() -> i32> =
                library.get(name.as_bytes()).map_err(|error| format!("it has no {name}: {}", one_line(&error)))?;
            function()
        };
        u16::try_from(number).map_err(|_| format!("{name} returned {number}"))
    };
    Ok(Version {
        major: number("getInferLibMajorVersion")?,
        minor: number("getInferLibMinorVersion")?,
        patch: number("getInferLibPatchVersion")?,
        build: number("getInferLibBuildVersion")?,
    })
}

/// The builder that this process has loaded; `trtx` supports one per process.
static LOADED: Mutex<Option<ProbedLibrary>> = Mutex::new(None);

/// Finds and loads builder and parser at the first call, and probes the builder. Later calls return the same builder. A later call
/// with a `folder` that has another builder returns an error.
pub(super) fn load(folder: Option<&Path>) -> Result<ProbedLibrary, PlanError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let (Some(found), None) = (&*loaded, folder) {
        return Ok(found.clone());
    }
    if let Some(loaded) = &*loaded {
        // The requested library is not opened: its initialisers would run in addition to those of the loaded library.
        let asked = locate(Library::Builder, folder)?;
        return if loaded.path == asked {
            Ok(loaded.clone())
        } else {
            Err(PlanError::LibraryOther { asked, loaded: loaded.path.clone() })
        };
    }
    let found = probe(Library::Builder, folder)?;
    let library = Library::Parser;
    let folder = found.path.parent().unwrap_or(Path::new("/"));
    let parser = library_in(folder, PARSER).ok_or_else(|| PlanError::LibraryMissing {
        library,
        looked_for: format!("  {}, beside {BUILDER}: the two must be of one version\n", folder.join(PARSER).display()),
        install: INSTALL.into(),
    })?;
    let symbol = "createNvOnnxParser_INTERNAL";
    #[expect(unsafe_code, reason = "a shared library's symbol is looked up")]
    // SAFETY: the symbol is looked up but not called.
    let has_symbol = unsafe { open(library, &parser)?.get::<*const ()>(symbol.as_bytes()) }.is_ok();
    if !has_symbol {
        return Err(PlanError::LibraryUnusable { library, path: parser, message: format!("it has no {symbol}") });
    }
    let unusable = |library, path: &Path| {
        let path = path.to_owned();
        move |error: trtx::Error| PlanError::LibraryUnusable { library, path, message: one_line(&error) }
    };
    trtx::dynamically_load_tensorrt(Some(&found.path)).map_err(unusable(Library::Builder, &found.path))?;
    trtx::dynamically_load_tensorrt_onnxparser(Some(&parser)).map_err(unusable(library, &parser))?;
    *loaded = Some(found.clone());
    Ok(found)
}
