//! Tests `cellgate-edge gpu-check` on a machine without a GPU: the real program with real TensorRT for RTX, without a driver or
//! with a simulated one (`driver.c` of `cellgate-test-support`). Needs gcc. `pack.rs` tests the script that packs `gpu-check` for
//! another machine.

mod pack;

use super::device::Device;
use crate::support::{DARK, contents, fixture, image, lines, mean_logit, run};
use cellgate_models::model::{Contents, Expectation, Precision};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// Makes the simulated driver refuse to load kernels (200 is CUDA_ERROR_INVALID_IMAGE), which saves the time of comparing them.
const WITHOUT_KERNELS: &[&str] = &["-DFAILS=\"cuModuleLoadData\"", "-DFAILS_WITH=200"];
/// The rows of every table on every machine, in this order.
const WHATS: [&str; 32] = [
    "driver",
    "GPU",
    "NVRTC",
    "TensorRT",
    "model",
    "images",
    "envelope",
    "kernels",
    "copy rate",
    "conversion",
    "plan built f32",
    "plan loaded f32",
    "parity logit f32",
    "parity map f32",
    "map sum f32",
    "parity features f32",
    "latency read f32",
    "latency upload f32",
    "latency convert f32",
    "latency infer f32",
    "latency all f32",
    "plan built f16",
    "plan loaded f16",
    "parity logit f16",
    "parity map f16",
    "map sum f16",
    "parity features f16",
    "latency read f16",
    "latency upload f16",
    "latency convert f16",
    "latency infer f16",
    "latency all f16",
];

/// The contents of a model with networks of f32 and f16.
fn both_precisions() -> Contents {
    let mut contents = contents("mean.onnx", mean_logit(DARK));
    contents.networks.insert(Precision::F16, fixture("mean_f16.onnx"));
    let expectation =
        Expectation { logit: mean_logit(DARK), tolerance: 4e-2, map_tolerance: 4e-2, features_tolerance: 4e-2 };
    contents.golden[0].expected.insert(Precision::F16, expectation);
    contents
}

impl Device {
    /// `gpu-check` with this device's model and one image.
    fn check(&self) -> Command {
        let mut command = self.program(&["gpu-check", "--model"]);
        command.arg(&self.model).arg(image(self.folder.path(), "dark", DARK));
        command
    }
}

/// The rows that `gpu-check` printed: name, state and text of each.
struct Table(Vec<(String, String, String)>);

/// Replaces what varies between machines, runs and versions of TensorRT.
const FILTERS: &[(&str, &str)] = &[
    (r"kernel module: .*", "kernel module: MODULE"),
    (r"(?m)^(ok +NVRTC +)\S+$", "${1}VERSION"),
    (r"TensorRT for RTX \d+\.\d+\.\d+\.\d+, \S+", "TensorRT for RTX VERSION, PATH"),
    (r"[0-9a-f]{64}", "DIGEST"),
    (r"(built no plan for this machine's GPU: ).*", "${1}REASON OF TENSORRT"),
    (r"(CUDA_ERROR_[A-Z_]+: )[^;\n]*", "${1}MESSAGE"),
    (r"(FOLDER\S+) \([^)]*\)", "$1 (SEARCH)"),
    (r"\d+(\.\d+)? (us|ms|GB/s|s|%)", "N $2"),
];

impl Table {
    /// The rows that this command prints, which must be those of [`WHATS`].
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

    /// The text of the row `what`, which must have this state.
    fn found(&self, what: &str, state: &str) -> &str {
        let (_, found_state, found) = self.0.iter().find(|(found, ..)| found == what).unwrap();
        assert_eq!(found_state, state, "{what}: {found}");
        found
    }

    /// Compares the rows with a snapshot, with the paths of `device` replaced.
    fn assert_snapshot(&self, name: &str, device: &Device) {
        let rows = self.0.iter().map(|(what, state, found)| format!("{state:<8} {what:<20} {found}\n"));
        let text = rows.collect::<String>().replace(&*device.folder.path().to_string_lossy(), "FOLDER");
        insta::with_settings!({filters => FILTERS.iter().copied()}, { insta::assert_snapshot!(name, text) });
    }
}

#[test]
fn without_a_driver_the_table_equals_its_snapshot() {
    let device = Device::with(&both_precisions());
    let table = Table::of(device.check().env("CELLGATE_CUDA", device.at("nowhere.so")));
    table.assert_snapshot("without_a_driver", &device);
}

