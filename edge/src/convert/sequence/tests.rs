//! Tests the memory, launches and refusals of sequences of many sizes. `tests/offline/kernels.rs` executes sequences and compares
//! the tensors with the reference.

use super::*;
use cellgate_models::conversion::{Bounds, Distribution, Histogram};
use proptest::prelude::*;

fn spec(method: Method, size: Option<Size>) -> ConversionSpec {
    let mut spec = ConversionSpec::new(method)
        .with_bounds(Bounds::new(1700, 2800).unwrap())
        .with_distribution(Distribution::of(&Histogram::of(&[1, 2, 3])).unwrap());
    spec.size = size;
    spec
}

fn launches(sequence: &LaunchSequence) -> impl Iterator<Item = &Launch> {
    sequence.steps().iter().filter_map(|step| match step {
        LaunchStep::Launch(launch) => Some(launch),
        LaunchStep::Clear(_) => None,
    })
}

fn check(spec: &ConversionSpec, image_size: Size) {
    let sequence = LaunchSequence::new(spec, image_size).unwrap();
    let most = LaunchSequence::most_bytes(spec, image_size.pixels());
    let (bytes, output_size) = (sequence.bytes(), sequence.output_size());
    assert!(bytes <= most, "{image_size} to {output_size}: {bytes} bytes, more than {most}");
    assert!(
        sequence.fixed().len() <= sequence.levels().start
            && sequence.levels().start.is_multiple_of(LaunchSequence::ALIGNMENT)
    );
    let kernels = LaunchSequence::kernels(spec);
    for launch in launches(&sequence) {
        assert!(kernels.contains(&launch.kernel) && launch.shared_bytes <= Launch::SHARED_BYTES);
        // CUDA allows 65,535 blocks along y.
        assert!(launch.blocks[0] > 0 && launch.blocks[1] > 0 && launch.blocks[1] <= 65_535);
        assert!(launch.threads == launch.kernel.threads());
    }
}

proptest! {
    #[test]
    fn the_memory_does_not_exceed_its_upper_bound(
        height in 1..3000_u32,
        width in 1..3000_u32,
        to in proptest::option::of((1..3000_u32, 1..3000_u32)),
        method in proptest::sample::select(&LaunchSequence::METHODS[..]),
    ) {
        check(&spec(method, to.map(|(height, width)| Size { height, width })), Size { height, width });
    }
}

#[test]
fn an_image_with_a_side_of_the_greatest_length_has_a_sequence() {
    for method in LaunchSequence::METHODS {
        for (height, width) in [(65_535, 1), (1, 65_535), (65_535, 4000)] {
            for size in [None, Some(Size { height: 1, width: 1 }), Some(Size { height: 16_384, width: 1024 })] {
                check(&spec(method, size), Size { height, width });
            }
        }
    }
}

#[test]
fn the_paper_s_size_is_converted_by_tiles_and_a_great_reduction_by_pixels() {
    let kernel = |image_size, size| {
        let sequence = LaunchSequence::new(&spec(Method::Global, Some(size)), image_size).unwrap();
        launches(&sequence).map(|launch| (launch.kernel, launch.blocks, launch.shared_bytes)).collect::<Vec<_>>()
    };
    // The paper's largest image. A tile of 32 x 64 output pixels needs 36 x 80 input pixels and, after the first pass, 36 x 64:
    // 5184 bytes of shared memory.
    let electrode = Size { height: 2115, width: 1219 };
    assert_eq!(kernel(electrode, Size::PAPER), [(Kernel::ConvertTile8, [16, 63], 5184)]);
    let small = Size { height: 8, width: 8 };
    assert_eq!(kernel(electrode, small), [(Kernel::ConvertPixel8, [1, 1], 0)]);
}

#[test]
fn too_large_images_and_incomplete_specifications_are_refused() {
    let refused = |spec: &ConversionSpec, height, width| LaunchSequence::new(spec, Size { height, width }).unwrap_err();
    let naive = spec(Method::Naive, None);
    let found = Size { height: 65_536, width: 1 };
    let too_long = refused(&naive, found.height, found.width);
    assert_eq!(too_long, ConversionError::RadiographSize { found }.into());
    let found = Size { height: 65_535, width: 5000 };
    let too_large = refused(&naive, found.height, found.width);
    assert_eq!(too_large, SequenceError::Pixels { found, most: LaunchSequence::MAX_PIXELS });
    let without_bounds = refused(&ConversionSpec::new(Method::Global), 5, 5);
    assert!(
        matches!(without_bounds, SequenceError::Conversion(ConversionError::Spec { member: "bounds", .. })),
        "{without_bounds:?}"
    );
    let method = SequenceError::Method { method: Method::Clahe };
    insta::assert_snapshot!("errors", format!("{too_large}\n{method}"));
}

#[test]
fn a_method_without_kernels_is_refused_by_name() {
    for method in Method::ALL {
        let spec = spec(method, None);
        let made = LaunchSequence::new(&spec, Size { height: 5, width: 5 }).map(|_| ());
        assert_eq!(made, LaunchSequence::check(&spec), "{method}");
        match method {
            Method::Equalize | Method::Clahe | Method::Dhe => assert_eq!(made, Err(SequenceError::Method { method })),
            _ => assert_eq!(made, Ok(()), "{method}"),
        }
    }
}
