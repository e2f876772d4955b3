//! Tests the real program with ONNX Runtime, TensorRT for RTX and a simulated CUDA driver (`driver.c` of
//! `cellgate-test-support`), when driver, TensorRT, key or plan are missing or wrong. Needs gcc. The table says what happens with
//! each setting of `engine`.
//!
//! | missing or wrong | kept plan | `auto` | `tensorrt` |
//! |---|---|---|---|
//! | driver, TensorRT, kernels | - | ONNX Runtime judges | status 2 with the reason, no verdict |
//! | nothing (but the GPU is simulated, so TensorRT refuses the plan) | authentic | the plan is refused, then a build is tried; ONNX Runtime judges | the plan is refused, then a build is tried; status 2 |
//! | plan | truncated, altered, foreign | the plan is rejected, then a build is tried; ONNX Runtime judges | the plan is rejected, then a build is tried; status 2 |
//! | folder or key can't be written | - | a warning, then a build is tried; ONNX Runtime judges | a warning, then a build is tried; status 2 |

use super::building::{Running, assert_ends, building, hanging_tensorrt};
use super::device::{Device, compile};
use super::{has_event, last_fields};
use crate::support::{DARK, contents, image, lines, mean_logit, run, stderr};
use cellgate_edge::convert::SequenceError;
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Distribution, Histogram, Method, Size};
use cellgate_models::plan::Library;
use cellgate_models::radiograph::Radiograph;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// A device with a simulated GPU of compute capability 8.6.
fn device() -> Device {
    let device = Device::new().with_gpu((8, 6), &[]);
    image(device.folder.path(), "dark", DARK);
    device
}

impl Device {
    /// `inspect` of the image `dark.tif` with this engine.
    fn inspect(&self, engine: &str) -> Command {
        let mut command = self.program(&["inspect", "--threads", "1", "--engine", engine, "--plans"]);
        command.arg(self.at("plans")).arg("--plan-key").arg(&self.key);
        command.arg("--model").arg(&self.model).arg(self.at("dark.tif"));
        command
    }

    /// Checks that ONNX Runtime judges with `auto`, and that `tensorrt` ends with status 2 and without a verdict. Returns the
    /// stderr with `tensorrt`.
    fn outcome(&self, change: impl Fn(&mut Command) -> &mut Command) -> String {
        let judged = lines(&run(change(&mut self.inspect("auto")), 0));
        assert_eq!(judged[0]["verdict"], "PASS");
        let refused = run(change(&mut self.inspect("tensorrt")), 2);
        assert!(refused.stdout.is_empty());
        let stderr = stderr(&refused);
        println!("{stderr}");
        stderr.to_owned()
    }

    /// Builds and keeps one plan for all GPUs of compute capability 8.6.
    fn build(&self) -> PathBuf {
        let mut command = self.program(&["plan", "build", "--target", "sm86", "--anew", "--plans"]);
        command.arg(self.at("plans")).arg("--key").arg(&self.key).arg("--model").arg(&self.model);
        lines(&run(&mut command, 0))[0]["plan"].as_str().unwrap().into()
    }
}

#[test]
fn without_a_driver_onnxruntime_judges_or_the_error_names_the_driver() {
    let device = device();
    let missing = device.at("nowhere.so");
    let stderr = device.outcome(|command| command.env("CELLGATE_CUDA", &missing).env("LD_LIBRARY_PATH", ""));
    assert!(stderr.contains("libcuda.so.1") && stderr.contains("nvidia-driver-cuda"), "{stderr}");
    assert!(!has_event(&stderr, "plan_build_started"), "{stderr}");
    assert!(!device.at("plan.key").exists(), "no key is created if no plan can be built");
}

