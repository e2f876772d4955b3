//! Checks that the CUDA kernels, run on the processor, give byte for byte the results of the reference, for all methods with kernels.
//! The launches have the order that they have on a GPU. `cellgate_tests::kernels` explains what that proves and what it does not.
//!
//! Comparing normalised values also compares levels, since different levels have different values. An image at its own size
//! shows the levels before the resize.

use anyhow::{Context as _, Result, ensure};
use cellgate_edge::convert::LaunchSequence;
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Method, Size, image_percentiles};
use cellgate_models::radiograph::{Radiograph, RadiographLimits, read};
use cellgate_tests::kernels::{Order, run};
use proptest::prelude::*;
use std::path::PathBuf;
use std::time::Duration;

/// The orders of threads and blocks in which an image is converted.
const BOTH: &[Order] = &[Order::Forward, Order::Backward];

/// The order for an image that is one of many.
const ONCE: &[Order] = &[Order::Backward];

/// Compares the kernels with the reference for one image and one specification.
fn compare(name: &str, radiograph: &Radiograph, spec: &ConversionSpec, orders: &[Order]) -> Result<()> {
    let image = Size { height: radiograph.height(), width: radiograph.width() };
    let mut converter = Converter::new(spec)?;
    let mut expected = vec![0.0; 3 * converter.output_size(radiograph).pixels()];
    converter.to_tensor(radiograph, &mut expected)?;
    for &order in orders {
        let found = run(&LaunchSequence::new(spec, image)?, radiograph.levels(), order)?;
        let differs = first_difference(&found, &expected);
        let method = spec.method;
        ensure!(
            differs.is_none(),
            "{name}, {image} to {:?}, {method}, {order:?}: value {differs:?} differs",
            spec.size
        );
    }
    Ok(())
}

/// Index of the first value whose bytes differ from the expected ones.
pub(crate) fn first_difference(found: &[u8], expected: &[f32]) -> Option<usize> {
    assert_eq!(found.len(), size_of_val(expected));
    found.as_chunks().0.iter().zip(expected).position(|(&found, expected)| found != expected.to_ne_bytes())
}

/// The specification of `method` with the bounds of `radiograph`.
pub(crate) fn spec_for(method: Method, radiograph: &Radiograph, size: Option<Size>) -> Result<ConversionSpec> {
    let bounds = Bounds::global([image_percentiles(radiograph)]).context("no bounds")?;
    let mut spec = ConversionSpec::new(method).with_bounds(bounds);
    spec.size = size;
    Ok(spec)
}

fn compare_all_methods(name: &str, radiograph: &Radiograph, sizes: &[Option<Size>], orders: &[Order]) -> Result<()> {
    for &size in sizes {
        for method in LaunchSequence::METHODS {
            compare(name, radiograph, &spec_for(method, radiograph, size)?, orders)?;
        }
    }
    Ok(())
}

fn image(height: u32, width: u32, level: impl FnMut(u32) -> u16) -> Radiograph {
    Radiograph::new(width, height, (0..height * width).map(level).collect()).expect("as many levels as pixels")
}

pub(crate) fn size(height: u32, width: u32) -> Option<Size> {
    Some(Size { height, width })
}

/// The next number of a linear congruential generator (Knuth, MMIX), its upper half.
pub(crate) fn random(state: &mut u64) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 32) as u32
}

/// An electrode's levels: noise on a coating that gets thicker towards one side, a bright rim, a scratch, dead pixels.
pub(crate) fn electrode(height: u32, width: u32) -> Radiograph {
    let mut state = u64::from(height);
    image(height, width, |at| {
        let (x, y) = (at % width, at / width);
        let noise = (0..4).map(|_| random(&mut state) % 100).sum::<u32>();
        let rim = if x < 30 || y < 30 || x + 30 > width || y + 30 > height { 700 } else { 0 };
        let scratch = if x.abs_diff(y / 2) < 2 { 150 } else { 0 };
        match random(&mut state) % 100_000 {
            0 => 0,
            1 => u16::MAX,
            _ => (1700 + noise + rim + scratch + 200 * y / height) as u16,
        }
    })
}

#[test]
fn electrodes_of_the_papers_largest_and_smallest_size_equal_the_reference() -> Result<()> {
    for (height, width) in [(2115, 1219), (2053, 1119)] {
        let radiograph = electrode(height, width);
        compare_all_methods("electrode", &radiograph, &[None, Some(Size::PAPER)], BOTH)?;
    }
    Ok(())
}

