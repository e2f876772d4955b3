//! Tests the calls of CUDA's driver with a simulated driver, which can be made to fail. Each test runs its scenario, an ignored
//! test of this file, in a process of its own. Needs gcc, and NVRTC of `.venv`.

use cellgate_edge::convert::cuda::{CudaConverter, CudaError, copy_rate, driver_version, in_turns};
use cellgate_models::conversion::{ConversionSpec, Method, Size};
use cellgate_models::radiograph::Radiograph;
use cellgate_test_support::pretended::{Pretended, build, listed, run, run_alone};
use std::time::{Duration, Instant};

#[test]
fn only_functions_that_were_checked_beforehand_are_called() {
    run_alone(module_path!(), "scenario_everything", None);
}

#[test]
fn a_driver_without_a_function_is_an_error_with_its_name() {
    run_alone(module_path!(), "scenario_no_graph_launch", Some("cuGraphLaunch"));
}

#[test]
fn another_driver_that_the_loader_finds_first_is_an_error() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [driver, _] = folders.each_ref().map(|folder| build(folder.path(), &listed()));
    run(module_path!(), "scenario_another_first", folders[1].path(), &driver);
}

#[test]
fn images_are_converted_even_if_no_graph_can_be_captured() {
    run_alone(module_path!(), "scenario_no_capture", None);
}

#[test]
fn a_graph_is_captured_before_the_second_conversion_of_a_size_starts() {
    run_alone(module_path!(), "scenario_capture", None);
}

#[test]
fn a_context_that_is_lost_while_capturing_is_an_error() {
    run_alone(module_path!(), "scenario_lost_while_capturing", None);
}

#[test]
fn a_process_opens_one_context_and_keeps_it() {
    run_alone(module_path!(), "scenario_one_context", None);
}

#[test]
fn a_driver_that_does_not_start_loses_no_context() {
    run_alone(module_path!(), "scenario_no_start", None);
}

#[test]
fn drop_waits_for_the_gpu_even_after_an_error() {
    run_alone(module_path!(), "scenario_drop_after_error", None);
}

#[test]
fn a_gpu_that_does_not_finish_a_copy_is_an_error_at_the_time_limit_and_leaked() {
    run_alone(module_path!(), "scenario_no_end_of_a_copy", None);
}

#[test]
fn pinned_memory_is_small_and_write_combined_only_beside_a_gpu_with_memory_of_its_own() {
    run_alone(module_path!(), "scenario_pinned", None);
}

fn converter() -> CudaConverter {
    let spec = ConversionSpec::new(Method::Naive).with_size(Size { height: 7, width: 5 });
    CudaConverter::new(&spec, 100).unwrap()
}

