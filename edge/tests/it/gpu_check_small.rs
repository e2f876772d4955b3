//! Tests `scripts/gpu-check pack --small` and the run of the packed folder. Small scripts stand in for the programs, NVIDIA's tools and
//! PyTorch, so the tests need no GPU and each of them can be made to fail.

mod machine;

use crate::support::run;
use cellgate_test_support::transcript;
use machine::{EDGE, Machine, NCU, NVIDIA_SMI, SANITIZER, TRAINER, scripts};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What differs between machines and runs, and its replacement.
const FILTERS: &[(&str, &str)] =
    &[(r"ok machine: .*", "ok machine: MACHINE"), (r" +\d+\.\ds  ", " SECONDS  "), (r"after \d+ s", "after SECONDS")];

/// Compares a text with a snapshot.
fn assert_snapshot(name: &str, text: &str) {
    insta::with_settings!({filters => FILTERS.iter().copied()}, { insta::assert_snapshot!(name, text) });
}

#[test]
fn a_machine_with_everything_but_tensorrt_has_a_row_for_each_check() {
    let machine = Machine::new();
    let checked = machine.check("300", 0);
    assert_eq!(checked.json["finished"], true);
    assert_snapshot("table", &checked.rows(&machine));
    let row = checked.json["rows"].as_array().unwrap().iter().find(|row| row["what"] == "conversion").unwrap();
    assert_eq!((row["step"].as_str(), &row["figures"]["kernels_us"]), (Some("gpu-check"), &Value::from(20.5)));
    assert!(
        checked.log.contains("=== memcheck: ") && checked.log.contains("ERROR SUMMARY: 0 errors"),
        "{}",
        checked.log
    );
}

#[test]
fn without_gpu_tools_and_packages_the_rows_say_what_is_missing() {
    let machine = Machine::new();
    fs::remove_dir_all(machine.at("tools")).unwrap();
    fs::remove_dir_all(machine.at("packages")).unwrap();
    let no_gpu = EDGE.replace("ok 'for CUDA 13.0'", "failure 'found no libcuda.so.1'");
    let no_gpu = no_gpu.replace("ok 'a GPU (sm90)'", "failure 'not known without a driver'");
    machine.script(
        "packed/cellgate-edge",
        &no_gpu.replace("ok 'byte-equal with the CPU: yes'", "failure 'not checked: there is no GPU'"),
    );
    let checked = machine.check("300", 1);
    assert_snapshot("table_without", &checked.rows(&machine));
    // With PyTorch, the training runs on the CPU.
    machine.write("packages/torch/version.py", "__version__ = '2.11.1'\n");
    let (state, found) = machine.check("300", 1).row("train");
    assert_eq!(state, "ok");
    assert!(found.starts_with("on the CPU, because there is no GPU: 24 "), "{found}");
}

