//! Tests `cellgate-edge plan`: the real program with the real TensorRT for RTX, without a GPU. Needs gcc.

use super::building::{assert_ends, building, hanging_tensorrt, opening_tensorrt};
use super::device::Device;
use super::has_event;
use cellgate_models::model::Precision;
use cellgate_models::plan::{Library, probe};
use cellgate_test_support::{skipped, transcript};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

impl Device {
    /// `plan ACTION` with this device's folder of plans and key.
    fn plan(&self, action: &str) -> Command {
        let mut command = self.program(&["plan", action, "--plans"]);
        command.arg(self.at("plans")).arg("--key").arg(&self.key);
        command
    }

    /// `plan build` of this device's model for the GPUs `target`.
    fn build_for(&self, target: &str) -> Command {
        let mut command = self.plan("build");
        command.arg("--model").arg(&self.model).args(["--target", target]);
        command
    }

    /// `plan build` with a simulated TensorRT that hangs.
    fn build_without_end(&self) -> Command {
        let tensorrt = self.at("tensorrt");
        fs::create_dir(&tensorrt).unwrap();
        hanging_tensorrt(&tensorrt);
        let mut command = self.build_for("sm86");
        command.arg("--tensorrt").arg(tensorrt);
        command
    }

    /// `plan prune` of all plans but those of this device's model for the GPUs `target`.
    fn prune(&self, target: &str) -> Command {
        let mut command = self.plan("prune");
        command.arg("--model").arg(&self.model).args(["--target", target]);
        command
    }

    /// The entries of `plan list`.
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

/// The stderr of a command that is refused.
fn refused_stderr(command: &mut Command) -> String {
    let output = run(command, 2);
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

/// The transcript of a command that is refused.
fn refused_transcript(device: &Device, command: &mut Command) -> String {
    transcript(&run(command, 2), device.folder.path())
}

/// The path in the field `plan` of one JSON object that `plan` printed.
fn plan_path(entry: &serde_json::Value) -> PathBuf {
    entry["plan"].as_str().unwrap().into()
}

/// The positions of four bits in mean_f16.onnx. If one of them is flipped, TensorRT for RTX 1.7.1 crashes on the network.
const BITS: [usize; 4] = [195, 443, 869, 907];

#[test]
fn the_help_of_plan_and_gpu_check_equals_the_snapshots() {
    for command in ["gpu-check", "plan", "plan build", "plan list", "plan prune"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
        let output = program.args(command.split_whitespace()).arg("--help").output().unwrap();
        let name = format!("help {command}").replace([' ', '-'], "_");
        insta::assert_snapshot!(name, transcript(&output, "/no folder".as_ref()));
    }
}

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
    let table = transcript(&run(&mut device.plan("list"), 0), device.folder.path());
    let filters = [
        (r"\b[0-9a-f]{12}\b", "DIGEST______"),
        (r"TensorRT for RTX \d+\.\d+\.\d+\.\d+", "TensorRT for RTX VERSION"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (r"─+|═+| +", " "),
        (r" \d+\.\d TIME", " N.N TIME"),
        // The entries come in the order of their file names, and those depend on the version of TensorRT.
        (r"sm8[69]", "sm8N"),
    ];
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!("plan_list", table) });
    assert!(table.contains("sm86") && table.contains("sm89"), "{table}");

    let dry = run(device.prune("sm86").arg("--dry-run"), 0).stdout;
    assert_eq!(device.list().len(), 2);
    let pruned = run(&mut device.prune("sm86"), 0).stdout;
    assert_eq!(dry, pruned);
    let pruned = String::from_utf8(pruned).unwrap();
    assert!(pruned.lines().count() == 1 && pruned.contains("sm89") && !pruned.contains("sm86"), "{pruned}");
    let left = device.list();
    assert_eq!((left.len(), left[0]["gpu"].as_str()), (1, Some("any GPU (sm86)")));
}

