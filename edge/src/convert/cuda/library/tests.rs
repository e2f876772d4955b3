//! Tests the search for CUDA's libraries where no library is present, and where other files have their names.

use super::*;
use cellgate_models::library::LibrarySpec;
use std::fs;

fn wanted(folders: Vec<PathBuf>) -> CudaLibrary {
    let places = folders.into_iter().map(SearchPlace::Folder).collect();
    // In `LibrarySpec` the field `environment` is the name of the variable, in `Search` it is the variable's value.
    let wanted = LibrarySpec { file_name: "libcuda.so.1", environment: VARIABLE, names_folder: false, places };
    let search = Search { wanted, explicit: None, environment: None, program: None };
    CudaLibrary { search, package: "the NVIDIA driver" }
}

/// The environment variable that names the file.
const VARIABLE: &str = "CELLGATE_CUDA";

#[test]
fn a_missing_library_is_an_error_with_places_package_and_variable() {
    let error = wanted(vec!["/nowhere/a".into(), "/nowhere/b".into()]).load().unwrap_err();
    insta::assert_snapshot!("missing_library", error);
}

#[test]
fn a_missing_file_that_the_variable_names_is_an_error_and_no_place_is_searched() {
    let mut wanted = wanted(Vec::new());
    wanted.search.wanted.places.push(SearchPlace::Loader);
    wanted.search.environment = Some("/nowhere/libcuda.so.1".into());
    let error = wanted.load().unwrap_err();
    assert!(matches!(error, CudaError::LibraryMissing { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere/libcuda.so.1"), "{error}");
}

#[test]
fn a_file_that_is_not_a_library_is_an_error_with_its_path_and_the_loaders_reason() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("libcuda.so.1"), b"no library").unwrap();
    match wanted(vec![root.path().to_owned()]).load().unwrap_err() {
        CudaError::LibraryUnusable { path, detail, .. } => {
            assert_eq!(path, root.path().join("libcuda.so.1"));
            assert!(detail.contains("dlopen"), "{detail}");
        }
        error => panic!("{error}"),
    }
}

#[test]
fn places_are_searched_in_order() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("libm.so.6"), b"no library").unwrap();
    let mut wanted = wanted(vec![root.path().to_owned()]);
    wanted.search.wanted.file_name = "libm.so.6";
    wanted.search.wanted.places.push(SearchPlace::Loader);
    assert!(wanted.load().is_err(), "the folder comes first, and its file can't be used");
    wanted.search.wanted.places.reverse();
    assert_eq!(wanted.load().unwrap().0, Path::new("libm.so.6"));
}
