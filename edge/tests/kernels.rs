//! The CUDA kernels compiled for every kind of device that is served, without one: NVRTC to PTX, and the assembler of
//! CUDA to machine code, where it is there.
//!
//! NVRTC comes with `.venv` (`scripts/setup`). The assembler `ptxas` is looked for there too; CELLGATE_PTXAS names another.

use cellgate_edge::convert::cuda::{CudaConverter, CudaError, CudaOptions, NVRTC_ENV, compare, nvrtc_version, ptx};
use cellgate_edge::convert::{Kernel, OutputType, Plan};
use cellgate_models::conversion::{Bounds, ConversionSpec, Distribution, Histogram, Method, Size};
use cellgate_models::radiograph::Radiograph;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Turing (T4), Orin, Hopper, Blackwell.
const CAPABILITIES: [(u32, u32); 4] = [(7, 5), (8, 7), (9, 0), (12, 0)];

fn spec(method: Method) -> ConversionSpec {
    ConversionSpec::new(method)
        .with_bounds(Bounds::new(1700, 2800).expect("bounds in order"))
        .with_distribution(Distribution::of(&Histogram::of(&[1700, 2000, 2800])).expect("levels"))
        .with_size(Size { height: 70, width: 50 })
}

/// NVRTC from `.venv`, wherever the tests were built; CELLGATE_NVRTC goes before it.
fn options() -> CudaOptions {
    let named = std::env::var_os(NVRTC_ENV).is_some();
    CudaOptions { nvrtc: (!named).then(|| in_wheels("lib/libnvrtc.so.13")).flatten(), ..CudaOptions::default() }
}

/// A file of CUDA 13's wheels in `.venv`.
fn in_wheels(name: &str) -> Option<PathBuf> {
    let libraries = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/lib");
    let pythons = libraries.read_dir().ok()?.flatten();
    pythons.map(|python| python.path().join("site-packages/nvidia/cu13").join(name)).find(|path| path.is_file())
}

#[test]
fn all_kernels_compile_for_all_capabilities_without_register_spills() {
    println!("NVRTC {:?}", nvrtc_version(&options()).unwrap());
    let ptxas = std::env::var_os("CELLGATE_PTXAS").map(PathBuf::from).or_else(|| in_wheels("bin/ptxas"));
    if ptxas.is_none() {
        eprintln!("SKIPPED: no ptxas in .venv; CELLGATE_PTXAS names one; register spills were not looked for");
    }
    for (major, minor) in CAPABILITIES {
        let ptx = ptx(&Kernel::ALL, (major, minor), &options()).unwrap();
        println!("sm_{major}{minor}: {} bytes of PTX", ptx.len());
        assert!(ptx.contains(&format!(".target sm_{major}{minor}")));
        for kernel in Kernel::ALL {
            assert!(ptx.contains(&format!(".entry {}(", kernel.name())), "{kernel:?}");
        }
        if let Some(ptxas) = &ptxas {
            assemble(ptxas, &ptx, &format!("sm_{major}{minor}"));
        }
    }
}

/// Assembles all kernels; none may spill.
fn assemble(ptxas: &Path, ptx: &str, architecture: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("kernels.ptx");
    std::fs::write(&source, ptx).expect("a file written");
    let output = Command::new(ptxas)
        .args(["-v", &format!("-arch={architecture}"), "-o", "/dev/null"])
        .arg(&source)
        .output()
        .expect("the assembler runs");
    let report = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {report}", ptxas.display());
    let entries = entries(&report);
    assert_eq!(entries.len(), Kernel::ALL.len(), "{report}");
    for (name, properties) in entries {
        println!("{architecture} {name}:{properties}");
        assert!(properties.contains(" 0 bytes spill stores, 0 bytes spill loads"), "{name}: {properties}");
    }
}

/// The kernels of the assembler's report, each with all that is said of it.
fn entries(report: &str) -> Vec<(String, String)> {
    report
        .split("Compiling entry function '")
        .skip(1)
        .filter_map(|part| {
            let (name, rest) = part.split_once('\'')?;
            let lines =
                rest.lines().skip(1).filter(|line| line.contains("bytes stack frame") || line.contains("Used "));
            let said = lines.map(|line| format!(" {}", line.trim().trim_start_matches("ptxas info    : ")));
            Some((name.to_owned(), said.collect()))
        })
        .collect()
}

#[test]
fn the_kernels_of_each_method_compile_by_themselves() {
    for method in Method::ALL {
        let kernels = Plan::kernels(&spec(method), OutputType::F16);
        let start = Instant::now();
        let ptx = ptx(&kernels, (8, 7), &options()).unwrap();
        println!("{method}: {} kernels in {:.2?}", kernels.len(), start.elapsed());
        assert!(ptx.matches(".entry ").count() >= kernels.len());
    }
}

#[test]
fn what_the_compiler_refuses_is_an_error_with_its_words() {
    let error = ptx(&[Kernel::Histogram], (1, 0), &options()).unwrap_err();
    assert!(matches!(error, CudaError::Compile { capability: (1, 0), .. }), "{error}");
    assert!(error.to_string().contains("compute capability 1.0") && error.to_string().contains("gpu-architecture"));
}

#[test]
fn libraries_that_are_named_and_missing_are_errors() {
    let nowhere = |name: &str| Some(PathBuf::from("/nowhere").join(name));
    let options = CudaOptions { nvrtc: nowhere("libnvrtc.so.13"), ..CudaOptions::default() };
    let text = ptx(&Kernel::ALL, (8, 7), &options).unwrap_err().to_string();
    assert!(text.contains("/nowhere/libnvrtc.so.13") && text.contains("nvidia-cuda-nvrtc"), "{text}");
    let options = CudaOptions { cuda: nowhere("libcuda.so.1"), ..CudaOptions::default() };
    let result = CudaConverter::new(&spec(Method::Naive), 100, OutputType::F32, &options);
    let text = result.err().unwrap().to_string();
    assert!(text.contains("/nowhere/libcuda.so.1") && text.contains("NVIDIA driver"), "{text}");
}

#[test]
fn a_wrong_specification_is_told_before_cuda_is_looked_for() {
    let wrong = ConversionSpec::new(Method::Global);
    let result = CudaConverter::new(&wrong, 100, OutputType::F32, &CudaOptions::default());
    assert!(matches!(result.err().unwrap(), CudaError::Plan(_)));
}

#[test]
fn a_gpu_if_there_is_one_equals_the_reference() {
    let levels = (0..200 * 90_u32).map(|at| (1500 + at.wrapping_mul(2_654_435_761) % 1500) as u16).collect();
    let radiograph = Radiograph::new(90, 200, levels).unwrap();
    for method in Method::ALL {
        for output_type in [OutputType::F32, OutputType::F16] {
            match compare(&spec(method), radiograph.view(), output_type, &options()) {
                Ok(comparison) => assert_eq!(comparison.different, 0, "{method}, {output_type:?}: {comparison:?}"),
                Err(error @ CudaError::LibraryMissing { .. }) => {
                    eprintln!("SKIPPED: no GPU: {error}");
                    return;
                }
                Err(error) => panic!("{method}, {output_type:?}: {error}"),
            }
        }
    }
}
