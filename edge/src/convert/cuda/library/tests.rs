//! The search without CUDA, and with files that are not CUDA.

use super::*;
use cellgate_models::library::LibrarySpec;
use std::fs;

fn wanted(folders: Vec<PathBuf>) -> CudaLibrary {
    let places = folders.into_iter().map(SearchPlace::Folder).collect();
    let wanted = LibrarySpec { file_name: "libcuda.so.1", environment: VARIABLE, names_folder: false, places };
    let search = Search { wanted, explicit: None, environment: None, program: None };
    CudaLibrary { search, package: "the NVIDIA driver" }
}

/// The variable that names the file.
const VARIABLE: &str = "CELLGATE_CUDA";

#[test]
fn a_missing_library_is_an_error_with_places_package_and_variable() {
    let text = wanted(vec!["/nowhere/a".into(), "/nowhere/b".into()]).load().unwrap_err().to_string();
    for part in ["libcuda.so.1", "/nowhere/a/libcuda.so.1", "/nowhere/b/libcuda.so.1", "the NVIDIA driver", VARIABLE] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

#[test]
fn a_named_file_that_is_missing_is_not_replaced_by_another() {
    let mut wanted = wanted(Vec::new());
    wanted.search.wanted.places.push(SearchPlace::Loader);
    wanted.search.environment = Some("/nowhere/libcuda.so.1".into());
    assert!(wanted.load().unwrap_err().to_string().contains("/nowhere/libcuda.so.1"));
}

#[test]
fn a_file_that_is_no_library_is_an_error_that_names_it() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("libcuda.so.1"), b"no library").unwrap();
    let error = wanted(vec![root.path().to_owned()]).load().unwrap_err();
    assert!(matches!(&error, CudaError::LibraryUnusable { path, .. } if path.starts_with(root.path())), "{error}");
    assert!(error.to_string().contains("too short"), "the loader's reason is told: {error}");
}

#[test]
fn places_are_looked_at_in_their_order() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("libm.so.6"), b"no library").unwrap();
    let mut wanted = wanted(vec![root.path().to_owned()]);
    wanted.search.wanted.file_name = "libm.so.6";
    wanted.search.wanted.places.push(SearchPlace::Loader);
    assert!(wanted.load().is_err(), "the folder comes first, and its file can't be used");
    wanted.search.wanted.places.reverse();
    assert_eq!(wanted.load().unwrap().0, Path::new("libm.so.6"));
}