#[test]
fn without_tensorrt_the_table_equals_its_snapshot() {
    let device = Device::with(&both_precisions());
    let empty = device.at("empty");
    fs::create_dir(&empty).unwrap();
    let command = &mut device.check();
    let table = Table::of(command.env("CELLGATE_CUDA", device.at("nowhere.so")).arg("--tensorrt").arg(empty));
    table.assert_snapshot("without_tensorrt", &device);
}

/// TensorRT itself looks for the GPU and finds none, because the driver is simulated. The simulated driver does not run kernels
/// either, so all values of the conversion differ.
#[test]
fn if_no_plan_can_be_built_the_table_equals_its_snapshot() {
    let device = Device::with(&both_precisions()).with_gpu((8, 6), &[]);
    Table::of(&mut device.check()).assert_snapshot("no_plan", &device);
}

#[test]
fn with_a_gpu_that_tensorrt_does_not_list_the_table_equals_its_snapshot() {
    let device = Device::with(&both_precisions()).with_gpu((9, 0), WITHOUT_KERNELS);
    Table::of(&mut device.check()).assert_snapshot("unlisted_gpu", &device);
}

#[test]
fn after_a_lost_gpu_no_check_uses_it() {
    // 719 is CUDA_ERROR_LAUNCH_FAILED.
    let fails = ["-DFAILS=\"cuStreamSynchronize\"", "-DFAILS_WITH=719"];
    let device = Device::with(&both_precisions()).with_gpu((8, 6), &fails);
    Table::of(&mut device.check()).assert_snapshot("lost_gpu", &device);
}

#[test]
fn an_unusable_folder_of_plans_is_reported_before_a_plan_is_built() {
    let device = Device::with(&both_precisions()).with_gpu((8, 6), WITHOUT_KERNELS);
    fs::write(device.at("file"), "").unwrap();
    let table = Table::of(device.check().arg("--plans").arg(device.at("file")));
    for precision in ["f32", "f16"] {
        let built = table.found(&format!("plan built {precision}"), "failure");
        assert!(built.contains("file/plan.key") && !built.contains("TensorRT"), "{built}");
    }
}

#[test]
fn a_precision_that_the_model_lacks_is_a_failure() {
    let device = Device::new().with_gpu((8, 6), WITHOUT_KERNELS);
    Table::of(&mut device.check()).assert_snapshot("no_f16", &device);
}

#[test]
fn a_file_that_is_not_a_radiograph_is_a_failure_and_without_images_the_row_is_skipped() {
    let device = Device::with(&both_precisions());
    let nowhere = device.at("nowhere.so");
    fs::write(device.at("other.tif"), "no image").unwrap();
    let table = Table::of(device.check().env("CELLGATE_CUDA", &nowhere).arg(device.at("other.tif")));
    assert!(table.found("images", "failure").contains("other.tif"));
    let mut command = device.program(&["gpu-check", "--model"]);
    let table = Table::of(command.arg(&device.model).env("CELLGATE_CUDA", &nowhere));
    table.found("images", "skipped");
}

/// compute-sanitizer and Nsight Compute run this. The simulated driver refuses to load kernels, so their row is a failure.
#[test]
fn kernels_alone_are_checked_without_tensorrt() {
    let device = Device::new().with_gpu((9, 0), WITHOUT_KERNELS);
    let output = run(device.check().args(["--json", "--kernels"]).env("CELLGATE_TENSORRT", "/nowhere"), 1);
    let rows = lines(&output);
    let rows: Vec<_> =
        rows.iter().map(|row| [&row["what"], &row["state"]].map(|text| text.as_str().unwrap())).collect();
    let expected = [["driver", "ok"], ["GPU", "ok"], ["NVRTC", "ok"], ["images", "ok"], ["kernels", "failure"]];
    assert_eq!(rows, expected);
}

#[test]
fn the_table_fits_120_columns() {
    let device = Device::with(&both_precisions());
    let output = run(device.check().env("CELLGATE_CUDA", device.at("nowhere.so")), 1);
    let text = String::from_utf8(output.stdout).unwrap();
    let starts = ["STATE    WHAT                 FOUND", "FAILURE  driver               "];
    assert!(text.lines().zip(starts).all(|(line, start)| line.starts_with(start)), "{text}");
    for line in text.lines() {
        // A long path in a line of text of its own is not wrapped.
        assert!(line.len() <= 120 || line.trim_start().split(' ').count() == 1, "{line}");
        let starts = ["STATE ", "OK ", "SKIPPED ", "FAILURE "];
        assert!(starts.iter().any(|start| line.starts_with(start)) || line.starts_with(&" ".repeat(30)), "{line}");
    }
    assert!(text.contains("\nFAILURE  plan built f16       "), "{text}");
    assert_eq!(run(device.check().args(["--rounds", "0"]), 2).stdout, b"");
}
