//! Tests the errors for a PyTorch checkpoint as `--backbone` if no Python can read the checkpoint. The unit tests of the module
//! `network::weights` read checkpoints with a working Python.

use std::process::Command;

#[test]
fn errors_name_the_python_that_is_missing_or_fails() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("x.pth");
    std::fs::write(&checkpoint, b"PK\x03\x04").unwrap();
    let image = folder.path().join("data/b1/normal/1.tif");
    std::fs::create_dir_all(image.parent().unwrap()).unwrap();
    std::fs::write(&image, "").unwrap();
    // The first path does not exist, the second program is not Python.
    for python in ["/nowhere/python3", "/bin/cat"] {
        let output = Command::new(env!("CARGO_BIN_EXE_cellgate-trainer"))
            .args(["features", "--backbone"])
            .args([&checkpoint, &folder.path().join("data")])
            .env("CELLGATE_PYTHON", python)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        for token in [python, "x.pth", "scripts/setup", "CELLGATE_PYTHON"] {
            assert!(stderr.contains(token), "{token}: {stderr}");
        }
    }
}
