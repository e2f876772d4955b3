//! Compiles and assembles the CUDA kernels for each supported architecture, without a GPU.
//!
//! NVRTC does both; `scripts/setup` installs NVRTC in `.venv`.

use cellgate_edge::convert::cuda::{
    CUDA_ENV, Compiled, CudaConverter, CudaError, NVRTC_ENV, compare, compile, in_turns, nvrtc_version,
};
use cellgate_edge::convert::{Kernel, LaunchSequence, SequenceError};
use cellgate_models::conversion::{Bounds, ConversionSpec, Method, Size};
use cellgate_models::radiograph::Radiograph;
use cellgate_test_support::skipped;
use std::process::Command;
use std::time::Instant;

/// The compute capabilities of Turing (T4), Ampere (RTX 30), Orin, Ada (L4, RTX 40), Hopper (H100, H200), Thor, and Blackwell (RTX 50,
/// GB10), each with the most registers per thread. A multiprocessor has 65,536 registers: with 64 per thread 1,024 threads run on it at
/// the same time, Turing's limit; with 40 per thread 1,536, the limit of most of the others.
const CAPABILITIES: [((u32, u32), u32); 8] =
    [((7, 5), 64), ((8, 6), 40), ((8, 7), 40), ((8, 9), 40), ((9, 0), 40), ((11, 0), 40), ((12, 0), 40), ((12, 1), 40)];

fn spec(method: Method) -> ConversionSpec {
    ConversionSpec::new(method)
        .with_bounds(Bounds::new(1700, 2800).expect("bounds in order"))
        .with_size(Size { height: 70, width: 50 })
}

#[test]
fn all_kernels_compile_for_all_capabilities_without_register_spills() {
    println!("NVRTC {:?}", nvrtc_version().unwrap());
    for ((major, minor), most_registers) in CAPABILITIES {
        let Compiled { ptx, cubin, log } = compile(&Kernel::ALL, (major, minor)).unwrap();
        println!("sm_{major}{minor}: {} bytes of PTX, {} bytes of code", ptx.len(), cubin.len());
        assert!(ptx.contains(&format!(".target sm_{major}{minor}")) && cubin.starts_with(b"\x7fELF"));
        for kernel in Kernel::ALL {
            assert_eq!(threads_in(&ptx, kernel), Some(kernel.threads()), "{kernel:?}");
            let [registers, stores, loads] = assembled(&log, kernel).unwrap();
            println!("  {}: {registers} registers", kernel.name());
            assert_eq!((stores, loads), (0, 0), "{kernel:?} spills");
            assert!(registers <= most_registers, "{kernel:?}, sm_{major}{minor}: {registers} registers");
        }
    }
}

/// The threads per block that a kernel was compiled for.
fn threads_in(ptx: &str, kernel: Kernel) -> Option<u32> {
    let (_, rest) = ptx.split_once(&format!(".entry {}(", kernel.name()))?;
    rest.split_once(".maxntid ")?.1.split_once([',', '\n'])?.0.trim().parse().ok()
}

/// The number of registers, and the bytes of spill stores and of spill loads, from the assembler's report on a kernel.
fn assembled(report: &str, kernel: Kernel) -> Option<[u32; 3]> {
    let (_, rest) = report.split_once(&format!("Compiling entry function '{}'", kernel.name()))?;
    let before = |words: &str| rest.split_once(words)?.0.rsplit_once(' ')?.1.parse().ok();
    Some([before(" registers")?, before(" bytes spill stores")?, before(" bytes spill loads")?])
}

#[test]
fn the_kernels_of_each_method_compile_separately() {
    for method in LaunchSequence::METHODS {
        let kernels = LaunchSequence::kernels(&spec(method));
        let start = Instant::now();
        let compiled = compile(&kernels, (8, 7)).unwrap();
        println!("{method}: {} kernels in {:.2?}", kernels.len(), start.elapsed());
        assert!(compiled.ptx.matches(".entry ").count() >= kernels.len());
    }
}

#[test]
fn an_error_of_the_compiler_has_its_version_and_message() {
    // NVRTC does not know compute capability 1.0.
    match compile(&[Kernel::Histogram], (1, 0)).unwrap_err() {
        CudaError::Compile { capability: (1, 0), detail } => {
            assert!(detail.starts_with("NVRTC 13.") && detail.contains("--gpu-architecture"), "{detail}");
        }
        error => panic!("{error}"),
    }
}

/// Runs the scenario below in a process of its own, because it needs other environment variables.
#[test]
fn libraries_that_are_named_and_missing_are_errors() {
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kernels::scenario_nowhere", "--ignored", "--nocapture"])
        .envs([(NVRTC_ENV, "/nowhere/libnvrtc.so.13"), (CUDA_ENV, "/nowhere/libcuda.so.1")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "a scenario of the test above"]
fn scenario_nowhere() {
    let nvrtc = compile(&Kernel::ALL, (8, 7)).unwrap_err();
    let cuda = CudaConverter::new(&spec(Method::Naive), 100).err().unwrap();
    for error in [&nvrtc, &cuda] {
        assert!(matches!(error, CudaError::LibraryMissing { .. }), "{error}");
    }
    insta::assert_snapshot!("missing_libraries", format!("{nvrtc}\n{cuda}"));
}

#[test]
fn a_wrong_specification_and_a_method_without_kernels_are_errors_before_cuda_is_searched_for() {
    let refused = |spec: &ConversionSpec| CudaConverter::new(spec, 100).err().unwrap();
    assert!(matches!(refused(&ConversionSpec::new(Method::Global)), CudaError::Sequence(SequenceError::Conversion(_))));
    let clahe = spec(Method::Clahe);
    assert_eq!(refused(&clahe), CudaError::Sequence(SequenceError::Method { method: Method::Clahe }));
}

#[test]
fn on_a_machine_with_a_gpu_the_kernels_equal_the_reference() {
    let image = |width: u32, height: u32, factor: u32| {
        let levels = (0..height * width).map(|at| (1500 + at.wrapping_mul(factor) % 1500) as u16).collect();
        Radiograph::new(width, height, levels).unwrap()
    };
    let [a, b, c] = [image(90, 200, 2_654_435_761), image(90, 200, 2_246_822_519), image(1, 1, 0)];
    let images = in_turns(a.view(), b.view(), c.view());
    for method in LaunchSequence::METHODS {
        match compare(&spec(method), &images) {
            Ok(comparison) => assert_eq!(comparison.different, 0, "{method}: {comparison:?}"),
            Err(error @ CudaError::LibraryMissing { .. }) => {
                skipped(&format!("no GPU: {error}"));
                return;
            }
            Err(error) => panic!("{method}: {error}"),
        }
    }
}
