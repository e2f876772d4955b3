//! What becomes of `engine = "tensorrt"` and `"auto"` where driver, TensorRT or plan are missing, other ones or damaged: the real
//! program, ONNX Runtime and TensorRT for RTX, with a CUDA driver that only pretends (`driver.c` of `cellgate-test-support`). Needs gcc.

use super::building::{Running, building, ends, hanging_tensorrt};
use super::device::{Device, compile};
use crate::support::{DARK, contents, image, lines, mean_sigmoid, run, stderr};
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Distribution, Histogram, Method, Size};
use cellgate_models::model::{Expectation, Precision};
use cellgate_models::plan::Library;
use cellgate_models::radiograph::Radiograph;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// A device with a pretended GPU of compute capability 8.6.
fn device() -> Device {
    let device = Device::new().with_gpu((8, 6), &[]);
    image(device.folder.path(), "dark", DARK);
    device
}

impl Device {
    /// `inspect` of one image with that engine.
    fn inspect(&self, engine: &str) -> Command {
        let mut command = self.program(&["inspect", "--threads", "1", "--engine", engine, "--plans"]);
        command.arg(self.at("plans")).arg("--plan-key").arg(&self.key);
        command.arg("--model").arg(&self.model).arg(self.at("dark.tif"));
        command
    }

    /// What is said where TensorRT is asked for: it ends as misuse, without a verdict. With `auto` ONNX Runtime judges.
    fn outcome(&self, change: impl Fn(&mut Command) -> &mut Command) -> String {
        let judged = lines(&run(change(&mut self.inspect("auto")), 0));
        assert_eq!(judged[0]["verdict"], "PASS");
        let refused = run(change(&mut self.inspect("tensorrt")), 2);
        assert!(refused.stdout.is_empty());
        let said = stderr(&refused);
        println!("{said}");
        said.to_owned()
    }

    /// A kept plan for every GPU of this compute capability.
    fn build(&self) -> PathBuf {
        let mut command = self.program(&["plan", "build", "--target", "sm86", "--anew", "--plans"]);
        command.arg(self.at("plans")).arg("--key").arg(&self.key).arg("--model").arg(&self.model);
        lines(&run(&mut command, 0))[0]["plan"].as_str().unwrap().into()
    }
}

#[test]
fn without_a_driver() {
    let device = device();
    let missing = device.at("nowhere.so");
    let said = device.outcome(|command| command.env("CELLGATE_CUDA", &missing).env("LD_LIBRARY_PATH", ""));
    assert!(said.contains("found no libcuda.so.1") && said.contains("install the NVIDIA driver"), "{said}");
    assert!(!device.at("plan.key").exists(), "nothing is made for nothing");
}

#[test]
fn without_tensorrt() {
    let device = device();
    let empty = tempfile::tempdir().unwrap();
    let said = device.outcome(|command| command.arg("--tensorrt").arg(empty.path()));
    assert!(said.contains("TensorRT for RTX was not found. Looked for:"), "{said}");
    assert!(said.contains("Install `pip install tensorrt-rtx-cu13-libs==1.7.1.116`"), "{said}");
    assert!(!device.at("plan.key").exists());
}

#[test]
fn with_a_tensorrt_of_another_version() {
    let device = device();
    let other = tempfile::tempdir().unwrap();
    let source = other.path().join("other.c");
    let functions = [("Major", 1), ("Minor", 6), ("Patch", 2), ("Build", 3)]
        .map(|(name, number)| format!("int getInferLib{name}Version(void) {{ return {number}; }}\n"));
    fs::write(&source, functions.concat()).unwrap();
    compile(other.path(), Library::Builder.file_name(), &[], &source);
    let said = device.outcome(|command| command.arg("--tensorrt").arg(other.path()));
    assert!(said.contains("found TensorRT for RTX 1.6.2.3, expected 1.7 or later, before 2; install"), "{said}");
}

