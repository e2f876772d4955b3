//! Where shared libraries are looked for that are loaded at run time.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A library as it is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Its file name on Linux, such as `libonnxruntime.so`; `.1` or `.1.32.0` may follow.
    pub(crate) file_name: &'static str,
    /// The environment variable that names it.
    pub(crate) environment: &'static str,
    /// Whether that variable and the caller name the folder that holds the file, and those that belong to it; else the file.
    pub(crate) names_folder: bool,
    /// Its folder below `site-packages`, where a Python wheel has put it.
    pub(crate) wheel: &'static str,
    /// The folder that its own installer makes.
    pub(crate) own: &'static str,
}

/// The folders of the system that are looked at last, before the library's own.
const SYSTEM_FOLDERS: &[&str] = &[
    "/usr/local/lib",
    "/usr/lib",
    #[cfg(target_arch = "x86_64")]
    "/usr/lib/x86_64-linux-gnu",
    #[cfg(target_arch = "aarch64")]
    "/usr/lib/aarch64-linux-gnu",
];

/// Everything that decides where to look, so that the search can be tested without the process's own surroundings.
#[derive(Debug)]
pub(crate) struct Search {
    wanted: Wanted,
    /// What the caller named. Nothing else is looked for.
    explicit: Option<PathBuf>,
    /// The value of the environment variable; empty counts as not set. Nothing else is looked for.
    environment: Option<OsString>,
    /// The running program.
    program: Option<PathBuf>,
    /// Folders that are looked at last.
    system: Vec<PathBuf>,
}

impl Search {
    /// The search of this process.
    pub(crate) fn of_process(wanted: Wanted, explicit: Option<&Path>) -> Self {
        Self {
            wanted,
            explicit: explicit.map(Path::to_owned),
            environment: std::env::var_os(wanted.environment),
            // The real path: a link to the program in /usr/bin leads to the folder with its libraries.
            program: std::env::current_exe().and_then(fs::canonicalize).ok(),
            system: SYSTEM_FOLDERS.iter().copied().chain([wanted.own]).map(PathBuf::from).collect(),
        }
    }

    /// The first library file in the order that README.md gives; else every place that was looked at, one a line, each
    /// ended.
    pub(crate) fn find(&self) -> Result<PathBuf, String> {
        let mut looked_for = String::new();
        let mut note = |line: std::fmt::Arguments<'_>| {
            // Writing to a String can't fail.
            let _ = writeln!(looked_for, "  {line}");
        };
        let Wanted { file_name, environment: variable, names_folder, .. } = self.wanted;
        let environment = self.environment.as_ref().filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = self.explicit.as_ref().or(environment.as_ref()) {
            let (file, place) = if names_folder {
                (library_in(path, file_name), path.join(file_name))
            } else {
                (path.is_file().then(|| path.clone()), path.clone())
            };
            let named_by = if self.explicit.is_some() { "as named by the caller" } else { variable };
            if let Some(file) = file {
                return Ok(file);
            }
            note(format_args!("{} ({named_by}; no such file)", place.display()));
            return Err(looked_for);
        }
        note(format_args!("the environment variable {variable} (not set)"));
        for folder in self.folders() {
            if let Some(path) = library_in(&folder, file_name) {
                return Ok(path);
            }
            note(format_args!("{}", folder.join(file_name).display()));
        }
        Err(looked_for)
    }

    /// The folders that are looked at, in order.
    fn folders(&self) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        if let Some(beside) = self.program.as_deref().and_then(Path::parent) {
            folders.push(beside.join("lib"));
            folders.push(beside.to_owned());
            for ancestor in beside.ancestors() {
                folders.extend(virtual_environment_folders(ancestor, self.wanted.wheel));
            }
        }
        folders.extend(self.system.iter().cloned());
        folders
    }
}

/// The folders of the wheel in `ancestor/.venv`, one for each Python; a pattern where there is none, so that the error can
/// name it.
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

/// The library in `folder`: without a version, else the highest version.
pub(crate) fn library_in(folder: &Path, file_name: &str) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some((version(&name, file_name)?, name)))
        .filter(|(_, name)| folder.join(name).is_file())
        // No version sorts first: wanted; of the others the last.
        .min_by(|(a, _), (b, _)| a.is_empty().cmp(&b.is_empty()).reverse().then_with(|| b.cmp(a)))
        .map(|(_, name)| folder.join(name))
}

/// The numbers after `file_name`; none where `name` is another file.
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
            wanted: Wanted {
                file_name: "libonnxruntime.so",
                environment: VARIABLE,
                names_folder: false,
                wheel: "onnxruntime/capi",
                own: "/opt/onnxruntime/lib",
            },
            explicit: None,
            environment: None,
            program: Some(root.join("target/debug/program")),
            system: vec![root.join("system")],
        }
    }

    #[test]
    fn each_place_yields_to_the_one_before_it() {
        let root = tempfile::tempdir().unwrap();
        let mut search = search(root.path());
        assert!(search.find().is_err());
        // From the last place to the first: each new file wins over all before.
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
        let text = search.find().unwrap_err();
        assert!(text.contains("nowhere.so") && text.contains(VARIABLE), "{text}");
        search.explicit = Some(root.path().join("elsewhere.so"));
        let text = search.find().unwrap_err();
        assert!(text.contains("elsewhere.so") && !text.contains("nowhere.so"), "{text}");
    }

    #[test]
    fn the_error_names_every_place() {
        let root = tempfile::tempdir().unwrap();
        let text = search(root.path()).find().unwrap_err();
        for place in [
            VARIABLE,
            "target/debug/lib/libonnxruntime.so",
            "target/debug/libonnxruntime.so",
            ".venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so",
            "system/libonnxruntime.so",
        ] {
            assert!(text.contains(place), "{place} is missing in: {text}");
        }
    }

    #[test]
    fn a_file_without_version_wins_then_the_highest_version_and_strangers_are_passed_over() {
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
    fn a_folder_can_be_named_too() {
        let root = tempfile::tempdir().unwrap();
        let library = touch(root.path(), "trt/libnvinfer.so.11");
        let mut search = search(root.path());
        search.wanted = Wanted { file_name: "libnvinfer.so", names_folder: true, ..search.wanted };
        search.environment = Some(root.path().join("trt").into());
        assert_eq!(search.find().unwrap(), library);
        search.explicit = Some(root.path().to_owned());
        let text = search.find().unwrap_err();
        assert!(text.contains("libnvinfer.so (as named by the caller; no such file)"), "{text}");
    }
}
