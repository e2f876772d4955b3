//! Runs the CUDA kernels with a thread of the operating system for each thread of a block, three blocks at once, in programs that the
//! C++ compiler's sanitizers watch: no data race, no access outside of a buffer, no misaligned address. The tensors equal the
//! reference. Faults made on purpose are reported.

mod case;
mod sanitizer;

use crate::kernels::{electrode, first_difference, size, spec_for};
use anyhow::{Context as _, Result, ensure};
use case::{Blocks, Case, Given};
use cellgate_edge::convert::{Kernel, LaunchSequence};
use cellgate_models::conversion::pieces::columns_first;
use cellgate_models::conversion::{Converter, Method, Size};
use sanitizer::{Outcome, Report, Sanitizer, run};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

/// A conversion: the image's height and width, the size that it is resized to, the method.
type Conversion = ((u32, u32), Option<Size>, Method);

/// Few and small conversions that launch all kernels, those that resize with both orders of the passes. The last four reduce so much
/// that their tiles do not fit into shared memory.
fn short() -> [Conversion; 8] {
    [
        ((203, 151), size(70, 130), Method::Mixed),
        ((90, 70), size(200, 30), Method::Naive),
        ((203, 151), size(70, 130), Method::Linear16),
        ((151, 203), size(100, 70), Method::Linear16),
        ((400, 300), size(2, 1), Method::Global),
        ((1300, 90), size(2, 80), Method::Global),
        ((300, 400), size(1, 3), Method::Linear16),
        ((1300, 90), size(2, 80), Method::Linear16),
    ]
}

/// The case, and the values of the reference.
fn case_of(&((height, width), to, method): &Conversion) -> Result<(Case, Vec<f32>)> {
    let radiograph = electrode(height, width);
    let spec = spec_for(method, &radiograph, to)?;
    let mut converter = Converter::new(&spec)?;
    let mut expected = vec![0.0; 3 * converter.output_size(&radiograph).pixels()];
    converter.to_tensor(&radiograph, &mut expected)?;
    let image = Size { height, width };
    Ok((Case::new(&LaunchSequence::new(&spec, image)?, radiograph.levels()), expected))
}

/// Runs conversions and requires the reference's values, and no report.
fn clean(sanitizer: Sanitizer, conversions: &[Conversion], orders: &[(Blocks, u64)]) -> Result<()> {
    let Some(program) = sanitizer.program()? else { return Ok(()) };
    let start = Instant::now();
    for conversion in conversions {
        for &(blocks, seed) in orders {
            let (case, expected) = case_of(conversion)?;
            let Outcome { tensor, reports, text } = run(program, &case.ordered(blocks, seed))?;
            let what = format!("{conversion:?}, blocks {blocks:?}, seed {seed}");
            ensure!(reports.is_empty(), "{what}: {} reports: {text}", reports.len());
            let differs = first_difference(&tensor, &expected);
            ensure!(differs.is_none(), "{what}: value {differs:?} differs from the reference");
        }
    }
    println!("{sanitizer:?}: {} conversions in {:.1?}", conversions.len() * orders.len(), start.elapsed());
    Ok(())
}

/// Both orders of blocks and a random one; threads at once and in two random orders.
const ORDERS: [(Blocks, u64); 3] = [(Blocks::Forward, 0), (Blocks::Backward, 1), (Blocks::Random, 2)];

#[test]
fn the_short_form_launches_all_kernels_with_both_orders_of_the_passes() -> Result<()> {
    let mut launched = BTreeSet::new();
    for conversion @ ((height, width), to, _) in &short() {
        let image = Size { height: *height, width: *width };
        let order = columns_first(image, to.unwrap_or(image));
        launched.extend(case_of(conversion)?.0.runs().map(|run| (run.kernel, order)));
    }
    let resizing = [Kernel::ConvertTile8, Kernel::ConvertTile16, Kernel::ConvertPixel8, Kernel::ConvertPixel16];
    let mut expected = BTreeSet::from([(Kernel::Histogram, true), (Kernel::LocalBounds, true)]);
    expected.extend(resizing.into_iter().flat_map(|kernel| [(kernel, false), (kernel, true)]));
    assert_eq!(launched, expected);
    assert!(Kernel::ALL.iter().all(|&kernel| launched.iter().any(|&(of, _)| of == kernel)));
    Ok(())
}

