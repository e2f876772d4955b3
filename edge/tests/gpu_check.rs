//! `cellgate-edge gpu-check` and `scripts/gpu-check` as far as a machine without a GPU can show them: the real program with real
//! TensorRT for RTX, with no driver or one that only pretends (`cuda_driver/driver.c`); gcc.
#![cfg(not(feature = "enterprise"))]
#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

#[expect(dead_code, reason = "each test takes what it needs")]
mod support;

#[path = "support/device.rs"]
#[expect(dead_code, reason = "each test takes what it needs")]
mod device;

use cellgate_models::bundle::{Contents, Expectation, Precision};
use device::{Device, compile};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::{DARK, contents, fixture, image, lines, mean_sigmoid, run, stderr};

/// With it the pretended driver loads no kernels (CUDA_ERROR_INVALID_IMAGE), so that nothing of them is waited for.
const WITHOUT_KERNELS: &[&str] = &["-DFAILS=\"cuModuleLoadData\"", "-DFAILS_WITH=200"];
/// What every table has, whatever the machine, in this order.
const WHATS: [&str; 24] = [
    "driver",
    "GPU",
    "NVRTC",
    "TensorRT",
    "bundle",
    "images",
    "kernels",
    "copy rate",
    "conversion f32",
    "conversion f16",
    "plan built f32",
    "plan loaded f32",
    "parity f32",
    "latency read f32",
    "latency convert f32",
    "latency infer f32",
    "latency all f32",
    "plan built f16",
    "plan loaded f16",
    "parity f16",
    "latency read f16",
    "latency convert f16",
    "latency infer f16",
    "latency all f16",
];

/// Networks of f32 and f16.
fn both() -> Contents {
    let mut contents = contents("mean_sigmoid.onnx", mean_sigmoid(DARK));
    contents.networks.insert(Precision::F16, fixture("mean_sigmoid_f16.onnx"));
    let expectation = Expectation { score: mean_sigmoid(DARK), tolerance: 1e-2 };
    contents.golden[0].expected.insert(Precision::F16, expectation);
    contents
}

impl Device {
    /// `gpu-check` of one image. Nothing of it is as it should be without a GPU.
    fn check(&self) -> Command {
        let mut command = self.program(&["gpu-check", "--bundle"]);
        command.arg(&self.bundle).arg(image(self.folder.path(), "dark", DARK));
        command
    }
}

/// Each row's name with state and text, in their order.
struct Table(Vec<(String, String, String)>);

impl Table {
    fn of(command: &mut Command) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let row = |row: &Value| {
            let name = format!("{} {}", text(&row["what"]), text(&row["precision"]));
            (name.trim_end().to_owned(), text(&row["state"]), text(&row["found"]))
        };
        let table = Self(lines(&run(command.arg("--json"), 1)).iter().map(row).collect());
        let whats: Vec<_> = table.0.iter().map(|(what, ..)| what.as_str()).collect();
        assert_eq!(whats, WHATS);
        table
    }

    fn found(&self, what: &str, state: &str) -> &str {
        let (_, found_state, found) = self.0.iter().find(|(found, ..)| found == what).unwrap();
        assert_eq!(found_state, state, "{what}: {found}");
        found
    }
}

#[test]
fn without_a_driver_all_that_can_be_said_is_said() {
    let device = Device::with(&both());
    let table = Table::of(device.check().env("CELLGATE_CUDA", device.at("nowhere.so")));
    let driver = table.found("driver", "failure");
    assert!(driver.contains("found no libcuda.so.1") && driver.contains("; kernel module: "), "{driver}");
    assert_eq!(table.found("GPU", "failure"), "none without a driver");
    assert!(table.found("TensorRT", "ok").starts_with("TensorRT for RTX 1."));
    assert!(table.found("NVRTC", "ok").starts_with("13."));
    assert!(table.found("bundle", "ok").ends_with("naive to 4x6, networks of f32, f16, golden images: 1"));
    assert_eq!(table.found("images", "ok"), "radiographs: 1");
    for what in ["kernels", "copy rate", "conversion f32", "conversion f16"] {
        assert_eq!(table.found(what, "failure"), "not looked at: there is no GPU", "{what}");
    }
    for precision in ["f32", "f16"] {
        let plan = |row: &str| table.found(&format!("{row} {precision}"), "failure");
        assert_eq!(plan("plan built"), "not built: there is no GPU");
        assert_eq!(plan("plan loaded"), "not looked at: no plan was built");
        for stage in ["read", "convert", "infer", "all"] {
            assert_eq!(plan(&format!("latency {stage}")), plan("parity"));
        }
    }
}

