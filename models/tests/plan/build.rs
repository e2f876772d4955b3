//! Builds plans with the real TensorRT for RTX, without a GPU.

use cellgate_models::conversion::Size;
use cellgate_models::model::Precision;
use cellgate_models::plan::{
    BuildRequest, BuildStep, Built, CAPABILITIES, ComputeCapability, ElementType, Flavour, Library, PlanError, Target,
    build, faults, probe,
};
use cellgate_test_support::skipped;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn request(network: &[u8], precision: Precision, target: Target) -> BuildRequest<'_> {
    BuildRequest { network, precision, target, library: None }
}

const SM86: Target = Target::Named(ComputeCapability::new(8, 6));

fn built(network: &[u8], precision: Precision, target: Target) -> Result<Built, PlanError> {
    build(&request(network, precision, target), Arc::new(|_| ControlFlow::Continue(())))
}

fn refused(network: &[u8]) -> PlanError {
    built(network, Precision::F32, SM86).unwrap_err()
}

#[test]
fn a_plan_is_built_for_every_architecture_and_precision() {
    for &capability in CAPABILITIES {
        for (name, precision) in [("mean.onnx", Precision::F32), ("mean_f16.onnx", Precision::F16)] {
            let built = built(&fixture(name), precision, Target::Named(capability)).unwrap();
            let [input] = &built.network.inputs[..] else { panic!("{:?}", built.network) };
            assert_eq!((input.name.as_str(), input.element), ("image", ElementType::F32));
            assert_eq!(input.shape, [1, 3, 4, 6]);
            assert_eq!(built.size, Size { height: 4, width: 6 });
            assert!(built.network.outputs.iter().all(|output| output.element == ElementType::F32));
            assert_eq!(built.network.precision(), precision);
            assert_eq!(built.tensorrt.flavour, Flavour::Rtx);
            // TensorRT accepts the header of a plan that it has built, also without a GPU.
            assert_eq!(faults(&built.plan, None).unwrap(), [""; 0]);
        }
    }
}

/// TensorRT for RTX confuses the targets of concurrent builds, so `build` lets them wait for each other.
#[test]
fn concurrent_builds_for_different_architectures_keep_their_targets() {
    let network = fixture("mean.onnx");
    std::thread::scope(|scope| {
        for &capability in CAPABILITIES {
            let network = &network;
            scope.spawn(move || built(network, Precision::F32, Target::Named(capability)).unwrap());
        }
    });
}

#[test]
fn faults_in_a_header_are_found() {
    let plan = built(&fixture("mean.onnx"), Precision::F32, SM86).unwrap().plan;
    let mut other = plan.clone();
    other[0] ^= 1;
    let faults = [("another first byte", &other[..]), ("20 bytes", &plan[..20]), ("empty", &[])]
        .map(|(case, plan)| format!("{case}: {}", faults(plan, None).unwrap().join(", ")));
    insta::assert_snapshot!("header_faults", faults.join("\n"));
}

#[test]
fn unsupported_architectures_are_refused_with_a_list_of_the_supported_ones() {
    for (major, minor) in [(8, 7), (9, 0), (10, 0)] {
        let capability = ComputeCapability::new(major, minor);
        let network = fixture("mean.onnx");
        match built(&network, Precision::F32, Target::Named(capability)).unwrap_err() {
            PlanError::Target { asked, flavour, expected } => {
                assert_eq!((asked, flavour), (capability, Flavour::Rtx));
                let another = "for another GPU, use a program with TensorRT 11 (feature enterprise)";
                assert_eq!(expected, format!("sm75, sm80, sm86, sm89, sm120, sm121; {another}"));
            }
            error => panic!("{error}"),
        }
    }
}

#[test]
fn networks_that_break_the_contract_are_refused_before_building() {
    let names = [
        "no_map.onnx",
        "map_shape.onnx",
        "no_features.onnx",
        "features_shape.onnx",
        "four_outputs.onnx",
        "dynamic_size.onnx",
        "external_weights.onnx",
        "mean_f16.onnx",
        "grey_input.onnx",
        "input_name.onnx",
        "two_classes.onnx",
    ];
    let errors = names.map(|name| format!("{name}:\n  {}\n", refused(&fixture(name))));
    insta::assert_snapshot!("contract", errors.concat());
}

#[test]
fn truncated_networks_are_errors() {
    let network = fixture("mean_f16.onnx");
    for truncated in [&[][..], &network[..network.len() - 3]] {
        let error = refused(truncated);
        assert!(matches!(error, PlanError::Network { .. }), "{error}");
    }
    // Only one truncated file may be accepted: it ends between the graph and the operators' version, which TensorRT does not
    // need.
    let whole = (0..network.len()).filter(|&length| built(&network[..length], Precision::F16, SM86).is_ok());
    assert!(whole.count() <= 1);
}

#[test]
fn progress_is_reported_and_a_build_can_be_stopped_at_any_step() {
    let network = fixture("mean.onnx");
    let steps = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&steps);
    let progress = move |step: BuildStep<'_>| {
        sink.lock().unwrap().push((step.phase.to_owned(), step.done, step.of));
        ControlFlow::Continue(())
    };
    build(&request(&network, Precision::F32, SM86), Arc::new(progress)).unwrap();
    let steps = steps.lock().unwrap();
    assert!(steps.iter().any(|(phase, ..)| phase == "Building engine"), "{steps:?}");
    assert!(steps.iter().all(|(_, done, of)| done <= of), "{steps:?}");

    // The build is stopped at this step. A few more steps may be reported before TensorRT ends.
    for last in [1, 2, 20, u32::try_from(steps.len()).unwrap() - 2] {
        let seen = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&seen);
        let progress = move |_: BuildStep<'_>| match counter.fetch_add(1, Ordering::Relaxed) + 1 {
            count if count >= last => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let stopped = build(&request(&network, Precision::F32, SM86), Arc::new(progress));
        assert_eq!(stopped.unwrap_err(), PlanError::Cancelled);
        assert!(seen.load(Ordering::Relaxed) <= last + 2, "{seen:?} steps after {last}");
    }
}

#[test]
fn without_a_gpu_a_build_for_this_machines_gpu_is_an_error() {
    if Path::new("/dev/nvidiactl").exists() || Path::new("/dev/nvhost-gpu").exists() {
        skipped("this machine has a GPU");
        return;
    }
    match built(&fixture("mean.onnx"), Precision::F32, Target::Device).unwrap_err() {
        PlanError::Build { flavour: Flavour::Rtx, target: Target::Device, message } => {
            // TensorRT's reason. Its text varies with the version of TensorRT.
            assert!(message.contains("CUDA"), "{message}");
        }
        error => panic!("{error}"),
    }
}

#[test]
fn another_library_than_the_loaded_one_is_refused() {
    built(&fixture("mean.onnx"), Precision::F32, SM86).unwrap();
    let found = probe(Library::Builder, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // A copy, because a symbolic link would resolve to the same file.
    std::fs::copy(&found.path, folder.path().join("libtensorrt_rtx.so")).unwrap();
    let network = fixture("mean.onnx");
    let other = BuildRequest { library: Some(folder.path().to_owned()), ..request(&network, Precision::F32, SM86) };
    let error = build(&other, Arc::new(|_| ControlFlow::Continue(()))).unwrap_err();
    assert!(matches!(error, PlanError::LibraryOther { .. }), "{error}");
}
