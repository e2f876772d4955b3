//! `cellgate-edge plan`, the real program with real TensorRT for RTX, without a GPU. Needs gcc.

use super::building::{building, ends, hanging_tensorrt};
use super::device::Device;
use cellgate_models::model::Precision;
use cellgate_models::plan::{Library, probe};
use cellgate_test_support::skipped;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

impl Device {
    /// `plan ACTION` with this device's places.
    fn plan(&self, action: &str) -> Command {
        let mut command = self.program(&["plan", action, "--plans"]);
        command.arg(self.at("plans")).arg("--key").arg(&self.key);
        command
    }

    fn build_for(&self, target: &str) -> Command {
        let mut command = self.plan("build");
        command.arg("--model").arg(&self.model).args(["--target", target]);
        command
    }

    /// `plan build` with a TensorRT that hangs.
    fn build_without_end(&self) -> Command {
        let tensorrt = self.at("tensorrt");
        fs::create_dir(&tensorrt).unwrap();
        hanging_tensorrt(&tensorrt);
        let mut command = self.build_for("sm86");
        command.arg("--tensorrt").arg(tensorrt);
        command
    }

    fn prune(&self, target: &str) -> Command {
        let mut command = self.plan("prune");
        command.arg("--model").arg(&self.model).args(["--target", target]);
        command
    }

    fn list(&self) -> Vec<serde_json::Value> {
        lines(&run(self.plan("list").arg("--json"), 0))
    }
}