#[test]
fn with_a_plan_that_is_cut_altered_or_foreign() {
    let (device, stranger) = (device(), device());
    let path = device.build();
    let (whole, foreign) = (fs::read(&path).unwrap(), fs::read(stranger.build()).unwrap());
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    for (bytes, expected) in [
        (&whole[..whole.len() - 1], "damaged: its authentication code is wrong"),
        (&whole[..40], "damaged: its length: found 40, expected at least 113"),
        (&flipped, "damaged: its authentication code is wrong"),
        (&foreign, "foreign: it was written with another device's key"),
    ] {
        fs::write(&path, bytes).unwrap();
        let said = device.outcome(|command| command);
        assert!(said.contains(expected) && said.contains("not used"), "{said}");
        // The driver only pretends: a GPU would get its plan here.
        assert!(said.contains("TensorRT for RTX built no plan for the GPU at hand: "), "{said}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

/// TensorRT gets it, and finds no GPU that it could run on.
#[test]
fn with_a_plan_that_tensorrt_refuses() {
    let device = device();
    device.build();
    let said = device.outcome(|command| command);
    assert!(said.contains("TensorRT refuses the plan: "), "{said}");
    assert!(said.contains("; it is built anew") && said.contains("building the plan of f32 for Pretended"), "{said}");
    assert!(said.contains("error: nothing was judged: TensorRT for RTX built no plan for the GPU at hand: "), "{said}");
}

/// Where no plan can be kept, that keeps none from being built; nor does what can't be read in a plan's place.
#[test]
fn with_a_folder_of_plans_that_cannot_be_written() {
    let device = device();
    fs::write(device.at("plans"), "a file in the folder's place").unwrap();
    let said = device.outcome(|command| command);
    let folder = device.at("plans").display().to_string();
    assert!(said.contains(&folder) && said.contains("a plan that is built is used and not kept"), "{said}");
    assert!(said.contains("unreadable: Not a directory (os error 20); not used"), "{said}");
    assert!(said.contains("building the plan of f32 for Pretended"), "{said}");
}

#[test]
fn with_a_key_that_cannot_be_made() {
    let mut device = device();
    device.key = device.at("nowhere/plan.key");
    let said = device.outcome(|command| command);
    let expected = format!("{}: No such file or directory", device.key.display());
    assert!(said.contains(&expected) && said.contains("a plan that is built is used and not kept"), "{said}");
    assert!(said.contains("building the plan of f32 for Pretended"), "{said}");
}

/// A device without a GPU and without a driver, whose model converts by `method`.
fn device_with(method: Method) -> Device {
    let mut contents = contents("mean_sigmoid.onnx", 0.0);
    contents.conversion = ConversionSpec::new(method)
        .with_bounds(Bounds::new(1700, 2800).unwrap())
        .with_distribution(Distribution::of(&Histogram::of(&[1700, 2000, 2800])).unwrap())
        .with_size(Size { height: 4, width: 6 });
    // A flat radiograph stays flat.
    let dark = Radiograph::new(12, 8, vec![DARK; 96]).unwrap();
    let level = Converter::new(&contents.conversion).unwrap().to_levels8(&dark).unwrap().levels[0];
    let score = mean_sigmoid(u16::from(level) * 256);
    contents.golden[0].expected.insert(Precision::F32, Expectation { score, tolerance: 1e-4 });
    let device = Device::with(&contents);
    image(device.folder.path(), "dark", DARK);
    device
}

/// The reason is the model's, so it is said before the machine is looked at: here it has neither driver nor GPU.
#[test]
fn with_a_conversion_that_has_no_kernels() {
    for method in [Method::Equalize, Method::Clahe, Method::Dhe] {
        let device = device_with(method);
        let reason = format!("the conversion {method} has no CUDA kernels, so this model runs on the CPU only");
        let refused = run(&mut device.inspect("tensorrt"), 2);
        assert!(refused.stdout.is_empty() && stderr(&refused).contains(&reason), "{}", stderr(&refused));
        let judged = device.inspect("auto").output().unwrap();
        assert_eq!(lines(&judged)[0]["reason"].as_str().unwrap().split('_').next(), Some("SCORE"), "{judged:?}");
        for (engine, state, start) in [
            ("tensorrt", "failure", reason.as_str()),
            ("auto", "warning", "ONNX Runtime on the CPU, as TensorRT can't be used: the conversion"),
        ] {
            let mut command = device.program(&["doctor", "--json", "--config"]);
            command.arg(configure(&device, engine)).env("CELLGATE_CUDA", device.at("nowhere.so"));
            let findings: serde_json::Value = serde_json::from_slice(&run(&mut command, 1).stdout).unwrap();
            let mut findings = findings.as_array().unwrap().iter();
            let finding = findings.find(|finding| finding["what"] == "model and engine").unwrap();
            let found = finding["found"].as_str().unwrap();
            assert_eq!(finding["state"], state, "{found}");
            assert!(found.contains(start) && found.contains(&reason), "{found}");
        }
        assert!(!device.at("plans").exists() && !device.at("plan.key").exists(), "nothing is built for nothing");
    }
}

#[test]
fn an_appliance_whose_conversion_has_no_kernels_says_so_in_its_log() {
    let device = device_with(Method::Clahe);
    let line = fallback(&device, "nowhere.so");
    assert!(line.contains("as TensorRT can't be used: the conversion clahe has no CUDA kernels"), "{line}");
}

/// A configuration with this device's folders; nothing listens at its port.
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
        assert_eq!(appliance.end(), Some(0));
        ends(child);
    }
}

/// What the appliance with engine `auto` logs as a warning when it judges on the CPU; the driver is that file.
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
        assert!(start.elapsed() < Duration::from_secs(60), "it says nothing");
        std::thread::sleep(Duration::from_millis(10));
    };
    kill_process(Pid::from_child(&appliance.0), Signal::TERM).unwrap();
    assert_eq!(appliance.end(), Some(0));
    assert!(line.contains(" WARN ") && line.contains("engine=\"ONNX Runtime on the CPU\""), "{line}");
    line
}

