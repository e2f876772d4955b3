//! Checks the machine: driver, GPU and libraries. A fault of one does not hide the others; only the GPU is not known without the
//! driver.

use super::Row;
use crate::convert::cuda::{driver_version, nvrtc_version};
use crate::tensorrt::gpu;
use cellgate_models::plan::cache::Gpu;
use cellgate_models::plan::{Library, TensorRt, probe};
use std::path::Path;

/// Where NVIDIA's Linux kernel module reports its version.
const MODULE: &str = "/proc/driver/nvidia/version";

/// The CUDA version of the driver's library, the version of the Linux kernel module, and whether the driver can be used.
pub(super) fn driver() -> (Row, bool) {
    let module = match module(Path::new(MODULE)) {
        Some(version) => format!("kernel module: {version}"),
        None => format!("kernel module: no version in {MODULE}"),
    };
    let version = driver_version();
    let is_usable = version.is_ok();
    let found = version.map(|(major, minor)| format!("for CUDA {major}.{minor}; {module}"));
    (Row::of("driver", found.map_err(|error| format!("{error}; {module}"))), is_usable)
}

/// The first line of text in the file at `path` without the label `NVRM version:`, such as `NVIDIA UNIX x86_64 Kernel Module
/// 580.95.05 ...`. `None` if the file can't be read or is empty.
fn module(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().next()?;
    let words: Vec<_> = line.strip_prefix("NVRM version:").unwrap_or(line).split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Finds this machine's GPU. Without a driver the GPU is not known.
pub(super) fn gpu(has_driver: bool) -> (Row, Option<Gpu>) {
    if !has_driver {
        return (Row::failure("GPU", "not known without a driver"), None);
    }
    match gpu::detect() {
        Ok(gpu) => (Row::ok("GPU", gpu.to_string()), Some(gpu)),
        Err(error) => (Row::failure("GPU", error.to_string()), None),
    }
}

/// The version of NVRTC, the compiler of the conversion's kernels.
pub(super) fn nvrtc() -> Row {
    let version = nvrtc_version();
    Row::of("NVRTC", version.map(|(major, minor)| format!("{major}.{minor}")).map_err(|error| error.to_string()))
}

/// The version of TensorRT in `folder`, or why TensorRT can't be used. `None` searches for the folder.
pub(super) fn tensorrt(folder: Option<&Path>) -> (Row, Option<TensorRt>) {
    match probe(Library::Builder, folder) {
        Ok(found) => (Row::ok("TensorRT", found.to_string()), Some(found.tensorrt)),
        Err(error) => (Row::failure("TensorRT", error.to_string()), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linux_kernel_module_s_version_is_the_first_line_of_text_without_its_label() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("version");
        assert_eq!(module(&file), None);
        std::fs::write(
            &file,
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23\nGCC version: 12\n",
        )
        .unwrap();
        assert_eq!(module(&file).unwrap(), "NVIDIA UNIX x86_64 Kernel Module 580.95.05 Tue Sep 23");
        std::fs::write(&file, "").unwrap();
        assert_eq!(module(&file), None);
    }
}
