//! A device: a folder with a model, plans and their key, and a GPU that a CUDA driver pretends (`driver.c` of `cellgate-test-support`; gcc).

use crate::support;
use cellgate_models::model::Contents;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its name where a program looks for CUDA's driver.
const DRIVER: &str = "libcuda.so.1";

/// A folder that goes with it.
pub(crate) struct Device {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) model: PathBuf,
    pub(crate) key: PathBuf,
}

impl Device {
    /// One with a sound model of f32, and no GPU but the machine's own.
    pub(crate) fn new() -> Self {
        Self::of(support::sound_model)
    }

    /// The same with another model.
    pub(crate) fn with(contents: &Contents) -> Self {
        Self::of(|folder| support::model(folder, contents))
    }

    fn of(model: impl FnOnce(&Path) -> PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { model: model(folder.path()), key: folder.path().join("plan.key"), folder }
    }

    /// The same with a pretended GPU of that compute capability; `options` are the compiler's.
    pub(crate) fn with_gpu(self, (major, minor): (u8, u8), options: &[&str]) -> Self {
        let source = cellgate_test_support::pretended::source();
        let (major, minor) = (format!("-DMAJOR={major}"), format!("-DMINOR={minor}"));
        let own = [&major, &minor, "-Wl,-soname,libcuda.so.1"];
        compile(self.folder.path(), DRIVER, &[&own, options].concat(), &source);
        std::os::unix::fs::symlink(DRIVER, self.at("libcuda.so")).unwrap();
        self
    }

    /// A file or folder of its.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, with the pretended GPU where there is one.
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
