//! What becomes of `engine = "tensorrt"` and `"auto"` where driver, TensorRT or plan are missing, other ones or damaged: the real
//! program, ONNX Runtime and TensorRT for RTX, with a CUDA driver that only pretends (`cuda_driver/driver.c`). Needs gcc.
#![cfg(not(feature = "enterprise"))]
#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

#[path = "support/building.rs"]
mod building;
#[path = "support/device.rs"]
#[expect(dead_code, reason = "each test takes what it needs")]
mod device;
#[path = "support/process.rs"]
mod process;
#[expect(dead_code, reason = "each test takes what it needs")]
mod support;

use building::{Running, building, ends, hanging_tensorrt};
use cellgate_models::plan::Library;
use device::{Device, compile};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{DARK, image, lines, run, stderr};

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
        command.arg("--bundle").arg(&self.bundle).arg(self.at("dark.tif"));
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
        command.arg(self.at("plans")).arg("--key").arg(&self.key).arg("--bundle").arg(&self.bundle);
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

/// A configuration with this device's folders; nothing listens at its port.
fn configure(device: &Device, engine: &str) -> PathBuf {
    let text = format!(
        "[device]\nid = 1\n[model]\nbundle = \"{0}/model\"\nengine = \"{engine}\"\nplans = \"{0}/plans\"\nplan_key = \
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

#[test]
fn an_appliance_that_falls_back_says_so_as_a_warning() {
    let device = device();
    let log = fs::File::create(device.at("log")).unwrap();
    let mut command = device.program(&["run", "--config"]);
    command.arg(configure(&device, "auto")).env("CELLGATE_CUDA", device.at("nowhere.so")).stderr(log);
    let mut appliance = Running(command.spawn().unwrap());
    let (start, line) = (Instant::now(), |line: &&str| line.contains("judging with"));
    let line = loop {
        if let Some(line) = fs::read_to_string(device.at("log")).unwrap().lines().find(line) {
            break line.to_owned();
        }
        assert!(start.elapsed() < Duration::from_secs(60), "it says nothing");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(
        line.contains("WARN")
            && line.contains("judging with ONNX Runtime on the CPU, as TensorRT can't be used: found")
    );
    assert!(line.contains("libcuda.so.1"), "{line}");
    kill_process(Pid::from_child(&appliance.0), Signal::TERM).unwrap();
    assert_eq!(appliance.end(), Some(0));
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
