//! A machine that a packed folder was copied to, with scripts instead of the programs and tools.

use crate::support::run;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The scripts that the packed folder consists of, with their names there.
const SCRIPTS: [(&str, &str); 4] = [
    ("gpu_check_small.py", "gpu-check"),
    ("gpu_check_host.py", "gpu_check_host.py"),
    ("gpu_check_run.py", "gpu_check_run.py"),
    ("torch_latency.py", "torch_latency.py"),
];
/// A program that prints what `cellgate-edge gpu-check` prints on a machine with a GPU and without TensorRT.
/// Like the CUDA driver, it keeps compiled kernels in a cache.
pub(super) const EDGE: &str = r#"
mkdir -p "${CUDA_CACHE_PATH:-$HOME/.nv/ComputeCache}"
row() { echo "{\"what\":\"$1\",\"state\":\"$2\",\"found\":\"$3\"$4}"; }
row driver ok 'for CUDA 13.0'
row GPU ok 'a GPU (sm90)'
row NVRTC ok 13.0
case "$*" in *--kernels*) row images skipped 'none were named'; row kernels ok 'byte-equal with the CPU: yes'; exit 0 ;; esac
row TensorRT failure 'TensorRT for RTX was not found'
last=${@: -1}
row kernels ok "byte-equal with the CPU: yes; the last image: ${last##*/}"
row conversion ok 'launched as a graph' ',"figures":{"kernels_us":20.5}'
row 'plan built' failure 'not built: there is no TensorRT' ',"precision":"f32"'
exit 1"#;
/// A program that does what `cellgate-trainer` does as far as the run looks at it. The training writes two candidates for
/// golden images, and the export selects the second one, whose logit is 1.5.
pub(super) const TRAINER: &str = r#"
command=$1
case $command in synth) out=$2 ;; *) while [ "$1" != --out ]; do shift; done; out=$2 ;; esac
mkdir -p "$out"
case $command in
  pretrain) echo '{"images_per_s":812.4,"images":24320,"seconds":30.1,"waiting_share":0.25}' ;;
  synth) mkdir "$out/images"; touch "$out/images/1.tif" ;;
  train) echo '{"candidates":[{"digest":"d1","logit":-2.0},{"digest":"d2","logit":1.50001}]}' >"$out/run.json" ;;
  export)
    golden='"networks":[{"precision":"f32"}],"golden":[{"member":"golden/01.tif","expected":{"f32":{"logit":1.5,"tolerance":0.0004}}}]'
    echo "{\"members\":{\"golden/01.tif\":{\"sha256\":\"d2\"}},$golden}" >"$out/manifest.json"
    echo '{"parity":{"f32":{"largest_difference":0.00002}}}' ;;
esac"#;
pub(super) const SANITIZER: &str = r#"
tool=$2
shift 2
"$@"
case $tool in
  memcheck) echo '========= ERROR SUMMARY: 0 errors' ;;
  *) echo '========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)' ;;
esac"#;
pub(super) const NCU: &str = r#"
echo '==PROF== Connected to process 1'
echo '"ID","Kernel Name","Grid Size","Metric Name","Metric Unit","Metric Value"'
echo '"0","convert_tile_16(Parameters)","(16, 63, 1)","gpu__time_duration.sum","us","21.3"'
echo '"0","convert_tile_16(Parameters)","(16, 63, 1)","launch__registers_per_thread","register/thread","40"'"#;
pub(super) const NVIDIA_SMI: &str = "echo 'a GPU, 9.0, 580.1, 143771 MiB'";
const TORCH: &str =
    r#"print('{"what": "PyTorch", "precision": "f32", "state": "ok", "found": "p50 7.10 ms; eager, TF32 off"}')"#;

/// The folder of the scripts.
pub(super) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts")
}

/// A packed folder with scripts instead of the programs, a machine with scripts instead of NVIDIA's tools, and Python's packages.
pub(super) struct Machine(pub(super) tempfile::TempDir);

