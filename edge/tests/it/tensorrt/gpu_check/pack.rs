//! Tests `scripts/gpu-check`: what it packs and refuses, and what the packed copy prints. Small scripts stand in for cargo,
//! `cellgate-edge` and Python, so that each of the three can be made to fail.

use super::both_precisions;
use crate::support::{DARK, image, run, stderr};
use crate::tensorrt::device::{Device, compile};
use cellgate_test_support::transcript;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A checkout with the scripts only, empty libraries instead of NVIDIA's, and a script instead of cargo.
struct Checkout(tempfile::TempDir);

impl Checkout {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        copy_scripts(&at("scripts"));
        let source = at("empty.c");
        fs::write(&source, "").unwrap();
        for library in [
            "nvidia/cu13/lib/libnvrtc.so.13",
            "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
            "tensorrt_rtx_libs/libtensorrt_rtx.so.1",
        ] {
            let library = at(".venv/lib/python3.11/site-packages").join(library);
            let place = library.parent().unwrap();
            fs::create_dir_all(place).unwrap();
            compile(place, library.file_name().unwrap().to_str().unwrap(), &[], &source);
        }
        fs::create_dir_all(at("target/release")).unwrap();
        symlink(env!("CARGO_BIN_EXE_cellgate-edge"), at("target/release/cellgate-edge")).unwrap();
        let target = at("target").display().to_string();
        let cargo = format!(
            "[ -e scripts/gpu-check ] || {{ echo not in the checkout >&2; exit 9; }}\n[ \"$1\" = build ] || echo \
             '{{\"target_directory\":\"{target}\"}}'"
        );
        script(&at("cargo"), &cargo);
        Self(folder)
    }

    /// Runs `scripts/gpu-check pack`, which must end with this exit status.
    fn pack(&self, arguments: &[&Path], status: i32) -> Output {
        run(self.command().args(arguments), status)
    }

    fn command(&self) -> Command {
        let path = format!("{}:/usr/bin:/bin", self.0.path().display());
        let mut command = Command::new(self.0.path().join("scripts/gpu-check"));
        command.arg("pack").env("PATH", path).env("LC_ALL", "C");
        command
    }
}

fn copy_scripts(to: &Path) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    fs::create_dir_all(to).unwrap();
    for name in ["gpu-check", "torch_latency.py"] {
        sh("cp \"$1\" \"$2\"", &[scripts.join(name).as_os_str(), to.join(name).as_os_str()]);
    }
}

