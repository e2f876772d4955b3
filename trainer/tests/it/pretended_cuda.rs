//! Runs the commands with `--device cuda` on a pretended GPU (`pretended_cuda/libtorch_cuda.cpp`): libtorch's CPU code computes,
//! but an operation on tensors of both devices is an error, as on a GPU. Opening it fails unless TF32 is forbidden and cuDNN is
//! deterministic. What a GPU itself computes, its memory and its speed are not tested.

use cellgate_models::radiograph::{self, Radiograph};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// This repository's own backbone.
const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/weights/resnet34-electrodes.safetensors");
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pretended_cuda/libtorch_cuda.cpp");

/// The folders in which the loader finds libtorch with the pretended CUDA library beside it.
fn library_path() -> &'static str {
    static PATH: OnceLock<(tempfile::TempDir, String)> = OnceLock::new();
    let (_, path) = PATH.get_or_init(|| {
        let libtorch = PathBuf::from(std::env::var_os("LIBTORCH").unwrap()).canonicalize().unwrap();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        // The trainer looks for the CUDA library beside libtorch's own file, so a symbolic link would not do.
        for name in ["libtorch_cpu.so", "libc10.so"] {
            let (original, link) = (libtorch.join("lib").join(name), folder.path().join(name));
            fs::hard_link(&original, &link).or_else(|_| fs::copy(&original, &link).map(|_| ())).unwrap();
        }
        let include = |folder: &str| format!("-I{}", libtorch.join(folder).display());
        let mut compiler = Command::new("c++");
        compiler.args(["-std=c++17", "-shared", "-fPIC", "-w", "-o"]).arg(folder.path().join("libtorch_cuda.so"));
        compiler.args([include("include"), include("include/torch/csrc/api/include"), SOURCE.to_owned()]);
        compiler.arg("-L").arg(libtorch.join("lib")).args(["-ltorch_cpu", "-lc10"]);
        assert!(compiler.status().unwrap().success());
        // libtorch_cpu.so finds NVIDIA's libraries by their place relative to itself.
        let nvidia = fs::read_dir(libtorch.join("../nvidia")).into_iter().flatten();
        let nvidia = nvidia.map(|package| package.unwrap().path().join("lib"));
        let folders = [folder.path().to_owned(), libtorch.join("lib")].into_iter().chain(nvidia);
        let path = std::env::join_paths(folders).unwrap().into_string().unwrap();
        (folder, path)
    });
    path
}

/// Runs the trainer, in `folder`.
fn trainer(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate-trainer"));
    command.args(arguments).current_dir(folder).env("LD_LIBRARY_PATH", library_path());
    command.env("CELLGATE_BACKBONE", WEIGHTS).env("CELLGATE_CACHE", folder.join("cache")).env("OMP_NUM_THREADS", "1");
    command.output().unwrap()
}

/// Runs the trainer, which must succeed.
fn succeed(folder: &Path, arguments: &str) {
    let done = trainer(folder, &arguments.split(' ').collect::<Vec<_>>());
    assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A folder with the data set `electrodes`: three bundles, each with three normal parts and a part with a bright corner.
fn with_dataset() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..12_u32 {
        let is_abnormal = index % 4 == 3;
        let label = if is_abnormal { "abnormal" } else { "normal" };
        let place = folder.path().join(format!("electrodes/{}/{label}", index / 4));
        fs::create_dir_all(&place).unwrap();
        let level = |pixel: u32| {
            let is_bright = is_abnormal && pixel / 40 < 16 && pixel % 40 < 16;
            1700 + (pixel * (7 + index) % 500) as u16 + if is_bright { 900 } else { 0 }
        };
        let radiograph = Radiograph::new(40, 48, (0..40 * 48).map(level).collect()).unwrap();
        radiograph::write(&place.join(format!("{index}.tif")), &radiograph).unwrap();
    }
    folder
}

/// The numbers of all cached features in `cache`, sorted: the files' names depend on the device.
fn cached_features(cache: &Path) -> Vec<f32> {
    let folders = fs::read_dir(cache).unwrap().flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let files = folders.map(|file| fs::read(file.unwrap().path()).unwrap());
    // The header has 76 bytes.
    let mut numbers: Vec<f32> = files
        .flat_map(|file| file[76..].as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect::<Vec<_>>())
        .collect();
    numbers.sort_unstable_by(f32::total_cmp);
    numbers
}

/// Compares the files with the parts' scores of two training runs field by field. The rows are in the order of the parts.
fn assert_scores_agree(cpu: &Path, cuda: &Path) {
    let fields = |run: &Path| {
        let text = fs::read_to_string(run.join("scores.csv")).unwrap();
        text.lines().flat_map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let (cpu_fields, cuda_fields) = (fields(cpu), fields(cuda));
    assert_eq!(cpu_fields.len(), cuda_fields.len());
    for (cpu_field, cuda_field) in cpu_fields.iter().zip(&cuda_fields) {
        let close = |cpu: f64| cuda_field.parse().is_ok_and(|cuda: f64| (cpu - cuda).abs() < 1e-2 * cpu.abs().max(1.0));
        let agrees = cpu_field.parse().map_or(cpu_field == cuda_field, close);
        assert!(agrees, "{}: {cpu_field} {cuda_field}", cuda.display());
    }
}

/// On a GPU, images are computed together, and those of an 8-bit method come as levels.
#[test]
fn features_and_scores_of_a_gpu_are_those_of_the_cpu() {
    let folder = with_dataset();
    for method in ["mixed", "linear16"] {
        let of_device = |device: &str| {
            let name = format!("{method}-{device}");
            let options = format!("--method {method} --size 48x40 --device {device} --cache {name}-cache");
            succeed(folder.path(), &format!("train electrodes --out {name} {options}"));
            (cached_features(&folder.path().join(format!("{name}-cache"))), folder.path().join(name))
        };
        let ((cpu, cpu_run), (cuda, cuda_run)) = (of_device("cpu"), of_device("cuda"));
        assert_eq!((cpu.len(), cuda.len()), (12 * 4 * 1296, 12 * 4 * 1296));
        let error = cpu.iter().zip(&cuda).map(|(cpu, cuda)| (cpu - cuda).abs()).fold(0.0, f32::max);
        assert!(error < 1e-4 * cpu[cpu.len() - 1], "{method}: {error}");
        assert_scores_agree(&cpu_run, &cuda_run);
    }
}

/// On a GPU, the maps of stage 3 of several images are computed together. Each part must get its own, or the scores differ.
#[test]
fn fine_tuning_on_a_gpu_gives_the_scores_of_the_cpu() {
    let folder = with_dataset();
    for device in ["cpu", "cuda"] {
        let options = format!("--method local --size 48x40 --device {device} --recipe fine-tune --epochs 1");
        succeed(folder.path(), &format!("train electrodes --out {device} {options}"));
    }
    assert_scores_agree(&folder.path().join("cpu"), &folder.path().join("cuda"));
    succeed(folder.path(), "export cuda --out model");
}

#[test]
fn features_and_crossval_run_with_a_gpu() {
    let folder = with_dataset();
    let options = "--size 48x40 --device cuda";
    succeed(folder.path(), &format!("features electrodes --method local {options}"));
    succeed(folder.path(), &format!("crossval electrodes --out results --methods local {options}"));
}

#[test]
fn pretrain_runs_with_a_gpu_and_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    for steps in [1, 2] {
        succeed(
            folder.path(),
            &format!("pretrain --out backbone --steps {steps} --batch 2 --crop 64x64 --device cuda"),
        );
    }
    assert!(folder.path().join("backbone/resnet34-electrodes.safetensors").is_file());
}
