//! Scores images with a simulated CUDA driver that does queued work as late as a GPU may: decoding, pinned memory, kernels, a network,
//! and the copies of its outputs. Needs gcc, g++, and NVRTC of `.venv`.

use super::*;
use crate::convert::LaunchSequence;
use cellgate_models::conversion::{Bounds, Converter, Method};
use cellgate_models::radiograph::{DecodedLevels, RadiographLimits, RadiographReader};
use cellgate_test_support::changing_sizes;
use cellgate_test_support::pretended::{Pretended, run_lazy};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::ffi::c_void;
use std::path::Path;
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype::Gray16};

/// An input with 2 x 3 cells.
const SIZE: Size = Size { height: 20, width: 36 };
const MAP_SIZE: Size = Size { height: 2, width: 3 };
const CELLS: usize = 6;
/// Images for each of the five methods that have kernels.
const IMAGES: usize = 200;

#[test]
fn a_thousand_images_of_changing_sizes_are_scored_as_on_the_cpu() {
    run_lazy(module_path!(), "scenario_changing_sizes");
}

/// What the network computes: numbers that depend on every bit of the tensor.
fn computed(tensor: &[f32]) -> Output {
    let mut state = tensor.iter().fold(0xcbf2_9ce4_8422_2325, |state: u64, value| {
        (state ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3)
    });
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32
    };
    let logit = next();
    let map = LogitMap::new(MAP_SIZE, (0..CELLS).map(|_| next()).collect()).unwrap();
    Output { logit, map, features: WhitenedFeatures::new(std::array::from_fn(|_| next())) }
}

/// The network in TensorRT's place. It reads the tensor and writes the outputs when the driver executes its run.
struct Late {
    driver: Pretended,
    bound: Option<Box<Addresses>>,
}

impl Network for Late {
    fn input_size(&self) -> Size {
        SIZE
    }

    unsafe fn bind(&mut self, tensors: Addresses) -> Result<(), PlanError> {
        self.bound = Some(Box::new(tensors));
        Ok(())
    }

    unsafe fn enqueue(&mut self, stream: &CudaStream) -> Result<(), PlanError> {
        let bound: *mut Addresses = &raw mut **self.bound.as_mut().unwrap();
        // SAFETY: the scorer waits for the stream before it drops the network.
        unsafe { self.driver.queue(stream.cu_stream().cast(), run, bound.cast()) };
        Ok(())
    }
}

/// A run of [`Late`]. `data` points to [`Addresses`].
unsafe extern "C" fn run(data: *mut c_void) {
    // SAFETY: `enqueue` passes the addresses, which the scorer has bound: the simulated driver's memory is the host's, and each
    // address has as many values as the scorer promises.
    unsafe {
        let Addresses { input, logit, map, features } = *data.cast::<Addresses>();
        let output = computed(std::slice::from_raw_parts(input as *const f32, 3 * SIZE.pixels()));
        (logit as *mut f32).write(output.logit);
        std::slice::from_raw_parts_mut(map as *mut f32, CELLS).copy_from_slice(output.map.shares());
        std::slice::from_raw_parts_mut(features as *mut f32, WhitenedFeatures::COUNT)
            .copy_from_slice(output.features.components());
    }
}

/// Decodes one file after the other to the same buffer, as the sandbox does.
struct Decoder {
    reader: RadiographReader,
    levels: Vec<u16>,
}

impl Decoder {
    fn decode(&mut self, file: &[u8]) -> RadiographView<'_> {
        self.levels.clear();
        let (width, height) = match self.reader.find(file, Path::new("")).unwrap() {
            DecodedLevels::InFile { width, height, at } => {
                let bytes = &file[at..][..2 * (width * height) as usize];
                self.levels.extend(bytes.as_chunks().0.iter().map(|&level| u16::from_ne_bytes(level)));
                (width, height)
            }
            DecodedLevels::Unpacked(image) => {
                self.levels.extend_from_slice(image.levels());
                (image.width(), image.height())
            }
        };
        RadiographView::new(width, height, &self.levels).unwrap()
    }
}

/// A file of random levels, with compression or without.
fn file((width, height): (u32, u32), compression: Compression, random: &mut ChaCha8Rng) -> Vec<u8> {
    let levels: Vec<u16> = (0..width * height).map(|_| random.random_range(1650..2850)).collect();
    let mut file = std::io::Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap().with_compression(compression);
    encoder.write_image::<Gray16>(width, height, &levels).unwrap();
    file.into_inner()
}

#[test]
#[ignore = "a scenario of the test above"]
fn scenario_changing_sizes() {
    let start = Instant::now();
    let mut decoder = Decoder { reader: RadiographReader::new(RadiographLimits::default()), levels: Vec::new() };
    for method in LaunchSequence::METHODS {
        let spec = ConversionSpec::new(method).with_size(SIZE).with_bounds(Bounds::new(1700, 2800).unwrap());
        let sizes = changing_sizes(method as u64, IMAGES);
        let most = sizes.iter().map(|(width, height)| width * height).max().unwrap();
        let load = || Ok(Late { driver: Pretended::open(), bound: None });
        let mut scorer = GpuScorer::new(&spec, most as usize, load, &unwatched()).unwrap();
        let mut converter = Converter::new(&spec).unwrap();
        let mut tensor = vec![0.0; 3 * SIZE.pixels()];
        let mut random = ChaCha8Rng::seed_from_u64(method as u64);
        for (index, image_size) in sizes.into_iter().enumerate() {
            let deflate = Compression::Deflate(DeflateLevel::Fast);
            let compression = if index % 2 == 0 { deflate } else { Compression::Uncompressed };
            let file = file(image_size, compression, &mut random);
            let radiograph = decoder.decode(&file);
            converter.to_tensor(radiograph, &mut tensor).unwrap();
            let mut times = Times::default();
            let found = scorer.run(radiograph, &mut times, &mut |_| Ok(())).unwrap();
            assert_eq!(found, computed(&tensor), "{method}, image {index}");
            // The simulated driver's times: 1 ms for a launch or a run, 0.25 ms for clearing, 16 ms for a copy. The conversion's time
            // has no copy.
            let has_bounds = matches!(method, Method::Local | Method::Mixed);
            let expected = if has_bounds { [3.25, 49.75] } else { [1.0, 49.75] };
            let ms = [times.convert, times.infer].map(|time| time.as_secs_f64() * 1e3);
            assert!(std::iter::zip(ms, expected).all(|(found, expected)| (found - expected).abs() < 1e-3), "{times:?}");
            assert!(times.upload > Duration::ZERO);
        }
    }
    let pretended = Pretended::open();
    let [graphs, queries] = ["cuGraphLaunch", "cuEventQuery"].map(|function| pretended.calls(function));
    println!(
        "{} images scored: {graphs} graphs launched, {queries} queries of events, {:.1} s",
        IMAGES * LaunchSequence::METHODS.len(),
        start.elapsed().as_secs_f64()
    );
    assert!(graphs > 0);
}
