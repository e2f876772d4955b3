//! Searches for shared libraries that are loaded at run time: ONNX Runtime, TensorRT, and NVIDIA's CUDA libraries.

use std::ffi::OsString;
use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A library and where to look for it.
#[derive(Debug, Clone)]
pub struct LibrarySpec {
    /// Its file name on Linux without a version, such as `libonnxruntime.so`. A file `libonnxruntime.so.1.32.0` is found too.
    pub file_name: &'static str,
    /// The environment variable that names the library's file or folder.
    pub environment: &'static str,
    /// Whether the caller and the environment variable name the folder with the library, instead of the library's file.
    pub names_folder: bool,
    /// Where to look, in order, if neither the caller nor the environment variable names the library.
    pub places: Vec<SearchPlace>,
}

/// A place to look in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchPlace {
    /// A folder below the folder of the running program; the empty path is that folder itself.
    Program(&'static str),
    /// A folder below `.venv/lib/python3*/site-packages`, where a Python wheel installs the file. `.venv` is looked for in the
    /// program's folder and each folder above it.
    Wheel(&'static str),
    /// The system's loader, by the file name.
    Loader,
    /// A folder.
    Folder(PathBuf),
}

/// The system's folder for libraries of the processor architecture that this program was compiled for.
pub const MULTIARCH: &str =
    if cfg!(target_arch = "aarch64") { "/usr/lib/aarch64-linux-gnu" } else { "/usr/lib/x86_64-linux-gnu" };

impl SearchPlace {
    /// The usual places of a library, in order: `lib` beside the program, the program's folder, the folder `wheel` of a Python
    /// wheel, the system's folders, and `own`, the folder of the library's own installer.
    #[must_use]
    pub fn usual(wheel: &'static str, own: &str) -> Vec<Self> {
        let system = ["/usr/local/lib", "/usr/lib", MULTIARCH, own].map(|folder| Self::Folder(folder.into()));
        [Self::Program("lib"), Self::Program(""), Self::Wheel(wheel)].into_iter().chain(system).collect()
    }
}

/// All inputs of a search, so that tests do not depend on the process's environment.
#[derive(Debug)]
pub struct Search {
    /// The library to find.
    pub wanted: LibrarySpec,
    /// The path that the caller named. If set, no other place is tried.
    pub explicit: Option<PathBuf>,
    /// The value of the environment variable; empty counts as not set. If it is set and `explicit` is `None`, no other place is
    /// tried.
    pub environment: Option<OsString>,
    /// The path of the running program. If it is unknown (`None`), the places that depend on it are skipped.
    pub program: Option<PathBuf>,
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundLibrary<T> {
    /// A file, which is not loaded yet.
    File(PathBuf),
    /// The library that the system's loader loaded by the file name.
    Loaded(T),
}

/// The library was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The caller or the environment variable named a path, but the library is not there.
    Named {
        /// The path where the library was expected.
        path: PathBuf,
        /// The environment variable that named the path; `None` if the caller named it.
        environment: Option<&'static str>,
    },
    /// No place has the library.
    Nowhere {
        /// The environment variable, which is empty or not set.
        environment: &'static str,
        /// Every place that was tried, each followed by a line feed.
        looked_for: String,
    },
}

/// Every place that was tried, each followed by a line feed. For [`Missing::Nowhere`] the environment variable comes first.
impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { path, environment } => {
                let named_by = environment.unwrap_or("as named by the caller");
                writeln!(out, "  {} ({named_by}; no such file)", path.display())
            }
            Self::Nowhere { environment, looked_for } => {
                writeln!(out, "  the environment variable {environment} (not set)")?;
                out.write_str(looked_for)
            }
        }
    }
}

impl Search {
    /// A search with the environment of this process.
    #[must_use]
    pub fn of_process(wanted: LibrarySpec, explicit: Option<&Path>) -> Self {
        Self {
            explicit: explicit.map(Path::to_owned),
            environment: std::env::var_os(wanted.environment),
            // The real path: a symbolic link in /usr/bin then leads to the folder with the program's libraries.
            program: std::env::current_exe().and_then(fs::canonicalize).ok(),
            wanted,
        }
    }

    /// The file that the caller or the environment variable names, otherwise the first library file in the order of the places.
    /// This function can't ask the system's loader, so it is only for libraries without [`SearchPlace::Loader`].
    pub(crate) fn find(&self) -> Result<PathBuf, Missing> {
        self.find_or_load(|_| None).map(|found| match found {
            FoundLibrary::File(path) | FoundLibrary::Loaded(path) => path,
        })
    }

