//! Tests the errors that are returned if TensorRT is missing, if it has another version, and if its file is not TensorRT. Each test
//! uses its own folder and needs no TensorRT.

use cellgate_models::plan::{LIBRARY_ENV, Library, PlanError, probe};
use std::path::Path;
use std::process::Command;

/// Compiles a library into `folder` that reports the version `major`.`minor`.2.3 of TensorRT.
fn fake(folder: &Path, major: i32, minor: i32) {
    let source = folder.join("fake.c");
    let functions = [("Major", major), ("Minor", minor), ("Patch", 2), ("Build", 3)]
        .map(|(name, number)| format!("int getInferLib{name}Version(void) {{ return {number}; }}\n"));
    std::fs::write(&source, functions.concat()).unwrap();
    let library = folder.join(Library::Builder.file_name());
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(library).arg(source).status().expect("a C compiler");
    assert!(compiled.success());
}

/// Why the library in `folder` is unusable.
fn unusable(folder: &Path) -> String {
    match probe(Library::Builder, Some(folder)).unwrap_err() {
        PlanError::LibraryUnusable { library: Library::Builder, path, message } => {
            assert_eq!(path.file_name().unwrap(), Library::Builder.file_name());
            message
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_missing_library_is_an_error_with_place_and_package() {
    let folder = tempfile::tempdir().unwrap();
    let error = probe(Library::Builder, Some(folder.path())).unwrap_err();
    assert!(matches!(error, PlanError::LibraryMissing { library: Library::Builder, .. }), "{error}");
    let text = error.to_string().replace(&*folder.path().to_string_lossy(), "FOLDER");
    let name = if cfg!(feature = "enterprise") { "missing_tensorrt" } else { "missing_tensorrt_rtx" };
    let filters = [(r"(FOLDER\S+) \([^)]*\)", "$1 (SEARCH)")];
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!(name, text) });
    let search = probe(Library::Builder, None);
    if let Err(PlanError::LibraryMissing { looked_for, .. }) = &search
        && std::env::var_os(LIBRARY_ENV).is_none()
    {
        for place in [LIBRARY_ENV, "/lib/", ".venv/lib/python3", "/usr/lib", "/opt/tensorrt/lib"] {
            assert!(looked_for.contains(place), "{place}: {looked_for}");
        }
    }
}

#[test]
fn only_the_expected_major_and_this_or_a_later_minor_version_is_accepted() {
    let (major, minor) = if cfg!(feature = "enterprise") { (11, 4) } else { (1, 7) };
    for (found_major, found_minor) in [(major - 1, 9), (major, minor - 1), (major + 1, 0), (major, 9)] {
        let folder = tempfile::tempdir().unwrap();
        fake(folder.path(), found_major, found_minor);
        match probe(Library::Builder, Some(folder.path())) {
            Ok(found) => {
                assert_eq!((found_major, found_minor), (major, 9));
                assert_eq!(found.tensorrt.version.to_string(), format!("{major}.9.2.3"));
            }
            Err(PlanError::LibraryVersion { found, expected, .. }) => {
                assert_eq!(found.to_string(), format!("{found_major}.{found_minor}.2.3"));
                assert!(expected.contains(&format!("{major}.{minor}")), "{expected}");
                assert!(found_major != major || found_minor < minor);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_file_that_is_not_tensorrt_is_unusable() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join(Library::Builder.file_name());
    std::fs::write(&library, b"no library").unwrap();
    let message = unusable(folder.path());
    assert!(message.contains("dlopen"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("empty.c");
    std::fs::write(&source, "int nothing;\n").unwrap();
    let library = folder.path().join(Library::Builder.file_name());
    assert!(Command::new("cc").args(["-shared", "-o"]).arg(library).arg(source).status().unwrap().success());
    let message = unusable(folder.path());
    assert!(message.contains("getInferLibMajorVersion") && message.contains("dlsym"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    fake(folder.path(), -1, 7);
    let message = unusable(folder.path());
    assert!(message.contains("getInferLibMajorVersion") && message.contains("-1"), "{message}");
}
