//! TensorRT missing, of another version, or something else: each a plain error. Every test names a folder of its own, so none
//! needs TensorRT.

use cellgate_models::plan::{FLAVOUR, LIBRARY_ENV, Library, PlanError, probe};
use std::path::Path;
use std::process::Command;

/// A library that says it is TensorRT of this version.
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

fn refused(folder: &Path) -> String {
    probe(Library::Builder, Some(folder)).unwrap_err().to_string()
}

#[test]
fn a_missing_library_is_named_with_place_and_package() {
    let folder = tempfile::tempdir().unwrap();
    let text = refused(folder.path());
    let package = if cfg!(feature = "enterprise") { "JetPack 7.2.2" } else { "tensorrt-rtx-cu13-libs==1.7.1.116" };
    let place = folder.path().join(Library::Builder.file_name());
    for part in [&format!("{FLAVOUR} was not found"), &place.display().to_string(), package, LIBRARY_ENV] {
        assert!(text.contains(part), "{part}: {text}");
    }
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
fn another_version_is_named_with_the_expected_one() {
    let (major, minor) = if cfg!(feature = "enterprise") { (11, 4) } else { (1, 7) };
    for (found_major, found_minor) in [(major - 1, 9), (major, minor - 1), (major + 1, 0), (major, 9)] {
        let folder = tempfile::tempdir().unwrap();
        fake(folder.path(), found_major, found_minor);
        match probe(Library::Builder, Some(folder.path())) {
            Ok(found) => {
                assert_eq!((found_major, found_minor), (major, 9));
                assert_eq!(found.tensorrt.version.to_string(), format!("{major}.9.2.3"));
            }
            Err(error) => {
                let expected = format!(
                    "found {FLAVOUR} {found_major}.{found_minor}.2.3, expected {major}.{minor} or later, before {}; install",
                    major + 1
                );
                assert!(error.to_string().contains(&expected), "{error}");
                assert!(found_major != major || found_minor < minor);
            }
        }
    }
}

#[test]
fn what_is_no_tensorrt_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join(Library::Builder.file_name());
    std::fs::write(&library, b"no library").unwrap();
    let text = refused(folder.path());
    assert!(text.contains(&format!("not usable as {FLAVOUR}: dlopen failed: ")), "{text}");
    assert!(text.ends_with("file too short"), "the loader's reason: {text}");
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("empty.c");
    std::fs::write(&source, "int nothing;\n").unwrap();
    let library = folder.path().join(Library::Builder.file_name());
    assert!(Command::new("cc").args(["-shared", "-o"]).arg(library).arg(source).status().unwrap().success());
    let text = refused(folder.path());
    assert!(text.contains("it has no getInferLibMajorVersion: dlsym failed: "), "{text}");
    assert!(text.ends_with("undefined symbol: getInferLibMajorVersion"), "the loader's reason: {text}");
    let folder = tempfile::tempdir().unwrap();
    fake(folder.path(), -1, 7);
    assert!(refused(folder.path()).contains("getInferLibMajorVersion says -1"), "{}", refused(folder.path()));
}