#[test]
fn without_tensorrt_onnxruntime_judges_or_the_error_names_the_library() {
    let device = device();
    let empty = tempfile::tempdir().unwrap();
    let stderr = device.outcome(|command| command.arg("--tensorrt").arg(empty.path()));
    let library = empty.path().join(Library::Builder.file_name()).display().to_string();
    assert!(stderr.contains(&library) && stderr.contains("tensorrt-rtx-cu13-libs==1.7.1.116"), "{stderr}");
    assert!(!device.at("plan.key").exists());
}

#[test]
fn a_tensorrt_of_another_version_is_refused() {
    let device = device();
    let other = tempfile::tempdir().unwrap();
    let source = other.path().join("other.c");
    let functions = [("Major", 1), ("Minor", 6), ("Patch", 2), ("Build", 3)]
        .map(|(name, number)| format!("int getInferLib{name}Version(void) {{ return {number}; }}\n"));
    fs::write(&source, functions.concat()).unwrap();
    compile(other.path(), Library::Builder.file_name(), &[], &source);
    let stderr = device.outcome(|command| command.arg("--tensorrt").arg(other.path()));
    assert!(stderr.contains("1.6.2.3") && stderr.contains("1.7"), "{stderr}");
}

#[test]
fn a_plan_that_is_truncated_altered_or_foreign_is_rejected() {
    let (device, stranger) = (device(), device());
    let path = device.build();
    let (whole, foreign) = (fs::read(&path).unwrap(), fs::read(stranger.build()).unwrap());
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    let mut reasons = String::new();
    for (case, bytes) in [
        ("without the last byte", &whole[..whole.len() - 1]),
        ("40 bytes", &whole[..40]),
        ("a flipped bit", &flipped),
        ("of another device", &foreign),
    ] {
        fs::write(&path, bytes).unwrap();
        let stderr = device.outcome(|command| command);
        for reason in last_fields(&stderr, "plan_rejected", "reason") {
            reasons += &format!("{case}:\n  {reason}\n");
        }
        no_plan_is_built(&stderr);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    insta::assert_snapshot!("rejected_plans", reasons);
}

/// Checks that a build was started and failed: TensorRT finds no real GPU.
fn no_plan_is_built(stderr: &str) {
    assert!(has_event(stderr, "plan_build_started") && stderr.contains("precision=f32 gpu=Pretended"), "{stderr}");
    assert!(!has_event(stderr, "plan_built"), "{stderr}");
}

/// TensorRT receives the plan, but finds no GPU that could run it.
#[test]
fn after_tensorrt_refuses_a_plan_a_build_is_tried() {
    let device = device();
    device.build();
    let stderr = device.outcome(|command| command);
    assert!(has_event(&stderr, "plan_refused") && !has_event(&stderr, "plan_rejected"), "{stderr}");
    no_plan_is_built(&stderr);
}

/// A build is tried even if its plan could not be kept, and even if a kept plan can't be read.
#[test]
fn a_folder_of_plans_that_cannot_be_written_is_a_warning() {
    let device = device();
    fs::write(device.at("plans"), "a file in the folder's place").unwrap();
    let stderr = device.outcome(|command| command);
    let folder = device.at("plans").display().to_string();
    assert!(has_event(&stderr, "plan_cache_not_writable") && stderr.contains(&folder), "{stderr}");
    let reasons = last_fields(&stderr, "plan_rejected", "reason");
    // One reason for the plan of this GPU, one for the plan of any GPU of its compute capability.
    assert!(reasons.len() == 2 && reasons.iter().all(|reason| reason.contains("os error 20")), "{stderr}");
    no_plan_is_built(&stderr);
}

#[test]
fn a_key_that_cannot_be_created_is_a_warning() {
    let mut device = device();
    device.key = device.at("nowhere/plan.key");
    let stderr = device.outcome(|command| command);
    let key = device.key.display().to_string();
    assert!(has_event(&stderr, "plan_cache_not_writable") && stderr.contains(&key), "{stderr}");
    no_plan_is_built(&stderr);
}

/// A device without GPU and driver, whose model converts with `method`.
fn device_with(method: Method) -> Device {
    let conversion = ConversionSpec::new(method)
        .with_bounds(Bounds::new(1700, 2800).unwrap())
        .with_distribution(Distribution::of(&Histogram::of(&[1700, 2000, 2800])).unwrap())
        .with_size(Size { height: 4, width: 6 });
    // A radiograph whose pixels all have one level is converted to pixels of one level, so one pixel gives the logit.
    let dark = Radiograph::new(12, 8, vec![DARK; 96]).unwrap();
    let level = Converter::new(&conversion).unwrap().to_levels8(&dark).unwrap().levels[0];
    let mut contents = contents("mean.onnx", mean_logit(u16::from(level) * 256));
    contents.conversion = conversion;
    let device = Device::with(&contents);
    image(device.folder.path(), "dark", DARK);
    device
}

/// There is neither driver nor GPU. But the error names the model's method, because the method is checked first.
#[test]
fn a_conversion_that_has_no_kernels_is_refused_with_its_method() {
    for method in [Method::Equalize, Method::Clahe, Method::Dhe] {
        let device = device_with(method);
        let reason = SequenceError::Method { method }.to_string();
        let refused = run(&mut device.inspect("tensorrt"), 2);
        assert!(refused.stdout.is_empty() && stderr(&refused).contains(&reason), "{}", stderr(&refused));
        let judged = device.inspect("auto").output().unwrap();
        assert_eq!(lines(&judged)[0]["reason"].as_str().unwrap().split('_').next(), Some("SCORE"), "{judged:?}");
        for (engine, state) in [("tensorrt", "failure"), ("auto", "warning")] {
            let mut command = device.program(&["doctor", "--json", "--config"]);
            command.arg(configure(&device, engine)).env("CELLGATE_CUDA", device.at("nowhere.so"));
            let findings: serde_json::Value = serde_json::from_slice(&run(&mut command, 1).stdout).unwrap();
            let mut findings = findings.as_array().unwrap().iter();
            let finding = findings.find(|finding| finding["what"] == "model and engine").unwrap();
            let found = finding["found"].as_str().unwrap();
            assert_eq!(finding["state"], state, "{found}");
            assert!(found.contains(&reason), "{found}");
            assert_eq!(found.contains("ONNX Runtime"), engine == "auto", "{found}");
        }
        assert!(!device.at("plans").exists() && !device.at("plan.key").exists(), "neither folder nor key is created");
    }
}

#[test]
fn an_appliance_whose_conversion_has_no_kernels_logs_the_method() {
    let device = device_with(Method::Clahe);
    let line = fallback(&device, "nowhere.so");
    assert!(line.contains("clahe") && !line.contains("libcuda.so.1"), "{line}");
}

/// Writes a configuration with this device's folders. There is no PLC at its port.
fn configure(device: &Device, engine: &str) -> PathBuf {
    let text = format!(
        "[device]\nid = 1\n[model]\npath = \"{0}/model\"\nengine = \"{engine}\"\nplans = \"{0}/plans\"\nplan_key = \
         \"{0}/plan.key\"\n[acquire]\nfolder = \"{0}/scans\"\nmatch = \"part-id\"\narchive = \"{0}/archive\"\nallow_weaker_sandbox = true\n[plc]\nport = \"{0}/port\"\n\
         [journal]\npath = \"{0}/verdicts.sqlite\"\n",
        device.folder.path().display()
    );
    let path = device.at("edge.toml");
    fs::create_dir_all(device.at("scans")).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_signal_ends_the_appliance_while_a_plan_is_built() {
    for engine in ["tensorrt", "auto"] {
        let device = device();
        let tensorrt = device.at("tensorrt");
        fs::create_dir(&tensorrt).unwrap();
        hanging_tensorrt(&tensorrt);
        let config = configure(&device, engine);
        let text = fs::read_to_string(&config).unwrap();
        let named = format!("tensorrt = {tensorrt:?}\n[acquire]");
        fs::write(&config, text.replace("[acquire]", &named)).unwrap();
        let mut command = device.program(&["run", "--config"]);
        command.arg(config);
        let (mut appliance, child) = building(&mut command);
        kill_process(Pid::from_child(&appliance.0), Signal::TERM).unwrap();
        assert_eq!(appliance.wait_for_exit(), Some(0));
        assert_ends(child);
    }
}

/// Runs the appliance with engine `auto` and `driver` as CUDA's driver. Returns its warning that ONNX Runtime judges on the CPU.
fn fallback(device: &Device, driver: &str) -> String {
    let log = fs::File::create(device.at("log")).unwrap();
    let mut command = device.program(&["run", "--config"]);
    command.arg(configure(device, "auto")).env("CELLGATE_CUDA", device.at(driver)).stderr(log);
    let mut appliance = Running(command.spawn().unwrap());
    let (start, line) = (Instant::now(), |line: &&str| line.contains("event=\"engine_fallback\""));
    let line = loop {
        if let Some(line) = fs::read_to_string(device.at("log")).unwrap().lines().find(line) {
            break line.to_owned();
        }
        assert!(start.elapsed() < Duration::from_secs(60), "the appliance logs no fallback");
        std::thread::sleep(Duration::from_millis(10));
    };
    kill_process(Pid::from_child(&appliance.0), Signal::TERM).unwrap();
    assert_eq!(appliance.wait_for_exit(), Some(0));
    assert!(line.contains(" WARN ") && line.contains("engine=\"ONNX Runtime on the CPU\""), "{line}");
    line
}

#[test]
fn an_appliance_without_a_driver_logs_a_fallback() {
    let line = fallback(&device(), "nowhere.so");
    assert!(line.contains("libcuda.so.1"), "{line}");
}

/// The findings of `doctor` with this engine. There is no PLC at the port, so the status is 1.
fn doctor(device: &Device, engine: &str) -> serde_json::Value {
    let mut command = device.program(&["doctor", "--json", "--config"]);
    command.arg(configure(device, engine));
    serde_json::from_slice(&run(&mut command, 1).stdout).unwrap()
}

/// State and text of the finding `what`.
fn finding<'f>(findings: &'f serde_json::Value, what: &str) -> (&'f str, &'f str) {
    let finding = findings.as_array().unwrap().iter().find(|finding| finding["what"] == what).unwrap();
    (finding["state"].as_str().unwrap(), finding["found"].as_str().unwrap())
}

#[test]
fn doctor_reports_the_reason_and_creates_nothing() {
    let device = device();
    configure(&device, "tensorrt");
    let before = fs::read_dir(device.folder.path()).unwrap().count();
    for (engine, fails) in [("tensorrt", true), ("auto", false)] {
        let findings = doctor(&device, engine);
        let of = |what: &str| finding(&findings, what);
        assert_eq!(of("GPU"), ("ok", "Pretended, 1 multiprocessors (sm86), driver for CUDA 13.0"));
        assert!(of("TensorRT").0 == "ok" && of("TensorRT").1.starts_with("TensorRT for RTX 1."), "{findings}");
        let (state, found) = of("model and engine");
        assert_eq!(state, if fails { "failure" } else { "warning" }, "{found}");
        assert!(found.contains("TensorRT for RTX") && !found.contains('\n'), "{found}");
        assert_eq!(found.contains("ONNX Runtime"), !fails);
        assert_eq!(fs::read_dir(device.folder.path()).unwrap().count(), before);
    }
}

#[test]
fn doctor_reports_a_gpu_that_tensorrt_does_not_list() {
    let device = Device::new().with_gpu((9, 0), &[]);
    let findings = doctor(&device, "tensorrt");
    let (state, found) = finding(&findings, "GPU");
    assert!(
        state == "failure" && found.contains("sm90") && found.contains("sm89") && found.contains("feature enterprise"),
        "{found}"
    );
    assert_eq!(finding(&doctor(&device, "auto"), "GPU").0, "warning");
}