fn run(command: &mut Command, status: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn lines(output: &Output) -> Vec<serde_json::Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn refused(command: &mut Command) -> String {
    let output = run(command, 2);
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

fn file(line: &serde_json::Value) -> PathBuf {
    line["plan"].as_str().unwrap().into()
}

/// Bits of mean_sigmoid_f16.onnx which, flipped, make a network that TensorRT for RTX 1.7.1 crashes on, as found one by one.
const BITS: [usize; 4] = [195, 443, 869, 907];

#[test]
fn a_plan_is_built_kept_listed_and_pruned() {
    let device = Device::new();
    let built = lines(&run(&mut device.build_for("sm86"), 0));
    assert_eq!(built.len(), 1, "one network, one plan");
    assert_eq!((built[0]["state"].as_str(), built[0]["precision"].as_str()), (Some("built"), Some("f32")));
    assert_eq!(built[0]["gpu"], "any GPU (sm86)");
    assert!(built[0]["tensorrt"].as_str().unwrap().starts_with("TensorRT for RTX 1."), "{built:?}");
    let kept = lines(&run(&mut device.build_for("sm86"), 0));
    assert_eq!((kept[0]["state"].as_str(), &kept[0]["bytes"]), (Some("kept"), &built[0]["bytes"]));
    assert_eq!(lines(&run(device.build_for("sm86").arg("--anew"), 0))[0]["state"], "built");
    run(&mut device.build_for("sm89"), 0);
    assert_eq!(device.list().len(), 2);
    let table = String::from_utf8(run(&mut device.plan("list"), 0).stdout).unwrap();
    assert!(table.contains("any GPU (sm86)") && table.contains(" ok"), "{table}");

    let dry = run(device.prune("sm86").arg("--dry-run"), 0).stdout;
    assert_eq!(device.list().len(), 2);
    let pruned = run(&mut device.prune("sm86"), 0).stdout;
    assert_eq!(dry, pruned);
    assert!(String::from_utf8(pruned).unwrap().contains("another GPU: any GPU (sm89)"));
    let left = device.list();
    assert_eq!((left.len(), left[0]["gpu"].as_str()), (1, Some("any GPU (sm86)")));
}

#[test]
fn damaged_and_foreign_plans_are_named_listed_and_built_anew() {
    let device = Device::new();
    let path = file(&lines(&run(&mut device.build_for("sm86"), 0))[0]);
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    let stranger = Device::new();
    let foreign = fs::read(file(&lines(&run(&mut stranger.build_for("sm86"), 0))[0])).unwrap();
    for (bytes, state, expected) in [
        (whole[..whole.len() - 1].to_vec(), "damaged", "its bytes are not those that this device wrote"),
        (flipped, "damaged", "its bytes are not those that this device wrote"),
        (foreign, "foreign", "it was written with another device's key"),
        (b"ftrt".to_vec(), "damaged", "its length: found 4, expected at least 113"),
    ] {
        fs::write(&path, bytes).unwrap();
        let listed = device.list();
        assert_eq!((listed.len(), listed[0]["state"].as_str()), (1, Some(state)));
        assert!(listed[0]["detail"].as_str().unwrap().contains(expected) && listed[0]["model"].is_null());
        let pruned = run(device.prune("sm86").arg("--dry-run"), 0).stdout;
        assert!(String::from_utf8(pruned).unwrap().contains(expected));
        let output = run(&mut device.build_for("sm86"), 0);
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(said.contains(expected) && said.contains("it is built anew"), "{said}");
        assert_eq!(lines(&output)[0]["state"], "built");
        assert_eq!(device.list()[0]["state"], "ok");
    }
}

#[test]
fn an_architecture_that_there_is_not_is_named_with_those_that_there_are() {
    let text = refused(&mut Device::new().build_for("sm87"));
    assert_eq!(
        text,
        "error: TensorRT for RTX builds no plan for sm87; it builds for: sm75, sm80, sm86, sm89, sm120, sm121\n"
    );
    assert_eq!(Device::new().build_for("orin").output().unwrap().status.code(), Some(2));
}

#[test]
fn without_a_driver_the_gpu_at_hand_is_an_error() {
    let device = Device::new();
    for action in ["build", "prune"] {
        let nowhere = device.at("nowhere.so");
        let text = refused(device.plan(action).arg("--model").arg(&device.model).env("CELLGATE_CUDA", nowhere));
        assert!(text.starts_with("error: the GPU at hand is not known; --target names another: "), "{text}");
        assert!(text.contains("libcuda.so.1") && text.contains("nvidia-driver"), "{text}");
    }
}

#[test]
fn without_tensorrt_nothing_is_built_or_removed() {
    let device = Device::new();
    run(&mut device.build_for("sm86"), 0);
    let empty = tempfile::tempdir().unwrap();
    for command in [&mut device.build_for("sm86"), &mut device.prune("sm89")] {
        let text = refused(command.arg("--tensorrt").arg(empty.path()));
        assert!(text.contains("TensorRT for RTX was not found. Looked for:"), "{text}");
        assert!(text.contains("libtensorrt_rtx.so") && text.contains("tensorrt-rtx-cu13-libs"), "{text}");
    }
    assert_eq!(device.list()[0]["state"], "ok");
}

#[test]
fn a_builder_without_its_parser_is_named_so() {
    let device = Device::new();
    let found = probe(Library::Builder, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(&found.path, folder.path().join(Library::Builder.file_name())).unwrap();
    let text = refused(device.build_for("sm86").arg("--tensorrt").arg(folder.path()));
    let parser = folder.path().join(Library::Parser.file_name());
    let expected = format!(
        "error: TensorRT for RTX's ONNX parser was not found. Looked for:\n  {}, beside libtensorrt_rtx.so: the two must be of \
         one version\nInstall `pip install tensorrt-rtx-cu13-libs==1.7.1.116`",
        parser.display()
    );
    assert!(text.starts_with(&expected), "{text}");
}

#[test]
fn looking_makes_nothing() {
    let device = Device::new();
    let before = fs::read_dir(device.folder.path()).unwrap().count();
    assert!(device.list().is_empty());
    run(&mut device.prune("sm86"), 0);
    assert_eq!(fs::read_dir(device.folder.path()).unwrap().count(), before);
}

#[test]
fn a_folder_among_the_plans_is_named_and_left() {
    let device = Device::new();
    run(&mut device.build_for("sm89"), 0);
    let strange = device.at("plans/0.plan");
    fs::create_dir(&strange).unwrap();
    assert_eq!(device.list()[0]["detail"], "damaged: it is a folder; remove it by hand");
    for arguments in [&["--dry-run"][..], &[]] {
        let output = run(device.prune("sm86").args(arguments), 0);
        let (pruned, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(pruned.lines().count() == 1 && pruned.contains("another GPU: any GPU (sm89)"), "{pruned}");
        assert!(said.contains("0.plan: damaged: it is a folder; remove it by hand"), "{said}");
    }
    assert!(strange.is_dir() && device.list().len() == 1);
}

#[test]
fn a_pipe_or_link_in_the_place_of_a_plan_or_the_key_is_not_waited_for() {
    let device = Device::new();
    let path = file(&lines(&run(&mut device.build_for("sm86"), 0))[0]);
    let key = device.at("plan.key");
    fs::rename(&path, path.with_extension("moved")).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(device.list()[0]["detail"], "damaged: it is no plain file");
    assert_eq!(lines(&run(&mut device.build_for("sm86"), 0))[0]["state"], "built");
    fs::rename(&key, key.with_extension("moved")).unwrap();
    assert!(Command::new("mkfifo").arg(&key).status().unwrap().success());
    let expected = "its kind: found a link, folder, pipe or device, expected a plain file";
    assert!(refused(&mut device.plan("list")).contains(expected));
    assert!(refused(&mut device.build_for("sm86")).contains(expected));
}

#[test]
fn a_folder_of_another_users_is_warned_of() {
    let device = Device::new();
    if std::os::unix::fs::chown(device.folder.path(), Some(12345), None).is_err() {
        skipped("only root can give a folder to another user");
        return;
    }
    let said = |command: &mut Command| String::from_utf8(run(command, 0).stderr).unwrap();
    assert!(said(&mut device.build_for("sm86")).contains("belongs to user 12345, and this runs as user 0"));
    assert!(!said(&mut device.plan("list")).contains("12345"));
}

#[test]
fn a_signal_ends_parent_and_child_whatever_tensorrt_is_doing() {
    for is_from_terminal in [true, false] {
        let device = Device::new();
        let (mut parent, child) = building(device.build_without_end().process_group(0));
        let id = Pid::from_child(&parent.0);
        // Ctrl-C goes to both, a service manager's signal to the parent.
        if is_from_terminal { kill_process_group(id, Signal::INT) } else { kill_process(id, Signal::TERM) }.unwrap();
        assert_eq!(parent.end(), Some(130));
        ends(child);
        assert!(device.list().is_empty());
    }
}

#[test]
fn the_child_ends_with_a_killed_parent() {
    let device = Device::new();
    // In this test's process group: the kernel itself ends the stopped processes of one whose last parent goes.
    let (mut parent, child) = building(&mut device.build_without_end());
    parent.0.kill().unwrap();
    parent.0.wait().unwrap();
    ends(child);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let device = Device::new();
    run(&mut device.build_for("sm86"), 0);
    let key = device.at("plan.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    for command in [&mut device.build_for("sm86"), &mut device.plan("list")] {
        let text = refused(command);
        assert!(text.contains("its mode: found 0644, expected 0600"), "{text}");
    }
}

/// Found by flipping bits: TensorRT's parser crashes on some damaged networks. That is an error of the child's, no crash of ours.
#[test]
fn a_network_that_makes_tensorrt_crash_is_an_error() {
    let sound = crate::support::fixture("mean_sigmoid_f16.onnx");
    let mut ended = Vec::new();
    let flipped = BITS.map(|bit| {
        let mut network = sound.clone();
        network[bit / 8] ^= 1 << (bit % 8);
        network
    });
    // A graph of one node that has nothing.
    for network in flipped.into_iter().chain([b"\x3a\x04\x0a\x02\x22\x00".to_vec()]) {
        let mut contents =
            crate::support::contents("mean_sigmoid.onnx", crate::support::mean_sigmoid(crate::support::DARK));
        contents.networks = [(Precision::F16, network)].into();
        let expectation = contents.golden[0].expected[&Precision::F32];
        contents.golden[0].expected = [(Precision::F16, expectation)].into();
        let device = Device::with(&contents);
        let text = refused(&mut device.build_for("sm86"));
        assert!(text.contains("error: the "), "{text}");
        assert!(device.list().is_empty());
        ended.push(text.contains("the process that builds plans ended by a segmentation fault (signal 11)"));
    }
    assert!(ended.contains(&true), "TensorRT got better: choose other bits, or build in the process itself");
}