#[test]
fn damaged_and_foreign_plans_are_listed_and_rebuilt() {
    let device = Device::new();
    let path = plan_path(&lines(&run(&mut device.build_for("sm86"), 0))[0]);
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    let stranger = Device::new();
    let foreign = fs::read(plan_path(&lines(&run(&mut stranger.build_for("sm86"), 0))[0])).unwrap();
    let mut details = String::new();
    for (case, bytes, state) in [
        ("truncated", whole[..whole.len() - 1].to_vec(), "damaged"),
        ("a flipped bit", flipped, "damaged"),
        ("of another device", foreign, "foreign"),
        ("not an entry", b"ftrt".to_vec(), "damaged"),
    ] {
        fs::write(&path, bytes).unwrap();
        let listed = device.list();
        assert_eq!((listed.len(), listed[0]["state"].as_str()), (1, Some(state)), "{case}");
        let detail = listed[0]["detail"].as_str().unwrap();
        assert!(listed[0]["model"].is_null());
        details += &format!("{case}:\n  {detail}\n");
        let pruned = run(device.prune("sm86").arg("--dry-run"), 0).stdout;
        assert!(String::from_utf8(pruned).unwrap().contains(detail));
        let output = run(&mut device.build_for("sm86"), 0);
        let log = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(has_event(&log, "plan_rejected") && log.contains(detail), "{log}");
        assert_eq!(lines(&output)[0]["state"], "built");
        assert_eq!(device.list()[0]["state"], "ok");
    }
    insta::assert_snapshot!("rejected_plans", details);
}

#[test]
fn an_unknown_architecture_is_refused_with_a_list_of_the_known_ones() {
    let device = Device::new();
    let unknown = refused_transcript(&device, &mut device.build_for("sm87"));
    let malformed = refused_transcript(&device, &mut device.build_for("orin"));
    insta::assert_snapshot!("unknown_architecture", format!("{unknown}\n{malformed}"));
}

#[test]
fn without_a_driver_or_a_target_the_gpu_is_not_known() {
    let device = Device::new();
    let texts = ["build", "prune"].map(|action| {
        let nowhere = device.at("nowhere.so");
        let mut command = device.plan(action);
        refused_transcript(&device, command.arg("--model").arg(&device.model).env("CELLGATE_CUDA", nowhere))
    });
    assert_eq!(texts[0], texts[1]);
    insta::assert_snapshot!("no_driver_and_no_target", texts[0]);
}

#[test]
fn without_tensorrt_nothing_is_built_or_removed() {
    let device = Device::new();
    run(&mut device.build_for("sm86"), 0);
    let empty = tempfile::tempdir().unwrap();
    for command in [&mut device.build_for("sm86"), &mut device.prune("sm89")] {
        let text = refused_stderr(command.arg("--tensorrt").arg(empty.path()));
        assert!(text.contains("libtensorrt_rtx.so") && text.contains("tensorrt-rtx-cu13-libs"), "{text}");
    }
    assert_eq!(device.list()[0]["state"], "ok");
}

