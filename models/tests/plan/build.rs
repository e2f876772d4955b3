//! Plans built by real TensorRT for RTX, without a GPU.

use cellgate_models::model::Precision;
use cellgate_models::conversion::Size;
use cellgate_models::plan::{
    Built, CAPABILITIES, ComputeCapability, ElementType, Flavour, Library, PlanError, Request, Step, Target, build,
    faults, probe,
};
use cellgate_test_support::skipped;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn request(network: &[u8], precision: Precision, target: Target) -> Request<'_> {
    Request { network, precision, target, library: None }
}

const SM86: Target = Target::Named(ComputeCapability::new(8, 6));

fn built(network: &[u8], precision: Precision, target: Target) -> Result<Built, PlanError> {
    build(&request(network, precision, target), Arc::new(|_| ControlFlow::Continue(())))
}

fn refused(network: &[u8]) -> String {
    built(network, Precision::F32, SM86).unwrap_err().to_string()
}

#[test]
fn every_architecture_gets_a_plan_of_either_precision() {
    for &capability in CAPABILITIES {
        for (name, precision) in [("mean_sigmoid.onnx", Precision::F32), ("mean_sigmoid_f16.onnx", Precision::F16)] {
            let built = built(&fixture(name), precision, Target::Named(capability)).unwrap();
            let [input] = &built.network.inputs[..] else { panic!("{:?}", built.network) };
            assert_eq!((input.name.as_str(), input.element), ("image", ElementType::F32));
            assert_eq!(input.shape, [1, 3, 4, 6]);
            assert_eq!(built.size, Size { height: 4, width: 6 });
            assert_eq!(built.network.outputs[0].element, ElementType::F32);
            assert_eq!(built.network.precision(), precision);
            assert_eq!(built.tensorrt.flavour, Flavour::Rtx);
            // TensorRT knows its own header again, also without a GPU.
            assert_eq!(faults(&built.plan, None).unwrap(), [""; 0]);
        }
    }
}

/// Found when these tests ran side by side: TensorRT for RTX mixed up the targets.
#[test]
fn builds_at_once_for_different_architectures_do_not_mix() {
    let network = fixture("mean_sigmoid.onnx");
    std::thread::scope(|scope| {
        for &capability in CAPABILITIES {
            let network = &network;
            scope.spawn(move || built(network, Precision::F32, Target::Named(capability)).unwrap());
        }
    });
}

#[test]
fn what_is_no_plan_is_known_by_its_header() {
    let plan = built(&fixture("mean_sigmoid.onnx"), Precision::F32, SM86).unwrap().plan;
    let mut other = plan.clone();
    other[0] ^= 1;
    assert_eq!(faults(&other, None).unwrap(), ["it is no plan"]);
    assert_eq!(faults(&plan[..20], None).unwrap(), ["it is shorter than a plan's header"]);
    assert_eq!(faults(&[], None).unwrap(), ["it is shorter than a plan's header"]);
}

#[test]
fn architectures_that_there_are_not_are_named_with_those_that_there_are() {
    for (major, minor) in [(8, 7), (9, 0), (10, 0)] {
        let target = Target::Named(ComputeCapability::new(major, minor));
        let error = built(&fixture("mean_sigmoid.onnx"), Precision::F32, target).unwrap_err().to_string();
        let expected = format!(
            "TensorRT for RTX builds no plan for sm{major}{minor}; it builds for: sm75, sm80, sm86, sm89, sm120, sm121"
        );
        assert_eq!(error, expected);
    }
}

#[test]
fn networks_that_break_the_contract_are_refused_before_building() {
    for (name, expected) in [
        (
            "two_outputs.onnx",
            "the network's outputs: found `score` f32 [1], `logit` f32 [1], expected `score` f32 [1] or [1, 1]",
        ),
        (
            "dynamic_size.onnx",
            "the network's inputs: found `image` f32 [1, 3, -1, -1], expected `image` f32 [1, 3, height, width] with at \
             most 67108864 pixels",
        ),
        (
            "external_weights.onnx",
            "the network could not be read: the ONNX file keeps weights in another file; expected all inside",
        ),
        ("mean_sigmoid_f16.onnx", "the network computes in f16, expected f32"),
    ] {
        assert_eq!(refused(&fixture(name)), expected, "{name}");
    }
    for name in ["grey_input.onnx", "input_name.onnx"] {
        assert!(refused(&fixture(name)).starts_with("the network's inputs: found "), "{name}");
    }
    assert!(refused(&fixture("two_classes.onnx")).starts_with("the network's outputs: found "));
}

#[test]
fn networks_that_are_cut_are_errors() {
    let network = fixture("mean_sigmoid_f16.onnx");
    assert_eq!(refused(&[]), "the network could not be read: the ONNX file is empty");
    let cut = refused(&network[..network.len() - 3]);
    assert_eq!(cut, "the network could not be read: the ONNX file is cut off or damaged");
    // One cut falls between the graph and what stands behind it, the operators' version; TensorRT does without.
    let whole = (0..network.len()).filter(|&length| built(&network[..length], Precision::F16, SM86).is_ok());
    assert!(whole.count() <= 1);
}

#[test]
fn progress_is_told_and_stopping_ends_it_at_any_step() {
    let network = fixture("mean_sigmoid.onnx");
    let steps = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&steps);
    let progress = move |step: Step<'_>| {
        sink.lock().unwrap().push((step.phase.to_owned(), step.done, step.of));
        ControlFlow::Continue(())
    };
    build(&request(&network, Precision::F32, SM86), Arc::new(progress)).unwrap();
    let steps = steps.lock().unwrap();
    assert!(steps.iter().any(|(phase, ..)| phase == "Building engine"), "{steps:?}");
    assert!(steps.iter().all(|(_, done, of)| done <= of), "{steps:?}");

    for last in [1, 2, 20, u32::try_from(steps.len()).unwrap() - 2] {
        let seen = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&seen);
        let progress = move |_: Step<'_>| match counter.fetch_add(1, Ordering::Relaxed) + 1 {
            count if count >= last => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let stopped = build(&request(&network, Precision::F32, SM86), Arc::new(progress));
        assert_eq!(stopped.unwrap_err(), PlanError::Cancelled);
        assert!(seen.load(Ordering::Relaxed) <= last + 2, "it went on for {seen:?} steps after {last}");
    }
}

#[test]
fn the_gpu_at_hand_is_an_error_where_there_is_none() {
    if Path::new("/dev/nvidiactl").exists() || Path::new("/dev/nvhost-gpu").exists() {
        skipped("this machine has a GPU");
        return;
    }
    let text = built(&fixture("mean_sigmoid.onnx"), Precision::F32, Target::Device).unwrap_err().to_string();
    assert!(text.starts_with("TensorRT for RTX built no plan for the GPU at hand: "), "{text}");
    assert!(text.contains("CUDA driver version is insufficient"), "{text}");
}

#[test]
fn another_library_than_the_loaded_one_is_refused() {
    built(&fixture("mean_sigmoid.onnx"), Precision::F32, SM86).unwrap();
    let found = probe(Library::Builder, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Copied, not linked: a link would lead to the same file.
    std::fs::copy(&found.path, folder.path().join("libtensorrt_rtx.so")).unwrap();
    let network = fixture("mean_sigmoid.onnx");
    let asked = Request { library: Some(folder.path().to_owned()), ..request(&network, Precision::F32, SM86) };
    let error = build(&asked, Arc::new(|_| ControlFlow::Continue(()))).unwrap_err();
    assert!(matches!(error, PlanError::LibraryOther { .. }), "{error}");
}
