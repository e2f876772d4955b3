//! Converts images with a simulated driver that does queued work as late as a GPU may: `lazy_driver` of
//! `cellgate-test-support`. There the kernels run on the processor. Each test runs its scenario, an ignored test of this file, in a
//! process of its own. Needs gcc, g++, and NVRTC of `.venv`.

use cellgate_edge::convert::LaunchSequence;
use cellgate_edge::convert::cuda::{Comparison, CudaConverter, compare};
use cellgate_models::conversion::{Bounds, ConversionSpec, Method, Size};
use cellgate_models::radiograph::Radiograph;
use cellgate_test_support::changing_sizes;
use cellgate_test_support::pretended::{Pretended, run_lazy, text_of_lazy_fault};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;

const SIZE: Size = Size { height: 20, width: 36 };
/// Images for each of the five methods that have kernels.
const IMAGES: usize = 200;

#[test]
fn a_thousand_images_of_changing_sizes_equal_the_reference() {
    run_lazy(module_path!(), "scenario_changing_sizes");
}

#[test]
fn a_staging_buffer_that_is_used_again_too_early_gives_wrong_values() {
    run_lazy(module_path!(), "scenario_staging_used_too_early");
}

#[test]
fn memory_that_is_freed_too_early_ends_the_process() {
    let text = text_of_lazy_fault(module_path!(), "scenario_freed_too_early");
    assert!(text.contains("a copy uses pinned memory that was freed before"), "{text}");
}

fn spec(method: Method) -> ConversionSpec {
    ConversionSpec::new(method).with_size(SIZE).with_bounds(Bounds::new(1700, 2800).unwrap())
}

/// Images of random levels.
fn images(seed: u64) -> Vec<Radiograph> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let image = |(width, height)| {
        let levels = (0..width * height).map(|_| random.random_range(1650..2850)).collect();
        Radiograph::new(width, height, levels).unwrap()
    };
    changing_sizes(seed, IMAGES).into_iter().map(image).collect()
}

fn compared(method: Method) -> Comparison {
    let images = images(method as u64);
    compare(&spec(method), &images.iter().map(Radiograph::view).collect::<Vec<_>>()).unwrap()
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_changing_sizes() {
    let start = Instant::now();
    for method in LaunchSequence::METHODS {
        let Comparison { values, different, .. } = compared(method);
        assert_eq!((values, different), (IMAGES * 3 * SIZE.pixels(), 0), "{method}");
    }
    let pretended = Pretended::open();
    let [copies, launches, graphs] =
        ["cuMemcpyHtoDAsync_v2", "cuLaunchKernel", "cuGraphLaunch"].map(|f| pretended.calls(f));
    println!(
        "{} images: {copies} copies to the GPU, {launches} kernels launched, {graphs} graphs launched, {:.1} s",
        IMAGES * LaunchSequence::METHODS.len(),
        start.elapsed().as_secs_f64()
    );
    assert!(launches > 0 && graphs > 0);
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_staging_used_too_early() {
    let images = [1800, 2200, 2600].map(|level| Radiograph::new(10, 9, vec![level; 90]).unwrap());
    let views = images.each_ref().map(Radiograph::view);
    let (mut converter, pretended) = (CudaConverter::new(&spec(Method::Global), 90).unwrap(), Pretended::open());
    let [first, second, third]: [_; 3] = converter.to_bytes(&views).unwrap().try_into().unwrap();
    assert!(first != second && second != third && third != first);
    // The converter waits with this function for an earlier copy from the buffer. The third image goes to the buffer of the first.
    pretended.skips("cuEventQuery");
    assert_eq!(converter.to_bytes(&views).unwrap(), [third.clone(), second, third]);
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_freed_too_early() {
    let mut converter = CudaConverter::new(&spec(Method::Naive), 100).unwrap();
    converter.convert(&Radiograph::new(10, 9, vec![1; 90]).unwrap()).unwrap();
    // `Drop` waits with this function before it frees memory. The driver's state lasts while the library is open.
    let pretended = Pretended::open();
    pretended.skips("cuStreamSynchronize");
    drop(converter);
}