#[test]
fn without_tensorrt_that_is_said_too() {
    let device = Device::with(&both());
    let empty = tempfile::tempdir().unwrap();
    let command = &mut device.check();
    let table = Table::of(command.env("CELLGATE_CUDA", device.at("nowhere.so")).arg("--tensorrt").arg(empty.path()));
    assert!(table.found("TensorRT", "failure").starts_with("TensorRT for RTX was not found. Looked for: "));
    assert_eq!(table.found("plan built f16", "failure"), "not built: there is no GPU; there is no TensorRT");
}

/// TensorRT looks at the GPU itself, and finds none where a driver only pretends one.
#[test]
fn a_plan_that_is_not_built_is_a_row_of_each_precision() {
    let device = Device::with(&both()).with_gpu((8, 6), &[]);
    let table = Table::of(&mut device.check());
    assert!(table.found("driver", "ok").starts_with("for CUDA 13.0; kernel module: "));
    assert_eq!(table.found("GPU", "ok"), "Pretended, 1 multiprocessors (sm86)");
    // A pretended driver runs no kernels.
    let kernels = table.found("kernels", "failure");
    assert!(kernels.starts_with("byte-equal with the CPU: no; 6912 of 6912 values differ"), "{kernels}");
    assert!(kernels.contains("4 images (3 of them made here), 8 methods"), "{kernels}");
    table.found("copy rate", "ok");
    assert!(table.found("conversion f16", "ok").contains(" of the copy rate; "));
    for precision in ["f32", "f16"] {
        let built = table.found(&format!("plan built {precision}"), "failure");
        assert!(built.starts_with("TensorRT for RTX built no plan for the GPU at hand: "), "{built}");
        assert!(built.contains("invalid device ordinal"), "{built}");
        assert_eq!(table.found(&format!("plan loaded {precision}"), "failure"), "not looked at: no plan was built");
    }
}

#[test]
fn tensorrt_is_asked_about_a_gpu_that_it_does_not_list() {
    let device = Device::with(&both()).with_gpu((9, 0), WITHOUT_KERNELS);
    let table = Table::of(&mut device.check());
    assert_eq!(table.found("GPU", "ok"), "Pretended, 1 multiprocessors (sm90)");
    assert!(table.found("kernels", "failure").contains("CUDA_ERROR_INVALID_IMAGE"));
    table.found("copy rate", "ok");
    for precision in ["f32", "f16"] {
        let built = table.found(&format!("plan built {precision}"), "failure");
        let expected = "TensorRT for RTX lists sm75, sm80, sm86, sm89, sm120, sm121, not sm90; asked nevertheless, it answers: \
                        TensorRT for RTX built no plan for the GPU at hand: ";
        assert!(built.starts_with(expected) && built.contains("invalid device ordinal"), "{built}");
    }
}

#[test]
fn after_a_lost_gpu_nothing_more_is_tried_on_it() {
    // CUDA_ERROR_LAUNCH_FAILED.
    let fails = ["-DFAILS=\"cuStreamSynchronize\"", "-DFAILS_WITH=719"];
    let device = Device::with(&both()).with_gpu((8, 6), &fails);
    let table = Table::of(&mut device.check());
    assert!(table.found("kernels", "failure").contains("CUDA_ERROR_LAUNCH_FAILED"));
    let after = WHATS.iter().position(|&what| what == "kernels").unwrap() + 1;
    for what in &WHATS[after..] {
        assert_eq!(table.found(what, "failure"), "not looked at: the GPU was lost before", "{what}");
    }
}

#[test]
fn a_folder_of_plans_that_cannot_be_is_said_before_any_is_built() {
    let device = Device::with(&both()).with_gpu((8, 6), WITHOUT_KERNELS);
    fs::write(device.at("file"), "").unwrap();
    let table = Table::of(device.check().arg("--plans").arg(device.at("file")));
    for precision in ["f32", "f16"] {
        let built = table.found(&format!("plan built {precision}"), "failure");
        assert!(built.contains("file/plan.key") && !built.contains("built no plan"), "{built}");
    }
}