    /// The file that the caller or the environment variable names, otherwise the first library in the order of the places. `load`
    /// is called to ask the system's loader if [`SearchPlace::Loader`] is one of the places.
    ///
    /// # Errors
    /// [`Missing`]: the named file is not there, or no place has the library.
    pub fn find_or_load<T>(&self, mut load: impl FnMut(&Path) -> Option<T>) -> Result<FoundLibrary<T>, Missing> {
        if let Some(file) = self.named()? {
            return Ok(FoundLibrary::File(file));
        }
        let LibrarySpec { file_name, environment, ref places, .. } = self.wanted;
        let mut looked_for = String::new();
        for place in places {
            if *place == SearchPlace::Loader {
                if let Some(loaded) = load(Path::new(file_name)) {
                    return Ok(FoundLibrary::Loaded(loaded));
                }
                // Writing to a String can't fail.
                let _ = writeln!(looked_for, "  {file_name} by the system's loader");
            }
            for folder in self.folders(place) {
                if let Some(path) = library_in(&folder, file_name) {
                    return Ok(FoundLibrary::File(path));
                }
                let _ = writeln!(looked_for, "  {}", folder.join(file_name).display());
            }
        }
        Err(Missing::Nowhere { environment, looked_for })
    }

    /// The file that the caller or the environment variable names; `None` if neither names one.
    fn named(&self) -> Result<Option<PathBuf>, Missing> {
        let LibrarySpec { file_name, environment, names_folder, .. } = self.wanted;
        let variable = self.environment.as_ref().filter(|value| !value.is_empty());
        let (named, environment) = match (&self.explicit, variable) {
            (Some(path), _) => (path.clone(), None),
            (None, Some(value)) => (PathBuf::from(value), Some(environment)),
            (None, None) => return Ok(None),
        };
        let (file, path) = if names_folder {
            (library_in(&named, file_name), named.join(file_name))
        } else {
            (named.is_file().then(|| named.clone()), named)
        };
        file.map(Some).ok_or(Missing::Named { path, environment })
    }

    /// The folders of a place, in order.
    fn folders(&self, place: &SearchPlace) -> Vec<PathBuf> {
        let beside = self.program.as_deref().and_then(Path::parent);
        match place {
            SearchPlace::Program(below) => beside.map(|folder| folder.join(below)).into_iter().collect(),
            SearchPlace::Wheel(wheel) => beside
                .into_iter()
                .flat_map(Path::ancestors)
                .flat_map(|folder| virtual_environment_folders(folder, wheel))
                .collect(),
            SearchPlace::Loader => Vec::new(),
            SearchPlace::Folder(folder) => vec![folder.clone()],
        }
    }
}

/// The folders of the wheel in `ancestor/.venv`, one per Python version. If no Python is there, the result is one path with the
/// pattern `python3*`, so that the error can name the place.
fn virtual_environment_folders(ancestor: &Path, wheel: &str) -> Vec<PathBuf> {
    let libraries = ancestor.join(".venv/lib");
    let mut pythons: Vec<_> = fs::read_dir(&libraries)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("python3"))
        .collect();
    pythons.sort();
    if pythons.is_empty() {
        pythons.push("python3*".to_owned());
    }
    pythons.iter().map(|python| libraries.join(python).join("site-packages").join(wheel)).collect()
}

/// The library in `folder`: the file without a version in its name, otherwise the file of the highest version.
pub(crate) fn library_in(folder: &Path, file_name: &str) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some((version(&name, file_name)?, name)))
        .filter(|(_, name)| folder.join(name).is_file())
        // A name without version first, then the highest version.
        .min_by(|(a, _), (b, _)| a.is_empty().cmp(&b.is_empty()).reverse().then_with(|| b.cmp(a)))
        .map(|(_, name)| folder.join(name))
}