/// Each case replaces a text in one of the scripts, and names the row that fails then and a part of its text.
#[test]
fn what_a_program_reports_as_wrong_is_a_failure() {
    for (name, script, found, replacement, what, expected) in [
        (
            "packed/cellgate-edge",
            EDGE,
            "kernels ok 'byte-equal with the CPU: yes'",
            "kernels failure no",
            "kernels",
            "no",
        ),
        (
            "packed/cellgate-edge",
            EDGE,
            "row kernels ok 'byte-equal with the CPU: yes'; exit 0",
            "kill -SEGV $$",
            "kernels",
            "status -11",
        ),
        ("packed/cellgate-trainer", TRAINER, "1.50001", "1.501", "export", "by at most 1.0e-03, tolerance 4.0e-04"),
        (
            "packed/cellgate-trainer",
            TRAINER,
            "mkdir -p",
            "echo no space >&2; exit 3; mkdir",
            "train",
            "status 3: no space",
        ),
        // The cause is not what an earlier command printed.
        ("packed/cellgate-trainer", TRAINER, "mkdir -p", "exit 3; mkdir", "train", "status 3: no output"),
        ("tools/compute-sanitizer", SANITIZER, "ERROR SUMMARY: 0", "ERROR SUMMARY: 2", "memcheck", "2 errors"),
        ("tools/compute-sanitizer", SANITIZER, "SUMMARY: 0 hazards", "SUMMARY: 10 hazards", "racecheck", "10 hazards"),
        ("tools/compute-sanitizer", SANITIZER, "\"$@\"\n", "\n", "memcheck", "the kernels were not compared"),
        ("tools/compute-sanitizer", SANITIZER, "SUMMARY", "", "racecheck", "summary: ========= RACECHECK"),
        ("tools/ncu", NCU, "\"ID\"", "Permission denied", "ncu", "without a table"),
        ("tools/ncu", NCU, "'\"0\",", "'", "ncu", "no launch of convert_tile"),
        ("tools/nvidia-smi", NVIDIA_SMI, "echo", "exit 9 #", "nvidia-smi", "no output"),
    ] {
        let machine = Machine::new();
        assert!(script.contains(found), "{name}: {found}");
        machine.script(name, &script.replace(found, replacement));
        let checked = machine.check("300", 1);
        let (state, text) = checked.row(what);
        assert!(state == "failure" && text.contains(expected), "{name}, {found}: {state} {text}");
    }
    let machine = Machine::new();
    machine.write("packed/torch_latency.py", "raise SystemExit(1)");
    assert_eq!(machine.check("300", 1).row("PyTorch").0, "failure");
}

#[test]
fn a_driver_that_fails_after_the_first_steps_is_a_failure() {
    let machine = Machine::new();
    let fails = "case \"$*\" in *--kernels*) row driver ok 580 ;; *) row driver failure 'no answer' ;; esac";
    machine.script("packed/cellgate-edge", &EDGE.replace("row driver ok 'for CUDA 13.0'", fails));
    let states = machine.check("300", 1).states();
    let of_driver: Vec<_> = states.iter().filter(|state| state.ends_with(" driver")).collect();
    assert_eq!(of_driver, ["ok driver", "failure driver"]);
}

/// The training is short, so its logits may be too sensitive for f16.
#[test]
fn a_model_that_can_not_be_exported_in_f16_is_checked_in_f32() {
    let machine = Machine::new();
    machine.write("packages/tensorrt_rtx_libs/libtensorrt_rtx.so.1", "");
    let refuses = "case \"$*\" in *,f16*) echo 'error: too far; export only `--precision f32`' >&2; exit 1 ;; esac\n";
    machine.script("packed/cellgate-trainer", &format!("{refuses}{TRAINER}"));
    let edge = EDGE.replace("failure 'TensorRT for RTX was not found'", "ok 1.6");
    let edge = edge.replace("failure 'not built: there is no TensorRT'", "ok 'in 9 s'");
    let (edge, _) = edge.rsplit_once("exit 1").unwrap();
    let f16 = r#"row 'plan built' failure 'not built: no network' ',"precision":"f16"'"#;
    machine.script("packed/cellgate-edge", &format!("{edge}{f16}\nexit 1"));
    let states = machine.check("300", 0).states();
    let is_expected = |state: &&String| state.contains("f16") || state.contains("f32") || state.contains("export");
    let found: Vec<_> = states.iter().filter(is_expected).collect();
    assert_eq!(
        found,
        ["skipped export f16", "ok export", "ok plan built f32", "skipped plan, latencies f16", "ok PyTorch f32"]
    );
    // Another error is a failure.
    machine.script("packed/cellgate-trainer", &format!("{}{TRAINER}", refuses.replace("export only", "no")));
    assert_eq!(machine.check("300", 1).row("export").0, "failure");
}

#[test]
fn without_the_right_to_read_performance_counters_ncu_is_skipped() {
    let machine = Machine::new();
    machine.script("tools/ncu", "echo '==ERROR== ERR_NVGPUCTRPERM - The user does not have permission' >&2; exit 1");
    let (state, found) = machine.check("300", 0).row("ncu");
    assert!(state == "skipped" && found.contains("(ERR_NVGPUCTRPERM)"), "{state} {found}");
}