#[test]
fn a_precision_that_the_bundle_lacks_is_a_failure() {
    let device = Device::new().with_gpu((8, 6), WITHOUT_KERNELS);
    let table = Table::of(&mut device.check());
    let expected =
        "not built: the bundle has no network of f16: export it with `cellgate-trainer export --precision f32,f16`";
    assert_eq!(table.found("plan built f16", "failure"), expected);
    assert!(table.found("plan built f32", "failure").starts_with("TensorRT for RTX built no plan"));
}

#[test]
fn what_is_no_radiograph_is_a_failure_and_without_images_that_is_said() {
    let device = Device::with(&both());
    let nowhere = device.at("nowhere.so");
    fs::write(device.at("other.tif"), "no image").unwrap();
    let table = Table::of(device.check().env("CELLGATE_CUDA", &nowhere).arg(device.at("other.tif")));
    assert!(table.found("images", "failure").contains("other.tif"));
    let mut command = device.program(&["gpu-check", "--bundle"]);
    let table = Table::of(command.arg(&device.bundle).env("CELLGATE_CUDA", &nowhere));
    assert_eq!(table.found("images", "skipped"), "none were named");
}

#[test]
fn the_table_fits_120_columns() {
    let device = Device::with(&both());
    let output = run(device.check().env("CELLGATE_CUDA", device.at("nowhere.so")), 1);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("STATE    WHAT                 FOUND\nFAILURE  driver               found no libcuda.so.1; ")
    );
    for line in text.lines() {
        // A path of its own line is not cut.
        assert!(line.len() <= 120 || line.trim_start().split(' ').count() == 1, "{line}");
        let starts = ["STATE ", "OK ", "SKIPPED ", "FAILURE "];
        assert!(starts.iter().any(|start| line.starts_with(start)) || line.starts_with(&" ".repeat(30)), "{line}");
    }
    assert!(text.contains("\nFAILURE  plan built f16       not built: there is no GPU\n"), "{text}");
    assert_eq!(run(device.check().args(["--rounds", "0"]), 2).stdout, b"");
}

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
    let (new, bundle) = (device.at("packed"), device.bundle.as_path());
    let dark = image(device.folder.path(), "dark", DARK);
    let refused = |arguments: &[&Path], status| stderr(&checkout.pack(arguments, status)).to_owned();
    assert!(refused(&[&new, bundle], 2).starts_with("usage: scripts/gpu-check pack FOLDER BUNDLE IMAGE..."));
    let said = refused(&[&new, device.folder.path(), &dark], 1);
    assert!(said.contains("found no manifest.json, expected a bundle of cellgate-trainer export"), "{said}");
    let said = refused(&[&new, bundle, &device.at("none.tif")], 1);
    assert!(said.ends_with("none.tif: no such file\n"), "{said}");
    let said = refused(&[device.folder.path(), bundle, &dark], 1);
    assert!(said.contains("found something there already; name a new folder"), "{said}");

    let sibling = device.at("sibling");
    fs::create_dir(&sibling).unwrap();
    symlink(&dark, sibling.join("dark.tif")).unwrap();
    let said = refused(&[&new, bundle, &dark, &sibling.join("dark.tif")], 1);
    assert_eq!(said, "error: found several images with the name dark.tif, expected one of each: rename them\n");

    let f32_only = Device::new();
    let said = refused(&[&new, &f32_only.bundle, &dark], 1);
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
    symlink(&device.bundle, links.join("bundle")).unwrap();
    symlink(image(device.folder.path(), "dark", DARK), links.join("part.tif")).unwrap();
    let new = links.join("packed");
    let mut command = checkout.command();
    let output = run(command.args(["packed/", "bundle", "part.tif"]).current_dir(&links), 0);
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
    let output = run(command.env("CELLGATE_CUDA", here.path().join("nowhere.so")), 1);
    let text = String::from_utf8(output.stdout).unwrap();
    for row in ["bundle               ", "images               radiographs: 1", "PyTorch "] {
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
    let arguments: [&Path; 3] = [&new, &device.bundle, &dark];
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
    assert!(text.starts_with(&format!("gpu-check --json --bundle {folder}/bundle --rounds 7 ")), "{text}");
    assert!(text.ends_with(&format!("torch_latency.py {folder}/bundle/conversion.json 7 --json\n")), "{text}");
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
