//! `scripts/gpu-check`: what it packs and refuses, and what the packed copy says; with programs in the place of cargo, of
//! `cellgate-edge` and of Python, so that each can fail.

use super::both;
use crate::support::{DARK, image, run, stderr};
use crate::tensorrt::device::{Device, compile};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A checkout with the scripts alone, libraries that are none of NVIDIA's, and a cargo that has built already.
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

fn script(path: &Path, text: &str) {
    sh("printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"", &[path.as_os_str(), text.as_ref()]);
}

/// Has a child write a program. Open in this process, it might be inherited by what another test starts meanwhile, and could not be
/// started as long as that has it: "Text file busy".
fn sh(commands: &str, arguments: &[&OsStr]) {
    assert!(Command::new("/bin/sh").args(["-c", commands, "sh"]).args(arguments).status().unwrap().success());
}

#[test]
fn pack_refuses_what_would_not_be_a_whole_check() {
    let (device, checkout) = (Device::with(&both()), Checkout::new());
    let (new, model) = (device.at("packed"), device.model.as_path());
    let dark = image(device.folder.path(), "dark", DARK);
    let refused = |arguments: &[&Path], status| stderr(&checkout.pack(arguments, status)).to_owned();
    assert!(refused(&[&new, model], 2).starts_with("usage: scripts/gpu-check pack FOLDER MODEL IMAGE..."));
    let said = refused(&[&new, device.folder.path(), &dark], 1);
    assert!(said.contains("found no manifest.json, expected a model of cellgate-trainer export"), "{said}");
    let said = refused(&[&new, model, &device.at("none.tif")], 1);
    assert!(said.ends_with("none.tif: no such file\n"), "{said}");
    let said = refused(&[device.folder.path(), model, &dark], 1);
    assert!(said.contains("found something there already; name a new folder"), "{said}");

    let sibling = device.at("sibling");
    fs::create_dir(&sibling).unwrap();
    symlink(&dark, sibling.join("dark.tif")).unwrap();
    let said = refused(&[&new, model, &dark, &sibling.join("dark.tif")], 1);
    assert_eq!(said, "error: found several images with the name dark.tif, expected one of each: rename them\n");

    let f32_only = Device::new();
    let said = refused(&[&new, &f32_only.model, &dark], 1);
    let expected =
        "found no network of f16, expected f32 and f16: export it with cellgate-trainer export --precision f32,f16\n";
    assert!(said.ends_with(expected), "{said}");
    assert!(!new.exists());
}

#[test]
fn what_is_packed_is_whole_without_what_links_lead_to() {
    let (device, checkout) = (Device::with(&both()), Checkout::new());
    let links = device.at("links");
    fs::create_dir(&links).unwrap();
    symlink(&device.model, links.join("model")).unwrap();
    symlink(image(device.folder.path(), "dark", DARK), links.join("part.tif")).unwrap();
    let new = links.join("packed");
    let mut command = checkout.command();
    let output = run(command.args(["packed/", "model", "part.tif"]).current_dir(&links), 0);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(new.join("images/part.tif").is_file() && new.join("lib/libnvrtc.so.13").is_file());
    let needs = fs::read_to_string(new.join("needs")).unwrap();
    let (architecture, glibc) = needs.trim_end().split_once(' ').unwrap();
    assert_eq!(architecture, std::env::consts::ARCH);
    assert!(glibc.starts_with("2."), "{glibc}");
    assert!(
        said.contains(&format!(
            "with an NVIDIA GPU, {architecture} and glibc {glibc} or newer, and run packed/gpu-check"
        )),
        "{said}"
    );
    assert_eq!(fs::read_dir(&links).unwrap().count(), 3, "nothing half-made is left");
    drop(checkout);
    let here = tempfile::tempdir().unwrap();
    fs::rename(&new, here.path().join("moved")).unwrap();
    drop(device);
    let mut command = Command::new(here.path().join("moved/gpu-check"));
    command.env_remove("CELLGATE_TENSORRT").env("CELLGATE_CUDA", here.path().join("nowhere.so"));
    let output = run(&mut command, 1);
    let text = String::from_utf8(output.stdout).unwrap();
    for row in ["model               ", "images               radiographs: 1", "PyTorch "] {
        assert!(text.contains(row), "{row}: {text}");
    }
    // The library that it brings comes first, wherever else there is one.
    assert!(
        text.contains("FAILURE  TensorRT             ") && text.contains("/moved/lib/libtensorrt_rtx.so.1"),
        "{text}"
    );
}

#[test]
fn a_program_for_tensorrt_11_is_packed_without_nvrtc_where_there_is_none() {
    let (device, checkout) = (Device::with(&both()), Checkout::new());
    fs::remove_dir_all(checkout.0.path().join(".venv")).unwrap();
    let (new, dark) = (device.at("packed"), image(device.folder.path(), "dark", DARK));
    let arguments: [&Path; 3] = [&new, &device.model, &dark];
    assert!(stderr(&checkout.pack(&arguments, 1)).contains("found no nvidia/cu13/lib in any Python's site-packages"));
    let output = run(checkout.command().args(arguments).env("CELLGATE_FEATURES", "enterprise"), 0);
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = "\nwithout NVRTC, as .venv has none: the other machine must have that of CUDA 13 (JetPack has it)\n";
    assert!(said.contains(expected), "{said}");
    assert_eq!(fs::read_dir(new.join("lib")).unwrap().count(), 0);
}

/// A packed folder with another program, and a python3 of its own.
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

    fn needs(&self, architecture: &str, glibc: &str) {
        fs::write(self.at("needs"), format!("{architecture} {glibc}\n")).unwrap();
    }

    fn check(&self, arguments: &[&str], status: i32) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        run(Command::new(self.at("gpu-check")).args(arguments).env("PATH", path).env("LC_ALL", "C"), status)
    }
}

