//! `cellgate-edge gpu-check` as far as a machine without a GPU can show it: the real program with real TensorRT for RTX, with no
//! driver or one that only pretends (`driver.c` of `cellgate-test-support`); gcc. `pack.rs` has the script that takes it to another machine.

mod pack;

use super::device::Device;
use crate::support::{DARK, contents, fixture, image, lines, mean_sigmoid, run};
use cellgate_models::model::{Contents, Expectation, Precision};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// With it the pretended driver loads no kernels (CUDA_ERROR_INVALID_IMAGE), so that nothing of them is waited for.
const WITHOUT_KERNELS: &[&str] = &["-DFAILS=\"cuModuleLoadData\"", "-DFAILS_WITH=200"];
/// What every table has, whatever the machine, in this order.
const WHATS: [&str; 23] = [
    "driver",
    "GPU",
    "NVRTC",
    "TensorRT",
    "model",
    "images",
    "kernels",
    "copy rate",
    "conversion",
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
        let mut command = self.program(&["gpu-check", "--model"]);
        command.arg(&self.model).arg(image(self.folder.path(), "dark", DARK));
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
    assert!(table.found("model", "ok").ends_with("naive to 4x6, networks of f32, f16, golden images: 1"));
    assert_eq!(table.found("images", "ok"), "radiographs: 1");
    for what in ["kernels", "copy rate", "conversion"] {
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
    assert!(kernels.starts_with("byte-equal with the CPU: no; 2160 of 2160 values differ"), "{kernels}");
    assert!(kernels.contains("4 images (3 of them made here), 5 methods"), "{kernels}");
    table.found("copy rate", "ok");
    assert!(table.found("conversion", "ok").contains(" of the copy rate; "));
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
fn a_precision_that_the_model_lacks_is_a_failure() {
    let device = Device::new().with_gpu((8, 6), WITHOUT_KERNELS);
    let table = Table::of(&mut device.check());
    let expected =
        "not built: the model has no network of f16: export it with `cellgate-trainer export --precision f32,f16`";
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
    let mut command = device.program(&["gpu-check", "--model"]);
    let table = Table::of(command.arg(&device.model).env("CELLGATE_CUDA", &nowhere));
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
