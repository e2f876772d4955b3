//! Sets up a device for a test: a folder with a model, plans and the device's key, and a GPU that a simulated CUDA driver
//! (`driver.c` of `cellgate-test-support`) pretends to have. Needs gcc.

use crate::support;
use cellgate_models::model::Contents;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file name of CUDA's driver.
const DRIVER: &str = "libcuda.so.1";

/// A device for a test. Its folder is removed when this value is dropped.
pub(crate) struct Device {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) model: PathBuf,
    pub(crate) key: PathBuf,
}

impl Device {
    /// A device with a sound model of f32, without a simulated GPU.
    pub(crate) fn new() -> Self {
        Self::of(support::sound_model)
    }

    /// A device with a model of these contents, without a simulated GPU.
    pub(crate) fn with(contents: &Contents) -> Self {
        Self::of(|folder| support::model(folder, contents))
    }

    fn of(model: impl FnOnce(&Path) -> PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { model: model(folder.path()), key: folder.path().join("plan.key"), folder }
    }

    /// Adds a simulated GPU of this compute capability. gcc compiles the simulated driver with `options`.
    pub(crate) fn with_gpu(self, (major, minor): (u8, u8), options: &[&str]) -> Self {
        let source = cellgate_test_support::pretended::source();
        let (major, minor) = (format!("-DMAJOR={major}"), format!("-DMINOR={minor}"));
        let own = [&major, &minor, "-Wl,-soname,libcuda.so.1"];
        compile(self.folder.path(), DRIVER, &[&own, options].concat(), &source);
        std::os::unix::fs::symlink(DRIVER, self.at("libcuda.so")).unwrap();
        self
    }

    /// A path in the device's folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program `cellgate-edge`, with the simulated GPU if the device has one.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
        command.args(arguments);
        let driver = self.at(DRIVER);
        if driver.exists() {
            command.env("LD_LIBRARY_PATH", self.folder.path()).env("CELLGATE_CUDA", driver);
        }
        command
    }
}

/// Compiles a shared library into `folder`.
pub(crate) fn compile(folder: &Path, name: &str, options: &[&str], source: &Path) {
    let mut command = Command::new("gcc");
    command.args(["-shared", "-fPIC", "-o"]).arg(folder.join(name)).args(options).arg(source);
    assert!(command.status().expect("gcc").success());
}