#[test]
fn the_packed_check_is_as_good_as_its_worst_part() {
    for (program, python, status, last) in [
        ("echo rows", "echo torch", 0, "torch"),
        ("exit 1", "echo torch", 1, "torch"),
        ("kill -SEGV $$", "echo torch", 1, "torch"),
        ("echo rows", "echo torch; exit 3", 1, "torch"),
        (
            "echo rows",
            "exit 1",
            1,
            "FAILURE  PyTorch              python3 ended with status 1 before all was looked at",
        ),
        // Debian's own python3 has no torch.
        ("echo rows", "exec /usr/bin/python3 -S \"$@\"", 0, "SKIPPED  PyTorch              python3 has no torch"),
    ] {
        let output = Packed::new(program, python).check(&[], status);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().last(), Some(last), "{program}, {python}");
        let row = "FAILURE  program              ended with status 139 before all was looked at\n";
        assert_eq!(text.contains(row), program.starts_with("kill"), "{text}");
    }
    let packed = Packed::new("echo \"$@\"", "echo \"$@\"");
    let text = String::from_utf8(packed.check(&["--json", "7"], 0).stdout).unwrap();
    let folder = packed.folder.path().display();
    assert!(text.starts_with(&format!("gpu-check --json --model {folder}/model --rounds 7 ")), "{text}");
    assert!(text.ends_with(&format!("torch_latency.py {folder}/model/conversion.json 7 --json\n")), "{text}");
    assert!(
        stderr(&packed.check(&["many"], 2)).starts_with("error: found many, expected --json or a number of rounds\n")
    );
}

#[test]
fn what_hangs_is_stopped_and_said() {
    let packed = Packed::new("echo rows", "echo torch");
    script(&packed.at("timeout"), "echo \"$@\" | cut -d ' ' -f 1-3; exit 124");
    let text = String::from_utf8(packed.check(&[], 1).stdout).unwrap();
    let expected = "--foreground --kill-after=10 2h\n\
                    FAILURE  program              was stopped after 2 h: the GPU may hang\n\
                    --foreground --kill-after=10 1h\n\
                    FAILURE  PyTorch              python3 was stopped after 1 h: the GPU may hang\n";
    assert_eq!(text, expected);
    let killed = Packed::new("kill -KILL $$", "echo torch");
    let text = String::from_utf8(killed.check(&[], 1).stdout).unwrap();
    assert!(
        text.starts_with("FAILURE  program              ended with status 137 before all was looked at\n"),
        "{text}"
    );
}

#[test]
fn a_torch_that_does_not_work_is_a_failure() {
    let packed = Packed::new("echo rows", "exec /usr/bin/python3 -S \"$@\"");
    let has_gpu = "class cuda:\n    is_available = lambda: True\nnn, __version__ = None, '2.11.0'";
    for (torch, found) in [
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        (
            "raise OSError('libcublas.so.13: cannot open\\nshared object file')",
            "OSError: libcublas.so.13: cannot open shared object file",
        ),
        (has_gpu, "FileNotFoundError: [Errno 2] No such file or directory:"),
    ] {
        fs::write(packed.at("torch.py"), torch).unwrap();
        let _ = fs::remove_dir_all(packed.at("__pycache__"));
        let text = String::from_utf8(packed.check(&[], 1).stdout).unwrap();
        assert!(text.starts_with(&format!("rows\nFAILURE  PyTorch              {found}")), "{text}");
        let text = String::from_utf8(packed.check(&["--json"], 1).stdout).unwrap();
        let row: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((row["what"].as_str(), row["state"].as_str()), (Some("PyTorch"), Some("failure")), "{text}");
        assert!(row["found"].as_str().unwrap().starts_with(found), "{text}");
    }
}

#[test]
fn the_packed_check_says_why_the_program_would_not_start() {
    let packed = Packed::new("echo rows", "echo torch");
    packed.needs(std::env::consts::ARCH, "2.999");
    let said = packed.check(&[], 1);
    assert!(said.stdout.is_empty() && stderr(&said).starts_with("error: this machine: found glibc 2."), "{said:?}");
    assert!(stderr(&said).contains(", expected 2.999 or newer: pack on a machine with a glibc no newer"), "{said:?}");
    packed.needs("riscv64", "2.2");
    assert!(stderr(&packed.check(&[], 1)).contains(", expected riscv64: pack on such a machine"));
    packed.needs(std::env::consts::ARCH, "2.2");
    script(&packed.at("cellgate-edge"), "echo libstdc++.so.6: not there >&2; exit 127");
    let said = packed.check(&[], 1);
    assert!(stderr(&said).contains("not there\nerror: ") && stderr(&said).contains("does not start"), "{said:?}");
}