#[test]
fn a_builder_without_its_parser_is_an_error() {
    let device = Device::new();
    let found = probe(Library::Builder, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(&found.path, folder.path().join(Library::Builder.file_name())).unwrap();
    let output = run(device.build_for("sm86").arg("--tensorrt").arg(folder.path()), 2);
    insta::assert_snapshot!("no_parser", transcript(&output, folder.path()));
}

#[test]
fn list_and_prune_create_nothing() {
    let device = Device::new();
    let before = fs::read_dir(device.folder.path()).unwrap().count();
    assert!(device.list().is_empty());
    run(&mut device.prune("sm86"), 0);
    assert_eq!(fs::read_dir(device.folder.path()).unwrap().count(), before);
}

#[test]
fn a_folder_among_the_plans_is_reported_and_left() {
    let device = Device::new();
    run(&mut device.build_for("sm89"), 0);
    let folder = device.at("plans/0.plan");
    fs::create_dir(&folder).unwrap();
    assert_eq!(device.list()[0]["state"], "damaged");
    for arguments in [&["--dry-run"][..], &[]] {
        let output = run(device.prune("sm86").args(arguments), 0);
        let (pruned, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(pruned.lines().count() == 1 && pruned.contains("sm89"), "{pruned}");
        assert!(has_event(&log, "plan_folder_skipped") && log.contains("0.plan"), "{log}");
    }
    assert!(folder.is_dir() && device.list().len() == 1);
}

#[test]
fn a_pipe_in_place_of_a_plan_or_the_key_does_not_block() {
    let device = Device::new();
    let path = plan_path(&lines(&run(&mut device.build_for("sm86"), 0))[0]);
    let key = device.at("plan.key");
    fs::rename(&path, path.with_extension("moved")).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(device.list()[0]["state"], "damaged");
    assert_eq!(lines(&run(&mut device.build_for("sm86"), 0))[0]["state"], "built");
    fs::rename(&key, key.with_extension("moved")).unwrap();
    assert!(Command::new("mkfifo").arg(&key).status().unwrap().success());
    let list = refused_transcript(&device, &mut device.plan("list"));
    assert_eq!(list, refused_transcript(&device, &mut device.build_for("sm86")));
    insta::assert_snapshot!("key_is_a_pipe", list);
}

#[test]
fn a_folder_of_another_user_is_logged_as_a_warning() {
    let device = Device::new();
    if std::os::unix::fs::chown(device.folder.path(), Some(12345), None).is_err() {
        skipped("only root can give a folder to another user");
        return;
    }
    let log = |command: &mut Command| String::from_utf8(run(command, 0).stderr).unwrap();
    let build = log(&mut device.build_for("sm86"));
    assert!(has_event(&build, "plan_folder_foreign") && build.contains("owner=12345 user=0"), "{build}");
    assert!(!has_event(&log(&mut device.plan("list")), "plan_folder_foreign"));
}

#[test]
fn a_signal_ends_parent_and_child_while_tensorrt_works() {
    for is_from_terminal in [true, false] {
        let device = Device::new();
        let (mut parent, child) = building(device.build_without_end().process_group(0));
        let id = Pid::from_child(&parent.0);
        // Ctrl-C in a terminal signals parent and child; a service manager signals only the parent.
        if is_from_terminal { kill_process_group(id, Signal::INT) } else { kill_process(id, Signal::TERM) }.unwrap();
        assert_eq!(parent.wait_for_exit(), Some(130));
        assert_ends(child);
        assert!(device.list().is_empty());
    }
}

#[test]
fn the_child_ends_with_a_killed_parent() {
    let device = Device::new();
    // Parent and child stay in the process group of this test. In a group of their own, the parent's death would orphan the
    // group, and Linux itself ends stopped processes of an orphaned group: the child would end even if the program did nothing to
    // end it.
    let (mut parent, child) = building(&mut device.build_without_end());
    parent.0.kill().unwrap();
    parent.0.wait().unwrap();
    assert_ends(child);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let device = Device::new();
    run(&mut device.build_for("sm86"), 0);
    let key = device.at("plan.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    for command in [&mut device.build_for("sm86"), &mut device.plan("list")] {
        let text = refused_stderr(command);
        assert!(text.contains("0644") && text.contains("0600"), "{text}");
    }
}

/// TensorRT's parser crashes on some damaged networks. Only the child crashes; the program reports an error.
#[test]
fn a_network_on_which_tensorrt_crashes_is_an_error() {
    let sound = crate::support::fixture("mean_f16.onnx");
    let mut ended = Vec::new();
    let flipped = BITS.map(|bit| {
        let mut network = sound.clone();
        network[bit / 8] ^= 1 << (bit % 8);
        network
    });
    // A graph with one empty node.
    for network in flipped.into_iter().chain([b"\x3a\x04\x0a\x02\x22\x00".to_vec()]) {
        let mut contents = crate::support::contents("mean.onnx", crate::support::mean_logit(crate::support::DARK));
        contents.networks = [(Precision::F16, network)].into();
        let expectation = contents.golden[0].expected[&Precision::F32];
        contents.golden[0].expected = [(Precision::F16, expectation)].into();
        let device = Device::with(&contents);
        let text = refused_stderr(&mut device.build_for("sm86"));
        assert!(device.list().is_empty());
        ended.push(text.contains("signal 11"));
    }
    assert!(ended.contains(&true), "TensorRT no longer crashes: choose other bits, or build in the process itself");
}

/// The driver and TensorRT are in folders that the system's loader does not know.
#[test]
fn the_child_finds_the_driver_of_its_parent_and_the_resources_of_its_builder() {
    for (resource, status) in [("1.7.1", 16 + 1 + 2), ("1.6.2", 16 + 1)] {
        let device = Device::new().with_gpu((8, 6), &[]);
        let tensorrt = device.at("tensorrt");
        fs::create_dir(&tensorrt).unwrap();
        opening_tensorrt(&tensorrt, resource);
        let mut command = device.plan("build");
        command.arg("--model").arg(&device.model).arg("--tensorrt").arg(tensorrt).env_remove("LD_LIBRARY_PATH");
        let stderr = refused_stderr(&mut command);
        assert!(stderr.contains(&format!("exit status: {status}")), "a resource of {resource}: {stderr}");
    }
}
