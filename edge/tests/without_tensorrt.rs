//! What becomes of `engine = "tensorrt"` and `"auto"` where driver, TensorRT or plan are missing, other ones or damaged: the real
//! program, ONNX Runtime and TensorRT for RTX, with a CUDA driver that only pretends (`cuda_driver/driver.c`). Needs gcc.
#![cfg(not(feature = "enterprise"))]
#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

#[expect(dead_code, reason = "each test takes what it needs")]
mod support;

#[path = "support/device.rs"]
#[expect(dead_code, reason = "each test takes what it needs")]
mod device;

use cellgate_models::plan::Library;
use device::{Device, compile};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
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
        command.arg(self.at("plans")).arg("--plan-key").arg(self.at("plan.key"));
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
        command.arg(self.at("plans")).arg("--key").arg(self.at("plan.key")).arg("--bundle").arg(&self.bundle);
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

#[test]
fn doctor_says_why_and_makes_nothing() {
    let device = device();
    let config = format!(
        "[device]\nid = 1\n[model]\nbundle = \"{0}/model\"\nengine = \"ENGINE\"\nplans = \"{0}/plans\"\nplan_key = \
         \"{0}/plan.key\"\n[acquire]\nfolder = \"{0}/scans\"\nmatch = \"part-id\"\narchive = \"{0}/archive\"\n[plc]\nport = \"{0}/port\"\n\
         [journal]\npath = \"{0}/verdicts.sqlite\"\n",
        device.folder.path().display()
    );
    fs::create_dir(device.at("scans")).unwrap();
    fs::write(device.at("edge.toml"), "").unwrap();
    let before = fs::read_dir(device.folder.path()).unwrap().count();
    for (engine, fails) in [("tensorrt", true), ("auto", false)] {
        fs::write(device.at("edge.toml"), config.replace("ENGINE", engine)).unwrap();
        let mut command = device.program(&["doctor", "--json", "--config"]);
        command.arg(device.at("edge.toml"));
        let findings: serde_json::Value = serde_json::from_slice(&run(&mut command, 1).stdout).unwrap();
        let model = findings.as_array().unwrap().iter().find(|finding| finding["what"] == "model and engine").unwrap();
        let found = model["found"].as_str().unwrap();
        assert_eq!(model["state"] == "failure", fails, "{found}");
        assert!(
            found.contains("TensorRT for RTX built no plan for the GPU at hand") && !found.contains('\n'),
            "{found}"
        );
        assert_eq!(found.contains("ONNX Runtime on the CPU"), !fails);
        assert_eq!(fs::read_dir(device.folder.path()).unwrap().count(), before);
    }
}