#[test]
fn an_appliance_that_falls_back_says_so_as_a_warning() {
    let line = fallback(&device(), "nowhere.so");
    assert!(line.contains("as TensorRT can't be used: found no libcuda.so.1"), "{line}");
}

#[test]
fn doctor_says_why_and_makes_nothing() {
    let device = device();
    configure(&device, "tensorrt");
    let before = fs::read_dir(device.folder.path()).unwrap().count();
    for (engine, fails) in [("tensorrt", true), ("auto", false)] {
        let mut command = device.program(&["doctor", "--json", "--config"]);
        command.arg(configure(&device, engine));
        let findings: serde_json::Value = serde_json::from_slice(&run(&mut command, 1).stdout).unwrap();
        let of = |what: &str| {
            let finding = findings.as_array().unwrap().iter().find(|finding| finding["what"] == what).unwrap();
            (finding["state"].as_str().unwrap(), finding["found"].as_str().unwrap())
        };
        assert_eq!(of("GPU"), ("ok", "Pretended, 1 multiprocessors (sm86), driver for CUDA 13.0"));
        assert!(of("TensorRT").0 == "ok" && of("TensorRT").1.starts_with("TensorRT for RTX 1."), "{findings}");
        let (state, found) = of("model and engine");
        assert_eq!(state, if fails { "failure" } else { "warning" }, "{found}");
        assert!(
            found.contains("TensorRT for RTX built no plan for the GPU at hand") && !found.contains('\n'),
            "{found}"
        );
        assert_eq!(found.contains("ONNX Runtime on the CPU"), !fails);
        assert_eq!(fs::read_dir(device.folder.path()).unwrap().count(), before);
    }
}