#[test]
fn threads_and_blocks_that_run_at_once_have_no_data_race() -> Result<()> {
    clean(Sanitizer::Thread, &short(), &ORDERS)
}

#[test]
fn all_accesses_are_aligned_and_inside_their_buffers() -> Result<()> {
    clean(Sanitizer::Memory, &short(), &ORDERS[2..])
}

/// More conversions with all methods, more random orders, and the paper's largest image.
#[test]
#[ignore = "the long form of the two tests above: takes minutes"]
fn long_form_of_the_tests_of_races_and_accesses() -> Result<()> {
    let mut conversions = short().to_vec();
    for method in LaunchSequence::METHODS {
        for (image, to) in [((300, 260), None), ((260, 300), size(200, 150)), ((1, 900), size(3, 70))] {
            conversions.push((image, to, method));
        }
    }
    let mut orders = ORDERS.to_vec();
    orders.extend((3..6).map(|seed| (Blocks::Random, seed)));
    let paper = [Method::Mixed, Method::Linear16].map(|method| ((2115, 1219), Some(Size::PAPER), method));
    for sanitizer in [Sanitizer::Thread, Sanitizer::Memory] {
        clean(sanitizer, &conversions, &orders)?;
        clean(sanitizer, &paper, &ORDERS[2..])?;
    }
    Ok(())
}

/// The size of the images for faults made on purpose, and a size of two tiles, each of which uses all its shared memory.
const FAULTY: ((u32, u32), Option<Size>) = ((40, 50), Some(Size { height: 32, width: 128 }));
const LOCAL: Conversion = (FAULTY.0, FAULTY.1, Method::Local);
const GLOBAL: Conversion = (FAULTY.0, FAULTY.1, Method::Global);
const LINEAR16: Conversion = (FAULTY.0, FAULTY.1, Method::Linear16);

/// A size for which the first pass is along the rows.
const ROWS_FIRST: Option<Size> = Some(Size { height: 64, width: 40 });
const ROWS_FIRST_8: Conversion = (FAULTY.0, ROWS_FIRST, Method::Global);
const ROWS_FIRST_16: Conversion = (FAULTY.0, ROWS_FIRST, Method::Linear16);

/// The reports for a case, of which there must be one at least and which must all be of one kind.
fn reports_of(program: &Path, case: &Case, kind: &str) -> Result<Vec<Report>> {
    let Outcome { reports, text, .. } = run(program, case)?;
    ensure!(!reports.is_empty(), "found no report");
    ensure!(reports.iter().all(|report| report.kind == kind), "found other reports than {kind}: {text}");
    Ok(reports)
}

#[test]
fn a_barrier_that_orders_too_little_is_reported() -> Result<()> {
    let Some(program) = Sanitizer::Thread.program()? else { return Ok(()) };
    // Not in the list: the last barrier of each kernel, which orders nothing, and the third barrier of a tile's channel. After that one, the
    // next channel first writes memory that nobody reads any more.
    let faults = [
        (LOCAL, Kernel::Histogram, &[1, 2][..]),
        // Running sums have five barriers of warps and two of the block: the second to the eighth, and the eleventh to the seventeenth. The
        // last of a warp's orders nothing: each thread then reads what it wrote itself. The third, the twelfth and the thirteenth are
        // left out: they are the same statement as the second and the fourth, for other distances.
        (LOCAL, Kernel::LocalBounds, &[1, 2, 4, 5, 7, 8, 9, 10, 11, 14, 16, 17, 18]),
        // If the first pass is along the columns, each warp reads in the second pass only what it wrote itself. If it is along the rows,
        // that is so in the first pass.
        (GLOBAL, Kernel::ConvertTile8, &[1]),
        (ROWS_FIRST_8, Kernel::ConvertTile8, &[2]),
        (LINEAR16, Kernel::ConvertTile16, &[1]),
        (ROWS_FIRST_16, Kernel::ConvertTile16, &[2]),
    ];
    for (conversion, kernel, barriers) in faults {
        for &barrier in barriers {
            // In turns: every second one.
            let mut case = case_of(&conversion)?.0.ordered(Blocks::Forward, barrier as u64 % 2);
            case.last_run(kernel).weakened = barrier;
            let reports = reports_of(program, &case, "data race").context(format!("{kernel:?}, barrier {barrier}"))?;
            println!("{kernel:?}, barrier {barrier}: {} reports", reports.len());
        }
    }
    Ok(())
}

