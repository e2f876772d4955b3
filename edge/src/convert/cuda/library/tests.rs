//! The search without CUDA, and with files that are not CUDA.

use super::*;

fn wanted(folders: Vec<PathBuf>) -> Wanted<'static> {
    Wanted {
        name: "libcuda.so.1",
        variable: CUDA_ENV,
        package: "the NVIDIA driver",
        explicit: None,
        environment: None,
        folders,
        ask_loader: false,
    }
}

/// A library of the system that is not CUDA.
const ANOTHER: &str = "libm.so.6";

#[test]
fn a_missing_library_is_an_error_with_places_package_and_variable() {
    let text = wanted(vec!["/nowhere/a".into(), "/nowhere/b".into()]).load().unwrap_err().to_string();
    for part in ["libcuda.so.1", "/nowhere/a/libcuda.so.1", "/nowhere/b/libcuda.so.1", "the NVIDIA driver", CUDA_ENV] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

#[test]
fn a_named_file_that_is_missing_is_not_replaced_by_another() {
    let mut wanted = wanted(Vec::new());
    wanted.ask_loader = true;
    wanted.environment = Some("/nowhere/libcuda.so.1".into());
    assert!(wanted.load().unwrap_err().to_string().contains("/nowhere/libcuda.so.1"));
    wanted.explicit = Some(Path::new("/elsewhere/libcuda.so.1"));
    assert!(wanted.load().unwrap_err().to_string().contains("/elsewhere/libcuda.so.1"));
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
fn another_library_is_not_taken_for_the_driver() {
    let wanted = wanted(Vec::new());
    let library = wanted.open(Path::new(ANOTHER)).unwrap();
    let error = wanted.check_driver(Path::new(ANOTHER), &library).unwrap_err().to_string();
    assert!(error.contains("cuDriverGetVersion") && error.contains(ANOTHER), "{error}");
    let error = wanted.keep(Path::new(ANOTHER), library, false).unwrap_err().to_string();
    assert!(error.contains("usual name"), "{error}");
}