#[test]
fn a_run_leaves_no_files_but_its_results() {
    let machine = Machine::new();
    let names = |folder: &str| {
        let entries = fs::read_dir(machine.at(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let packed = names("packed");
    machine.check("300", 0);
    assert_eq!(names("results"), ["log.txt", "results.json"]);
    assert_eq!((names("home"), names("temporary"), names("packed")), (vec![], vec![], packed));
}

#[test]
fn a_trainer_for_another_libtorch_is_not_started() {
    let machine = Machine::new();
    machine.write("packages/torch/version.py", "__version__ = '2.12.0+cu130'\n");
    let checked = machine.check("300", 0);
    for what in ["packages", "train", "pretrain"] {
        let (state, found) = checked.row(what);
        assert!(
            state == "skipped" && found.contains("2.12.0+cu130") && found.contains("2.11.0+cu130"),
            "{what}: {found}"
        );
    }
    assert_eq!(checked.row("export"), ("skipped".to_owned(), "there is no training run".to_owned()));
}

#[test]
fn programs_that_the_machine_can_not_run_are_a_failure() {
    let machine = Machine::new();
    machine.write("packed/needs", "riscv64 2.2 2.11.0\n");
    assert!(machine.check("300", 1).row("machine").1.contains("need a processor of riscv64"));
    machine.write("packed/needs", &format!("{} 2.999 2.11.0\n", std::env::consts::ARCH));
    assert!(machine.check("300", 1).row("machine").1.contains("need glibc 2.999 or newer"));
}

/// The run has 15 seconds. The training hangs, and its child keeps running without it.
#[test]
fn when_the_time_is_over_the_last_steps_are_left_out_and_the_results_are_complete() {
    let machine = Machine::new();
    let sleep = endless("271");
    machine.script("packed/cellgate-trainer", &format!("{sleep} &\nwait"));
    let checked = machine.check("15", 0);
    let states = checked.states();
    let cut = states.iter().position(|state| state == "skipped train").unwrap();
    assert!(states[..cut].contains(&"ok racecheck".to_owned()), "{states:?}");
    assert_eq!(
        states[cut + 1..],
        ["export", "gpu-check", "PyTorch", "pretrain", "ncu"].map(|step| format!("skipped {step}"))
    );
    assert!(checked.row("train").1.contains("the time for the whole run was over"), "{}", checked.row("train").1);
    assert_eq!(checked.row("ncu").1, "no time is left");
    assert!(!is_running(&sleep), "the child of the training was not stopped");
}

#[test]
fn a_run_that_is_ended_ends_its_command_and_has_the_rows_so_far() {
    let machine = Machine::new();
    let sleep = endless("272");
    machine.script("packed/cellgate-trainer", &format!("{sleep} &\nwait"));
    let mut command = Command::new("/usr/bin/python3");
    command.arg(machine.at("packed/gpu-check")).arg(machine.at("results")).envs(machine.environment());
    let mut process = command.stdout(Stdio::null()).spawn().unwrap();
    while !is_running(&sleep) {
        assert!(process.try_wait().unwrap().is_none(), "it ended before the training");
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(143));
    assert!(!is_running(&sleep));
    let text = fs::read_to_string(machine.at("results/results.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["finished"], false);
    assert_eq!(json["rows"].as_array().unwrap().last().unwrap()["what"], "racecheck");
}

/// Drives the limits of one step without the other steps.
#[test]
fn a_step_that_hangs_is_stopped_at_its_own_limit_and_the_next_one_runs() {
    let machine = Machine::new();
    let sleep = endless("273");
    let hangs = format!("trap '' TERM; echo begun; {sleep} & {sleep}");
    let script = "import sys; from pathlib import Path; from gpu_check_run import Run\n\
                  run = Run(Path(sys.argv[1]), 100)\n\
                  run.step('hangs', 1, lambda: run.command(['/bin/sh', '-c', sys.argv[2]], None))\n\
                  run.step('runs', 1, lambda: run.row('OK', 'runs', run.checked(['/bin/echo', 'well'], None).strip()))\n\
                  run.finish()\n";
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", script]).arg(machine.at("results")).arg(hangs).env("PYTHONPATH", machine.at("packed"));
    let output = run(&mut command, 0);
    assert_snapshot("hang", &transcript(&output, machine.0.path()));
    assert!(fs::read_to_string(machine.at("results/log.txt")).unwrap().contains("\nbegun\n"));
    assert!(!is_running(&sleep));
}

/// A command that outlasts the tests. No other run of the tests has the same one.
fn endless(seconds: &str) -> String {
    format!("sleep {seconds}.{}", std::process::id())
}

/// Whether a process with this command line exists.
fn is_running(command: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ").trim_end() == command
    })
}

#[test]
fn misuse_of_the_packed_check_is_explained() {
    let machine = Machine::new();
    for arguments in [&[][..], &["--json"], &["results", "many"], &["results", "1", "2"]] {
        let output = run(Command::new("/usr/bin/python3").arg(machine.at("packed/gpu-check")).args(arguments), 2);
        assert!(String::from_utf8_lossy(&output.stderr).ends_with("gpu-check RESULTS [SECONDS]\n"));
    }
}

/// A checkout with the scripts only, and scripts instead of cargo and of what it builds.
#[test]
fn a_small_folder_has_stripped_programs_a_model_and_no_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for place in ["scripts", "target/release/examples", ".venv/torch"] {
        fs::create_dir_all(at(place)).unwrap();
    }
    for name in ["gpu-check", "gpu_check_small.py", "gpu_check_host.py", "gpu_check_run.py", "torch_latency.py"] {
        fs::copy(scripts().join(name), at("scripts").join(name)).unwrap();
    }
    fs::write(at(".venv/torch/version.py"), "__version__ = '2.11.0+cu130'\n").unwrap();
    fs::write(at("program.c"), "int main(void) { return 0; }\n").unwrap();
    for name in ["cellgate-edge", "cellgate-trainer"] {
        let mut cc = Command::new("cc");
        run(cc.arg("-g").arg(at("program.c")).arg("-o").arg(at("target/release").join(name)), 0);
    }
    let machine = Machine(folder);
    machine.script("target/release/examples/stand_in_model", "mkdir \"$1\" && echo '{}' >\"$1/manifest.json\"");
    let target = machine.at("target").display().to_string();
    machine.script("bin/cargo", &format!("[ \"$1\" = build ] || echo '{{\"target_directory\":\"{target}\"}}'"));
    let pack = |folder: &Path, status| {
        let path = format!("{}:/usr/bin:/bin", machine.at("bin").display());
        let mut command = Command::new("/bin/bash");
        command.arg(machine.at("scripts/gpu-check")).args(["pack", "--small"]).arg(folder);
        run(command.env("PATH", path).env("LC_ALL", "C"), status)
    };
    let packed = machine.at("packed.tar.xz");
    let output = pack(&packed, 0);
    let filters = [(r"\d+ kB", "SIZE"), (std::env::consts::ARCH, "ARCHITECTURE"), (r"glibc 2\.\d+", "glibc GLIBC")];
    insta::with_settings!({filters => filters}, {
        insta::assert_snapshot!("packed", transcript(&output, machine.0.path()));
    });
    let mut tarfile = Command::new("/usr/bin/python3");
    run(tarfile.args(["-m", "tarfile", "-e"]).arg(&packed).arg(machine.0.path()), 0);
    let small = machine.at("small");
    let mut names: Vec<_> =
        fs::read_dir(&small).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let expected = [
        "cellgate-edge",
        "cellgate-trainer",
        "gpu-check",
        "gpu_check_host.py",
        "gpu_check_run.py",
        "model",
        "needs",
        "torch_latency.py",
    ];
    assert_eq!(names, expected);
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(size(&small.join("cellgate-edge")) < size(&machine.at("target/release/cellgate-edge")), "not stripped");
    let needs = fs::read_to_string(small.join("needs")).unwrap();
    assert!(
        needs.starts_with(&format!("{} 2.", std::env::consts::ARCH)) && needs.ends_with(" 2.11.0+cu130\n"),
        "{needs}"
    );
    assert!(fs::metadata(small.join("gpu-check")).unwrap().permissions().mode() & 0o100 != 0);
    let again = pack(&packed, 1);
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"));
}