#[test]
fn two_blocks_that_write_the_same_values_are_reported() -> Result<()> {
    let Some(program) = Sanitizer::Thread.program()? else { return Ok(()) };
    for (conversion, kernel) in [(GLOBAL, Kernel::ConvertTile8), (LINEAR16, Kernel::ConvertTile16)] {
        let mut case = case_of(&conversion)?.0;
        let blocks = &mut case.last_run(kernel).blocks;
        blocks.insert(1, blocks[0]);
        let reports = reports_of(program, &case, "data race")?;
        assert!(reports.iter().all(|report| report.file == "convert.cu"), "{reports:?}");
        println!("{kernel:?}: {} reports", reports.len());
    }
    Ok(())
}

/// The buffers that a case's kernels use.
fn used(case: &mut Case) -> BTreeSet<usize> {
    let address = |given: &Given| if let Given::Address(buffer, _) = given { Some(*buffer) } else { None };
    case.runs().flat_map(|run| run.arguments.iter().filter_map(address).collect::<Vec<_>>()).collect()
}

/// Makes the image's lower half as bright as possible, so that the last value of 8-bit levels is used.
fn saturate(case: &mut Case) {
    let levels = case.runs().last().map(|run| &run.arguments[1]);
    let Some(&Given::Address(levels, _)) = levels else {
        panic!("the levels are the second argument, found {levels:?}")
    };
    let bytes = &mut case.buffers[levels].bytes;
    let half = bytes.len() / 2;
    bytes[half..].fill(u8::MAX);
}

#[test]
fn a_buffer_that_is_a_byte_too_short_is_reported() -> Result<()> {
    let Some(program) = Sanitizer::Memory.program()? else { return Ok(()) };
    for conversion in [LOCAL, LINEAR16] {
        for buffer in used(&mut case_of(&conversion)?.0) {
            let mut case = case_of(&conversion)?.0;
            saturate(&mut case);
            case.buffers[buffer].bytes.pop();
            reports_of(program, &case, "heap-buffer-overflow").context(format!("{conversion:?}, buffer {buffer}"))?;
        }
        for at in 0..case_of(&conversion)?.0.runs().count() {
            let mut case = case_of(&conversion)?.0;
            let run = case.runs().nth(at).context("as many launches as before")?;
            let kernel = run.kernel;
            run.shared_bytes -= 1;
            reports_of(program, &case, "heap-buffer-overflow").context(format!("shared memory of {kernel:?}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_misaligned_buffer_is_reported() -> Result<()> {
    const KIND: &str = "misaligned-pointer-use";
    let Some(program) = Sanitizer::Memory.program()? else { return Ok(()) };
    for conversion in [LOCAL, LINEAR16] {
        for buffer in used(&mut case_of(&conversion)?.0) {
            let mut case = case_of(&conversion)?.0;
            case.buffers[buffer].shift = 1;
            reports_of(program, &case, KIND).context(format!("{conversion:?}, buffer {buffer}"))?;
        }
    }
    // The histogram reads 16 bytes at once.
    let mut case = case_of(&LOCAL)?.0;
    let Given::Address(levels, _) = case.last_run(Kernel::Histogram).arguments[1] else {
        anyhow::bail!("the second argument of the histogram is no address")
    };
    case.buffers[levels].shift = 8;
    assert_eq!(reports_of(program, &case, KIND)?, [Report { kind: KIND.to_owned(), file: "histogram.cu".to_owned() }]);
    Ok(())
}