#[test]
fn images_of_one_pixel_row_or_column_equal_the_reference() -> Result<()> {
    let sizes = [None, size(1, 1), size(40, 3), size(2, 90), size(33, 65)];
    for (height, width) in [(1, 1), (1, 2), (1, 9), (17, 1), (1, 20_001), (20_001, 1), (16, 16), (3, 70)] {
        let mut state = 5;
        let radiograph = image(height, width, |_| (random(&mut state) % 3000) as u16);
        compare_all_methods("thin", &radiograph, &sizes, BOTH)?;
    }
    Ok(())
}

#[test]
fn images_of_few_levels_and_of_all_levels_equal_the_reference() -> Result<()> {
    let sizes = [None, size(1, 1), size(7, 3), size(300, 200)];
    for level in [0, 1, 1234, 40_000, u16::MAX] {
        compare_all_methods("constant", &image(61, 47, |_| level), &sizes, BOTH)?;
    }
    compare_all_methods("two levels", &image(99, 101, |at| 1000 + u16::from(at < 5000)), &sizes, BOTH)?;
    compare_all_methods("far apart", &image(99, 101, |at| if at % 7 == 0 { 3 } else { u16::MAX }), &sizes, BOTH)?;
    // A percentile halfway between two levels.
    compare_all_methods("half", &image(1, 5001, |at| 1000 + u16::from(at > 0)), &sizes, BOTH)?;
    compare_all_methods("all levels", &image(256, 256, |at| at as u16), &sizes, BOTH)?;
    compare_all_methods("all levels, mixed up", &image(256, 256, |at| (at * 40_503) as u16), &sizes, BOTH)?;
    Ok(())
}

#[test]
fn reductions_too_large_for_tiles_and_large_enlargements_equal_the_reference() -> Result<()> {
    compare_all_methods("electrode", &electrode(700, 600), &[size(5, 3), size(1, 500), size(600, 2)], BOTH)?;
    compare_all_methods("electrode", &electrode(2100, 1200), &[size(224, 224)], BOTH)?;
    compare_all_methods("few pixels", &electrode(40, 70), &[size(1000, 900)], BOTH)?;
    Ok(())
}

#[test]
fn every_level_with_many_bounds_equals_the_reference() -> Result<()> {
    let radiograph = image(256, 256, |at| at as u16);
    for (lo, hi) in [(0, 0), (0, 1), (7, 7), (1700, 2800), (0, 65_535), (65_534, 65_535), (65_535, 65_535), (3, 40_000)]
    {
        for method in [Method::Global, Method::Linear16] {
            let spec = ConversionSpec::new(method).with_bounds(Bounds::new(lo, hi)?);
            compare("all levels", &radiograph, &spec, BOTH)?;
        }
    }
    Ok(())
}

fn any_image() -> impl Strategy<Value = Radiograph> {
    (1..90_u32, 1..90_u32, any::<u16>(), any::<u16>(), any::<u64>()).prop_map(
        |(height, width, lo, range, mut state)| {
            // The square of the random number, so that levels accumulate at one end.
            let mut level = || {
                let place = u64::from(random(&mut state)).pow(2) >> 32;
                lo.saturating_add(((place * u64::from(range)) >> 32) as u16)
            };
            image(height, width, |_| level())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_image_of_any_size_by_any_method_equals_the_reference(
        radiograph in any_image(),
        to in proptest::option::of((1..150_u32, 1..150_u32)),
        method in proptest::sample::select(&LaunchSequence::METHODS[..]),
    ) {
        let size = to.map(|(height, width)| Size { height, width });
        compare("any", &radiograph, &spec_for(method, &radiograph, size).unwrap(), BOTH).unwrap();
    }
}

/// Compares every `step`th image of a folder of the shared data.
fn compare_folder(folder: &str, step: usize, sizes: &[Option<Size>]) -> Result<()> {
    let Some(folder) = cellgate_test_support::shared(folder) else { return Ok(()) };
    let mut paths: Vec<PathBuf> = folder.read_dir()?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    // A long limit, so that no image is left out on a busy machine.
    let limits = RadiographLimits { max_time: Duration::from_secs(3600), ..RadiographLimits::default() };
    let mut compared = 0;
    for path in paths.iter().step_by(step) {
        match read(path, &limits) {
            Ok(radiograph) => {
                compare_all_methods(&path.display().to_string(), &radiograph, sizes, ONCE)?;
                compared += 1;
            }
            // Other tests cover files that the reader refuses.
            Err(error) => println!("not compared: {}: {error}", path.display()),
        }
    }
    println!("{}: {compared} radiographs, all methods", folder.display());
    ensure!(compared > 0, "no readable radiograph in {}", folder.display());
    Ok(())
}

#[test]
fn shared_x_rays_equal_the_reference() -> Result<()> {
    compare_folder("xray16", 1, &[None, Some(Size::PAPER)])
}

#[test]
fn shared_cells_equal_the_reference() -> Result<()> {
    compare_folder("data/elpv12/images", 60, &[None, size(400, 200)])
}