/// The numbers of the version that follows `file_name` in `name`; no numbers if `name` has no version. The result is `None` if
/// `name` is neither `file_name` nor `file_name` with a version.
fn version(name: &str, file_name: &str) -> Option<Vec<u32>> {
    let rest = name.strip_prefix(file_name)?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    rest.strip_prefix('.')?.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, name: &str) -> PathBuf {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"").unwrap();
        path
    }

    const VARIABLE: &str = "CELLGATE_ONNXRUNTIME";

    /// A search from `root/target/debug/program` with `root/system` as the system's folder.
    fn search(root: &Path) -> Search {
        Search {
            wanted: LibrarySpec {
                file_name: "libonnxruntime.so",
                environment: VARIABLE,
                names_folder: false,
                places: vec![
                    SearchPlace::Program("lib"),
                    SearchPlace::Program(""),
                    SearchPlace::Wheel("onnxruntime/capi"),
                    SearchPlace::Folder(root.join("system")),
                ],
            },
            explicit: None,
            environment: None,
            program: Some(root.join("target/debug/program")),
        }
    }

    #[test]
    fn an_earlier_place_wins_over_a_later_one() {
        let root = tempfile::tempdir().unwrap();
        let mut search = search(root.path());
        assert!(search.find().is_err());
        // The files are created from the last place to the first, so each new file wins over all files that exist.
        for name in [
            "system/libonnxruntime.so.1.24.0",
            ".venv/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.32.0",
            "target/.venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.25.0",
            "target/debug/libonnxruntime.so.1",
            "target/debug/lib/libonnxruntime.so",
        ] {
            let path = touch(root.path(), name);
            assert_eq!(search.find().unwrap(), path);
        }
        let named = touch(root.path(), "named-by-environment");
        search.environment = Some(named.clone().into());
        assert_eq!(search.find().unwrap(), named);
        let explicit = touch(root.path(), "named-by-caller");
        search.explicit = Some(explicit.clone());
        assert_eq!(search.find().unwrap(), explicit);
    }

    #[test]
    fn a_named_file_that_is_missing_is_not_replaced_by_another() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), "system/libonnxruntime.so");
        let mut search = search(root.path());
        search.environment = Some(OsString::new());
        assert!(search.find().is_ok(), "empty counts as not set");
        search.environment = Some(root.path().join("nowhere.so").into());
        let path = root.path().join("nowhere.so");
        assert_eq!(search.find(), Err(Missing::Named { path, environment: Some(VARIABLE) }));
        search.explicit = Some(root.path().join("elsewhere.so"));
        let path = root.path().join("elsewhere.so");
        assert_eq!(search.find(), Err(Missing::Named { path, environment: None }));
    }

    #[test]
    fn the_loader_is_asked_in_the_order_of_the_places() {
        let root = tempfile::tempdir().unwrap();
        let mut search = search(root.path());
        search.wanted.places.insert(0, SearchPlace::Loader);
        let file = touch(root.path(), "target/debug/libonnxruntime.so");
        assert_eq!(
            search.find_or_load(|name| Some(name.to_owned())),
            Ok(FoundLibrary::Loaded("libonnxruntime.so".into()))
        );
        assert_eq!(search.find_or_load(|_| None::<()>), Ok(FoundLibrary::File(file)));
        search.wanted.places.rotate_left(1);
        assert!(matches!(search.find_or_load(|_| Some(())), Ok(FoundLibrary::File(_))));
        search.wanted.places = vec![SearchPlace::Loader];
        let missing = search.find_or_load(|_| None::<()>).unwrap_err();
        assert!(matches!(missing, Missing::Nowhere { environment: VARIABLE, .. }), "{missing}");
        insta::assert_snapshot!("not_found_by_the_loader", missing);
    }

    #[test]
    fn the_error_names_every_place() {
        let root = tempfile::tempdir().unwrap();
        let missing = search(root.path()).find().unwrap_err().to_string();
        let lines = missing.replace(&*root.path().to_string_lossy(), "FOLDER");
        // The folders above the temporary folder differ from machine to machine, so their `.venv` is left out.
        let lines: Vec<_> = lines.lines().filter(|line| line.contains("FOLDER") || !line.contains(".venv")).collect();
        insta::assert_snapshot!("not_found", lines.join("\n"));
    }

    #[test]
    fn a_file_without_version_wins_then_the_highest_version_and_other_files_are_skipped() {
        let root = tempfile::tempdir().unwrap();
        for name in
            ["libonnxruntime.so.1.9.0", "libonnxruntime.so.1.32.0", "libonnxruntime.so.old", "libonnxruntime.sox"]
        {
            touch(root.path(), name);
        }
        fs::create_dir(root.path().join("libonnxruntime.so.2")).unwrap();
        assert_eq!(library_in(root.path(), "libonnxruntime.so").unwrap(), root.path().join("libonnxruntime.so.1.32.0"));
        touch(root.path(), "libonnxruntime.so");
        assert_eq!(library_in(root.path(), "libonnxruntime.so").unwrap(), root.path().join("libonnxruntime.so"));
    }

    #[test]
    fn the_caller_and_the_environment_variable_can_name_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let library = touch(root.path(), "trt/libnvinfer.so.11");
        let mut search = search(root.path());
        search.wanted.file_name = "libnvinfer.so";
        search.wanted.names_folder = true;
        search.environment = Some(root.path().join("trt").into());
        assert_eq!(search.find().unwrap(), library);
        search.explicit = Some(root.path().to_owned());
        let missing = search.find().unwrap_err();
        assert_eq!(missing, Missing::Named { path: root.path().join("libnvinfer.so"), environment: None });
        let text = missing.to_string().replace(&*root.path().to_string_lossy(), "FOLDER");
        insta::assert_snapshot!("named_file_not_found", text);
    }
}