fn image(width: u32, height: u32) -> Radiograph {
    Radiograph::new(width, height, vec![1; (width * height) as usize]).unwrap()
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_everything() {
    assert_eq!(driver_version(), Ok((13, 0)));
    let mut converter = converter();
    assert_eq!((converter.gpu().name.as_str(), converter.gpu().capability), ("Pretended", (8, 7)));
    let [a, b] = [image(10, 9), image(3, 2)];
    let found = converter.to_bytes(&in_turns(a.view(), a.view(), b.view())).unwrap();
    // Three channels of 7 x 5 values of 4 bytes, for each of the five images.
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [3 * 7 * 5 * 4; 5]);
    let timings = converter.time(a.view(), 4).unwrap();
    assert!(timings.is_graph);
    assert_eq!(timings.kernels.as_micros(), 500, "2 ms for four");
    assert!(copy_rate().unwrap() > 0.0);
    let pretended = Pretended::open();
    for (made, gone) in [("cuMemAllocAsync", "cuMemFreeAsync"), ("cuMemHostAlloc", "cuMemFreeHost")] {
        assert!(pretended.calls(made) > pretended.calls(gone));
    }
    drop(converter);
    for (made, gone) in [
        ("cuMemAllocAsync", "cuMemFreeAsync"),
        ("cuMemHostAlloc", "cuMemFreeHost"),
        ("cuEventCreate", "cuEventDestroy_v2"),
        ("cuStreamCreate", "cuStreamDestroy_v2"),
        ("cuModuleLoadData", "cuModuleUnload"),
        ("cuGraphInstantiateWithFlags", "cuGraphExecDestroy"),
    ] {
        assert_eq!(pretended.calls(made), pretended.calls(gone), "{made}");
    }
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_no_end_of_a_copy() {
    let spec = ConversionSpec::new(Method::Naive).with_size(Size { height: 7, width: 5 });
    // Three pieces: the third goes to the buffer of the first, and must wait until the copy of the first is complete.
    let image = image(1100, 1000);
    let (mut converter, pretended) = (CudaConverter::new(&spec, image.levels().len()).unwrap(), Pretended::open());
    // The second conversion captures the graph.
    for _ in 0..2 {
        converter.convert(&image).unwrap();
    }
    // CUDA_ERROR_NOT_READY.
    pretended.answers_after("cuEventQuery", 2, 600);
    let copies = pretended.calls("cuMemcpyHtoDAsync_v2");
    let (start, limit) = (Instant::now(), Duration::from_millis(300));
    let error = converter.upload(&image, start + limit).err().unwrap();
    assert!(start.elapsed() >= limit && start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert!(error.is_context_lost() && error.to_string().contains("waiting for an earlier copy"), "{error}");
    assert_eq!(pretended.calls("cuMemcpyHtoDAsync_v2") - copies, 2, "the copies of the first two pieces");
    // A call that waits for such a GPU, or frees what it uses, might never return.
    let waits_or_frees = || {
        [
            "cuStreamSynchronize",
            "cuEventSynchronize",
            "cuMemFreeHost",
            "cuMemFreeAsync",
            "cuModuleUnload",
            "cuGraphExecDestroy",
        ]
        .map(|name| pretended.calls(name))
    };
    let before = waits_or_frees();
    drop(converter);
    assert_eq!(waits_or_frees(), before);
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_pinned() {
    let (pretended, spec) = (Pretended::open(), ConversionSpec::new(Method::Naive).with_size(Size::PAPER));
    let mut before = [0, 0];
    for is_integrated in [true, false] {
        pretended.set_integrated(is_integrated);
        let _converter = CudaConverter::new(&spec, 64 << 20).unwrap();
        let now = [false, true].map(|is_write_combined| pretended.pinned_bytes(is_write_combined));
        let more = [now[0] - before[0], now[1] - before[1]];
        // Two buffers of 1 MiB, although the largest image has 128 MiB.
        assert_eq!(more, if is_integrated { [2 << 20, 0] } else { [0, 2 << 20] });
        before = now;
    }
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_one_context() {
    let pretended = Pretended::open();
    // The first attempt fails, and the next one opens the GPU. 2 is CUDA_ERROR_OUT_OF_MEMORY.
    pretended.answers("cuDevicePrimaryCtxRetain", 2);
    assert!(copy_rate().is_err());
    pretended.answers("cuDevicePrimaryCtxRetain", 0);
    let retained = pretended.calls("cuDevicePrimaryCtxRetain");
    for _ in 0..3 {
        copy_rate().unwrap();
        let image = image(10, 9);
        // In another thread, to which the context must be bound too.
        std::thread::spawn(move || converter().to_bytes(&[image.view()]).unwrap()).join().unwrap();
    }
    let calls = ["cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2"].map(|name| pretended.calls(name));
    assert_eq!(calls, [retained + 1, 0]);
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_no_graph_launch() {
    let error = driver_version().unwrap_err();
    match &error {
        CudaError::LibraryUnusable { path, detail, .. } => {
            assert!(path.ends_with("libcuda.so.1") && detail.contains("cuGraphLaunch"), "{error}");
        }
        _ => panic!("{error}"),
    }
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_another_first() {
    let error = driver_version().unwrap_err();
    match &error {
        CudaError::LibraryUnusable { detail, .. } => {
            assert!(detail.contains("libcuda.so") && detail.contains("LD_LIBRARY_PATH"), "{error}");
        }
        _ => panic!("{error}"),
    }
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_no_capture() {
    let (mut converter, pretended) = (converter(), Pretended::open());
    // CUDA_ERROR_STREAM_CAPTURE_INVALIDATED.
    pretended.answers("cuStreamEndCapture", 901);
    let image = image(10, 9);
    for _ in 0..4 {
        converter.convert(&image).unwrap();
    }
    assert_eq!(pretended.calls("cuStreamEndCapture"), 1, "capturing is tried once");
    assert_eq!(pretended.calls("cuGraphLaunch"), 0);
    // One launch for each of the four images, and one into the graph whose capture failed.
    assert_eq!(pretended.calls("cuLaunchKernel"), 5);
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_capture() {
    let (mut converter, pretended, image) = (converter(), Pretended::open(), image(10, 9));
    let calls = || ["cuGraphInstantiateWithFlags", "cuGraphLaunch"].map(|name| pretended.calls(name));
    converter.convert(&image).unwrap();
    assert_eq!(calls(), [0, 0]);
    let uploaded = converter.upload(&image, Instant::now() + Duration::from_secs(60)).unwrap();
    assert_eq!(calls(), [1, 0], "the time from here on is the conversion's");
    uploaded.start().unwrap();
    assert_eq!(calls(), [1, 1]);
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_lost_while_capturing() {
    let (mut converter, pretended) = (converter(), Pretended::open());
    let image = image(10, 9);
    converter.convert(&image).unwrap();
    // CUDA_ERROR_ILLEGAL_ADDRESS.
    pretended.answers("cuStreamBeginCapture_v2", 700);
    let error = converter.convert(&image).unwrap_err();
    assert!(matches!(error, CudaError::ContextLost { .. }), "{error}");
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_no_start() {
    let pretended = Pretended::open();
    let spec = ConversionSpec::new(Method::Naive).with_size(Size { height: 7, width: 5 });
    for function in ["cuInit", "cuDevicePrimaryCtxRetain"] {
        // CUDA_ERROR_UNKNOWN: a driver returns it if its Linux kernel module is not ready yet. Once there is a context, the same
        // error means that the context is lost.
        pretended.answers(function, 999);
        let error = CudaConverter::new(&spec, 100).err().unwrap();
        assert!(matches!(error, CudaError::Driver { .. }) && !error.is_context_lost(), "{error}");
        pretended.answers(function, 0);
    }
    // CUDA_ERROR_ILLEGAL_ADDRESS, a fault that only earlier work of this process can have caused, and CUDA_ERROR_CONTAINED,
    // CUDA_ERROR_TENSOR_MEMORY_LEAK and CUDA_ERROR_MPS_CLIENT_TERMINATED, after which the driver wants a new process.
    for status in [700, 226, 721, 810] {
        pretended.answers("cuDevicePrimaryCtxRetain", status);
        let error = CudaConverter::new(&spec, 100).err().unwrap();
        assert!(error.is_context_lost(), "{error}");
    }
    pretended.answers("cuDevicePrimaryCtxRetain", 0);
    CudaConverter::new(&spec, 100).unwrap();
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_drop_after_error() {
    let (mut converter, pretended) = (converter(), Pretended::open());
    // CUDA_ERROR_INVALID_VALUE when the copied tensor is freed: cudarc keeps this error for later, because a destructor can't
    // return it.
    pretended.answers("cuMemFreeAsync", 1);
    converter.to_bytes(&[image(10, 9).view()]).unwrap();
    let waited = pretended.calls("cuStreamSynchronize");
    drop(converter);
    assert_eq!(pretended.calls("cuStreamSynchronize"), waited + 1);
    // Freeing the converter's memory failed too. The next converter, in the same context, does not get that error.
    pretended.answers("cuMemFreeAsync", 0);
    self::converter().to_bytes(&[image(10, 9).view()]).unwrap();
}
