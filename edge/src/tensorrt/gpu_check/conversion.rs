//! Compares the kernels with the reference, and their rates with the copy rate of the GPU's memory.

use super::Row;
use crate::convert::LaunchSequence;
use crate::convert::cuda::{CudaConverter, CudaError, Timings, compare, copy_rate, in_turns};
use cellgate_models::conversion::{Bounds, ConversionSpec, Size};
use cellgate_models::model::Model;
use cellgate_models::radiograph::Radiograph;
use std::time::{Duration, Instant};

/// Number of conversions that a rate is measured over.
const CONVERSIONS: u32 = 200;
/// The size of the paper's largest radiograph.
const LARGEST: Size = Size { height: 2115, width: 1219 };

/// Converts `named` and three generated images with every method that has kernels, and compares each value with the reference.
pub(super) fn kernels(model: &Model, named: &[Radiograph]) -> Row {
    let generated = [noise(LARGEST, 1), noise(LARGEST, 2), noise(Size { height: 1, width: 1 }, 3)];
    let [a, b, c] = generated.each_ref().map(Radiograph::view);
    let radiographs: Vec<_> = in_turns(a, b, c).into_iter().chain(named.iter().map(Radiograph::view)).collect();
    let (mut values, mut different, mut largest_ulp) = (0, 0, 0);
    for spec in specs(model) {
        match compare(&spec, &radiographs) {
            Ok(comparison) => {
                values += comparison.values;
                different += comparison.different;
                largest_ulp = largest_ulp.max(comparison.largest_ulp);
            }
            Err(error) => {
                let row = Row::failure("kernels", format!("{}: {error}", spec.method));
                return row.losing_gpu(error.is_context_lost());
            }
        }
    }
    let images = named.len() + generated.len();
    let on =
        format!("{images} images ({} of them generated), {} methods", generated.len(), LaunchSequence::METHODS.len());
    let compared = match different {
        0 => Ok(format!("byte-equal with the CPU: yes; {on}, {values} values")),
        _ => Err(format!(
            "byte-equal with the CPU: no; {different} of {values} values differ, by at most {largest_ulp} units in the last \
             place; {on}"
        )),
    };
    let figures = [("images", images as f64), ("values", values as f64), ("different_values", different as f64)];
    Row::of("kernels", compared).with_figures(figures)
}

/// A specification for each method that has kernels, with the model's size and bounds. Where the model has none: the paper's.
fn specs(model: &Model) -> impl Iterator<Item = ConversionSpec> {
    let own = model.conversion();
    let bounds = own.bounds.or_else(|| Bounds::new(1700, 2800).ok());
    let size = own.size.unwrap_or(Size::PAPER);
    LaunchSequence::METHODS.into_iter().map(move |method| {
        let spec = ConversionSpec::new(method).with_size(size);
        bounds.map_or(spec.clone(), |bounds| spec.with_bounds(bounds))
    })
}

/// A radiograph of pseudo-random levels in the paper's range. The generator has a period of 2^32 levels.
fn noise(size: Size, seed: u32) -> Radiograph {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1650 + (state >> 16) as u16 % 1200
    };
    let levels = std::iter::repeat_with(next).take(size.pixels()).collect();
    Radiograph::new(size.width, size.height, levels).expect("as many levels as pixels")
}

/// Measures the rate at which the GPU copies within its own memory. Returns the row, and the rate in bytes per second.
pub(super) fn copy() -> (Row, Option<f64>) {
    match copy_rate() {
        Ok(rate) => {
            let row = Row::ok("copy rate", format!("{} within the GPU's own memory", gb_per_s(rate)));
            (row.with_figures([("bytes_per_s", rate)]), Some(rate))
        }
        Err(error) => (Row::failure("copy rate", error.to_string()).losing_gpu(error.is_context_lost()), None),
    }
}

/// Measures the model's conversion of a radiograph of the largest size, and compares its rate with `copy`, the rate that
/// [`copy()`] measured.
pub(super) fn rate(model: &Model, copy: Option<f64>) -> Row {
    measure(model, copy)
        .unwrap_or_else(|error| Row::failure("conversion", error.to_string()).losing_gpu(error.is_context_lost()))
}

/// Measures the steps of the conversion.
fn measure(model: &Model, copy: Option<f64>) -> Result<Row, CudaError> {
    let start = Instant::now();
    let mut converter = CudaConverter::new(model.conversion(), LARGEST.pixels())?;
    let ready = start.elapsed();
    let Timings { staging, upload, kernels, is_graph } = converter.time(noise(LARGEST, 1).view(), CONVERSIONS)?;
    let size = model.conversion().size.unwrap_or(LARGEST);
    let levels = 2 * LARGEST.pixels();
    let own = per_second(levels + 3 * size.pixels() * size_of::<f32>(), kernels);
    let share = copy.map_or(String::new(), |copy| format!(", {:.0} % of the copy rate", 100.0 * own / copy));
    let found = format!(
        "{LARGEST} to 3x{size}, {}: kernels {}, {}{share}; levels to pinned memory {}, {}; from there to the GPU {}, {}; ready in \
         {:.2} s",
        if is_graph { "launched as a graph" } else { "launched one by one" },
        us(kernels),
        gb_per_s(own),
        us(staging),
        gb_per_s(per_second(levels, staging)),
        us(upload),
        gb_per_s(per_second(levels, upload)),
        ready.as_secs_f64(),
    );
    Ok(Row::ok("conversion", found).with_figures([
        ("kernels_us", kernels.as_secs_f64() * 1e6),
        ("kernels_bytes_per_s", own),
        ("staging_us", staging.as_secs_f64() * 1e6),
        ("upload_us", upload.as_secs_f64() * 1e6),
        ("ready_s", ready.as_secs_f64()),
    ]))
}

/// Bytes per second. A time below the clock's resolution counts as a nanosecond.
fn per_second(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.max(Duration::from_nanos(1)).as_secs_f64()
}

fn us(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}

fn gb_per_s(bytes_per_s: f64) -> String {
    format!("{:.0} GB/s", bytes_per_s / 1e9)
}