impl Machine {
    /// A machine with everything but TensorRT.
    pub(super) fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for folder in ["packed/model", "home", "temporary"] {
            fs::create_dir_all(machine.at(folder)).unwrap();
        }
        for (script, name) in SCRIPTS {
            fs::copy(scripts().join(script), machine.at("packed").join(name)).unwrap();
        }
        machine.write("packed/torch_latency.py", TORCH);
        machine.write("packed/model/manifest.json", r#"{"networks":[{"precision":"f32"}]}"#);
        machine.write("packed/needs", &format!("{} 2.2 2.11.0+cu130\n", std::env::consts::ARCH));
        machine.write("packages/torch/version.py", "__version__ = '2.11.0+cu130'\n");
        machine.write("packages/nvidia/cu13/lib/libnvrtc.so.13", "");
        machine.write("packages/onnxruntime/capi/libonnxruntime.so.1.32.0", "");
        for (name, text) in [
            ("packed/cellgate-edge", EDGE),
            ("packed/cellgate-trainer", TRAINER),
            ("tools/compute-sanitizer", SANITIZER),
            ("tools/ncu", NCU),
            ("tools/nvidia-smi", NVIDIA_SMI),
        ] {
            machine.script(name, text);
        }
        machine
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes an executable shell script in a child process: if this process wrote it, starting it could fail with "Text file busy",
    /// because a process that another test starts meanwhile could inherit the open file.
    pub(super) fn script(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut sh = Command::new("/bin/sh");
        sh.args(["-c", "printf '#!/bin/bash\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"", "sh"]).arg(path).arg(text);
        assert!(sh.status().unwrap().success());
    }

    /// Runs the packed folder in this many seconds. It must end with this exit status.
    pub(super) fn check(&self, seconds: &str, status: i32) -> Checked {
        let results = self.at("results");
        let _ = fs::remove_dir_all(&results);
        let mut command = Command::new("/usr/bin/python3");
        command.arg(self.at("packed/gpu-check")).arg(&results).arg(seconds).envs(self.environment());
        let output = run(command.env_remove("PYTHONDONTWRITEBYTECODE"), status);
        let text = fs::read_to_string(results.join("results.json")).unwrap();
        Checked {
            output,
            json: serde_json::from_str(&text).unwrap(),
            log: fs::read_to_string(results.join("log.txt")).unwrap(),
        }
    }

    pub(super) fn environment(&self) -> [(&str, String); 5] {
        let at = |name: &str| self.at(name).display().to_string();
        [
            ("PATH", format!("{}:/usr/bin:/bin", at("tools"))),
            ("PYTHONPATH", at("packages")),
            ("HOME", at("home")),
            ("TMPDIR", at("temporary")),
            ("LC_ALL", "C".to_owned()),
        ]
    }
}

/// What a run printed and wrote.
pub(super) struct Checked {
    pub(super) output: Output,
    pub(super) json: Value,
    pub(super) log: String,
}

impl Checked {
    /// State and text of the first row of this name.
    pub(super) fn row(&self, what: &str) -> (String, String) {
        let rows = self.json["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["what"] == what).unwrap_or_else(|| panic!("no row {what}: {rows:?}"));
        (row["state"].as_str().unwrap().to_owned(), row["found"].as_str().unwrap().to_owned())
    }

    /// State and name of each row.
    pub(super) fn states(&self) -> Vec<String> {
        let rows = self.json["rows"].as_array().unwrap().iter();
        rows.map(|row| format!("{} {}", row["state"].as_str().unwrap(), row["what"].as_str().unwrap())).collect()
    }

    /// The rows of results.json as text, a line each. Each of them must be in the printed table, which has 120 columns.
    pub(super) fn rows(&self, machine: &Machine) -> String {
        let table = String::from_utf8_lossy(&self.output.stdout);
        let mut text = String::new();
        for (row, state) in self.json["rows"].as_array().unwrap().iter().zip(self.states()) {
            let (found, words) = (row["found"].as_str().unwrap(), state.split_once(' ').unwrap());
            assert!(table.contains(&format!("\n{:<8} {:<20} ", words.0.to_uppercase(), words.1)), "{state}: {table}");
            text += &format!("{}: {state}: {found}\n", row["step"].as_str().unwrap());
        }
        for line in table.lines() {
            // A long path in a line of text of its own is not wrapped.
            assert!(line.len() <= 120 || line.trim_start().split(' ').count() == 1, "{line}");
        }
        text.replace(&*machine.0.path().to_string_lossy(), "FOLDER")
    }
}