/// Writes an executable shell script.
fn script(path: &Path, text: &str) {
    sh("printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"", &[path.as_os_str(), text.as_ref()]);
}

/// Has a child process write a program. If this process wrote it, a process that another test starts meanwhile could inherit the
/// open file, and starting the program would fail with "Text file busy".
fn sh(commands: &str, arguments: &[&OsStr]) {
    assert!(Command::new("/bin/sh").args(["-c", commands, "sh"]).args(arguments).status().unwrap().success());
}

#[test]
fn pack_refuses_an_incomplete_check() {
    let (device, checkout) = (Device::with(&both_precisions()), Checkout::new());
    let (new, model) = (device.at("packed"), device.model.as_path());
    let dark = image(device.folder.path(), "dark", DARK);
    let sibling = device.at("sibling");
    fs::create_dir(&sibling).unwrap();
    symlink(&dark, sibling.join("dark.tif")).unwrap();
    let f32_only = Device::new();
    let f32_model = device.at("f32_only");
    sh("cp -r \"$1\" \"$2\"", &[f32_only.model.as_os_str(), f32_model.as_os_str()]);
    let mut refusals = String::new();
    for (case, arguments, status) in [
        ("no image", &[new.as_path(), model][..], 2),
        ("not a model", &[&new, device.folder.path(), &dark], 1),
        ("no such image", &[&new, model, &device.at("none.tif")], 1),
        ("the folder exists", &[device.folder.path(), model, &dark], 1),
        ("two images with one name", &[&new, model, &dark, &sibling.join("dark.tif")], 1),
        ("no network of f16", &[&new, &f32_model, &dark], 1),
    ] {
        let output = checkout.pack(arguments, status);
        refusals += &format!("=== {case}\n{}", transcript(&output, device.folder.path()));
        assert!(!new.exists(), "{case}");
    }
    insta::assert_snapshot!("pack_refusals", refusals);
}

#[test]
fn a_packed_folder_is_complete_without_the_targets_of_symbolic_links() {
    let (device, checkout) = (Device::with(&both_precisions()), Checkout::new());
    let links = device.at("links");
    fs::create_dir(&links).unwrap();
    symlink(&device.model, links.join("model")).unwrap();
    symlink(image(device.folder.path(), "dark", DARK), links.join("part.tif")).unwrap();
    let new = links.join("packed");
    let mut command = checkout.command();
    let output = run(command.args(["packed/", "model", "part.tif"]).current_dir(&links), 0);
    assert!(new.join("images/part.tif").is_file() && new.join("lib/libnvrtc.so.13").is_file());
    let needs = fs::read_to_string(new.join("needs")).unwrap();
    let (architecture, glibc) = needs.trim_end().split_once(' ').unwrap();
    assert_eq!(architecture, std::env::consts::ARCH);
    assert!(glibc.starts_with("2."), "{glibc}");
    let filters = [(r"(?m)^packed: \S+", "packed: SIZE"), (architecture, "ARCHITECTURE"), (glibc, "GLIBC")];
    insta::with_settings!({filters => filters}, {
        insta::assert_snapshot!("packed", transcript(&output, &links));
    });
    assert_eq!(fs::read_dir(&links).unwrap().count(), 3, "no temporary folder is left");
    drop(checkout);
    let here = tempfile::tempdir().unwrap();
    fs::rename(&new, here.path().join("moved")).unwrap();
    drop(device);
    let mut command = Command::new(here.path().join("moved/gpu-check"));
    command.env_remove("CELLGATE_TENSORRT").env("CELLGATE_CUDA", here.path().join("nowhere.so"));
    let output = run(&mut command, 1);
    let text = String::from_utf8(output.stdout).unwrap();
    for row in ["\nOK       model  ", "\nOK       images  ", " PyTorch "] {
        assert!(text.contains(row), "{row}: {text}");
    }
    // The program looks for TensorRT in the packed folder before it looks elsewhere. The library there is empty, so it fails.
    assert!(
        text.contains("FAILURE  TensorRT             ") && text.contains("/moved/lib/libtensorrt_rtx.so.1"),
        "{text}"
    );
}

#[test]
fn a_program_for_tensorrt_11_is_packed_without_nvrtc_if_there_is_none() {
    let (device, checkout) = (Device::with(&both_precisions()), Checkout::new());
    fs::remove_dir_all(checkout.0.path().join(".venv")).unwrap();
    let (new, dark) = (device.at("packed"), image(device.folder.path(), "dark", DARK));
    let arguments: [&Path; 3] = [&new, &device.model, &dark];
    assert!(stderr(&checkout.pack(&arguments, 1)).contains("nvidia/cu13/lib"));
    let output = run(checkout.command().args(arguments).env("CELLGATE_FEATURES", "enterprise"), 0);
    let filters = [
        (r"(?m)^packed: \S+", "packed: SIZE"),
        (std::env::consts::ARCH, "ARCHITECTURE"),
        (r"glibc 2\.\d+", "glibc GLIBC"),
    ];
    insta::with_settings!({filters => filters}, {
        insta::assert_snapshot!("packed_without_nvrtc", transcript(&output, device.folder.path()));
    });
    assert_eq!(fs::read_dir(new.join("lib")).unwrap().count(), 0);
}

/// A packed folder with scripts instead of the program and python3.
struct Packed {
    folder: tempfile::TempDir,
}

impl Packed {
    fn new(program: &str, python: &str) -> Self {
        let packed = Self { folder: tempfile::tempdir().unwrap() };
        copy_scripts(packed.folder.path());
        for (name, text) in [("cellgate-edge", program), ("python3", python)] {
            script(&packed.at(name), &format!("[ \"$1\" = --version ] && exit 0\n{text}"));
        }
        packed.needs(std::env::consts::ARCH, "2.2");
        packed
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes which processor and glibc the packed program needs.
    fn needs(&self, architecture: &str, glibc: &str) {
        fs::write(self.at("needs"), format!("{architecture} {glibc}\n")).unwrap();
    }

    /// Runs the packed `gpu-check`, which must end with this exit status.
    fn check(&self, arguments: &[&str], status: i32) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        run(Command::new(self.at("gpu-check")).args(arguments).env("PATH", path).env("LC_ALL", "C"), status)
    }
}

#[test]
fn a_failure_of_the_program_or_of_pytorch_fails_the_packed_check() {
    let mut ends = String::new();
    for (program, python, status) in [
        ("echo rows", "echo torch", 0),
        ("exit 1", "echo torch", 1),
        ("kill -SEGV $$", "echo torch", 1),
        ("kill -KILL $$", "echo torch", 1),
        ("echo rows", "echo torch; exit 3", 1),
        ("echo rows", "exit 1", 1),
        // Debian's own python3 has no torch.
        ("echo rows", "exec /usr/bin/python3 -S \"$@\"", 0),
    ] {
        let output = Packed::new(program, python).check(&[], status);
        let text = String::from_utf8(output.stdout).unwrap();
        ends += &format!("=== program: {program}, python3: {python}\nexit status: {status}\n{text}");
    }
    insta::assert_snapshot!("ends_of_the_packed_check", ends);
    let packed = Packed::new("echo \"$@\"", "echo \"$@\"");
    let text = String::from_utf8(packed.check(&["--json", "7"], 0).stdout).unwrap();
    let folder = packed.folder.path().display();
    assert!(text.starts_with(&format!("gpu-check --json --model {folder}/model --rounds 7 ")), "{text}");
    assert!(text.ends_with(&format!("torch_latency.py {folder}/model/conversion.json 7 --json\n")), "{text}");
    let misuse = packed.check(&["many"], 2);
    insta::assert_snapshot!("misuse_of_the_packed_check", transcript(&misuse, packed.folder.path()));
}

#[test]
fn a_program_that_hangs_is_stopped() {
    let packed = Packed::new("echo rows", "echo torch");
    script(&packed.at("timeout"), "echo \"$@\" | cut -d ' ' -f 1-3; exit 124");
    insta::assert_snapshot!("stopped", transcript(&packed.check(&[], 1), packed.folder.path()));
}

#[test]
fn a_torch_that_does_not_work_is_a_failure() {
    let packed = Packed::new("echo rows", "exec /usr/bin/python3 -S \"$@\"");
    let has_gpu = "class cuda:\n    is_available = lambda: True\nnn, __version__ = None, '2.11.0'";
    for (torch, error, token) in [
        ("import nowhere", "ModuleNotFoundError", "nowhere"),
        ("raise OSError('libcublas.so.13: cannot open\\nshared object file')", "OSError", "libcublas.so.13"),
        (has_gpu, "FileNotFoundError", "conversion.json"),
    ] {
        fs::write(packed.at("torch.py"), torch).unwrap();
        let _ = fs::remove_dir_all(packed.at("__pycache__"));
        let text = String::from_utf8(packed.check(&[], 1).stdout).unwrap();
        assert!(text.starts_with(&format!("rows\nFAILURE  PyTorch              {error}: ")), "{text}");
        let text = String::from_utf8(packed.check(&["--json"], 1).stdout).unwrap();
        let row: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((row["what"].as_str(), row["state"].as_str()), (Some("PyTorch"), Some("failure")), "{text}");
        let found = row["found"].as_str().unwrap();
        assert!(found.starts_with(error) && found.contains(token) && !found.contains('\n'), "{text}");
    }
}

#[test]
fn the_packed_check_reports_why_the_program_can_not_start() {
    let packed = Packed::new("echo rows", "echo torch");
    let refusal = || transcript(&packed.check(&[], 1), packed.folder.path());
    packed.needs(std::env::consts::ARCH, "2.999");
    let mut refusals = refusal();
    packed.needs("riscv64", "2.2");
    refusals += &refusal();
    packed.needs(std::env::consts::ARCH, "2.2");
    script(&packed.at("cellgate-edge"), "echo libstdc++.so.6: not there >&2; exit 127");
    refusals += &refusal();
    let filters = [(std::env::consts::ARCH, "ARCHITECTURE"), (r"found glibc [0-9.]+", "found glibc VERSION")];
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!("can_not_start", refusals) });
}
