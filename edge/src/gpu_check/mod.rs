//! What only a machine with a GPU can show, as findings: the kernels against the reference, rates, plans, parity, latencies.

use crate::convert::OutputType;
use crate::convert::cuda::{CudaConverter, CudaError, CudaOptions, compare, copy_rate, driver_version, in_turns};
use crate::doctor::{Finding, State};
use crate::gpu;
use crate::pipeline::{Activation, Chosen, Pipeline, Times};
use cellgate_models::bundle::{Bundle, Precision};
use cellgate_models::conversion::{Bounds, ConversionSpec, Distribution, Histogram, Method, Size};
use cellgate_models::plan::{Library, probe};
use cellgate_models::radiograph::{self, Limits, Radiograph};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Conversions that a rate is taken over.
const CONVERSIONS: u32 = 200;
/// The paper's largest electrode.
const LARGEST: Size = Size { height: 2115, width: 1219 };

/// What to look at.
#[derive(Debug, Clone)]
pub struct Options {
    /// Radiographs, besides two that are made here.
    pub images: Vec<PathBuf>,
    /// How often each precision judges one of them.
    pub rounds: usize,
    /// How TensorRT is found, and where images are decoded; `precision` and the engine's choice are not looked at.
    pub activation: Activation,
}

/// Looks at everything, one finding after the other, each told to `tell` as it is found. What is missing is a finding too.
pub fn examine(bundle: &Bundle, options: &Options, tell: &mut dyn FnMut(Finding)) {
    match gpu::at_hand().and_then(|gpu| Ok((gpu, driver_version(&CudaOptions::default())?))) {
        Ok((gpu, (major, minor))) => tell(ok("GPU", format!("{gpu}, driver for CUDA {major}.{minor}"))),
        Err(error) => return tell(failure("GPU", error.to_string())),
    }
    let libraries = options.activation.engine.tensorrt.libraries.as_deref();
    match probe(Library::Builder, libraries) {
        Ok(found) => tell(ok("TensorRT", format!("{}, {}", found.tensorrt, found.path.display()))),
        Err(error) => tell(failure("TensorRT", error.to_string())),
    }
    tell(kernels(bundle, &options.images));
    tell(rates(bundle).unwrap_or_else(|error| failure("rates", error.to_string())));
    for network in &bundle.manifest().networks {
        judge(bundle, network.precision, options, tell);
    }
}

fn ok(what: &'static str, found: String) -> Finding {
    Finding { what, state: State::Ok, found }
}

fn failure(what: &'static str, found: String) -> Finding {
    Finding { what, state: State::Failure, found }
}

/// Every method and type on every image, each value compared with the reference.
fn kernels(bundle: &Bundle, images: &[PathBuf]) -> Finding {
    let what = "kernels";
    let read = images.iter().map(|path| radiograph::read(path, &Limits::default()));
    let read = match read.collect::<Result<Vec<_>, _>>() {
        Ok(read) => read,
        Err(error) => return failure(what, error.to_string()),
    };
    let made = [noise(LARGEST, 1), noise(LARGEST, 2), noise(Size { height: 1, width: 1 }, 3)];
    let [a, b, c] = made.each_ref().map(Radiograph::view);
    let radiographs: Vec<_> = in_turns(a, b, c).into_iter().chain(read.iter().map(Radiograph::view)).collect();
    let (mut values, mut different, mut largest_ulp) = (0, 0, 0);
    for spec in specs(bundle) {
        for output in [OutputType::F32, OutputType::F16] {
            match compare(&spec, &radiographs, output, &CudaOptions::default()) {
                Ok(comparison) => {
                    values += comparison.values;
                    different += comparison.different;
                    largest_ulp = largest_ulp.max(comparison.largest_ulp);
                }
                Err(error) => return failure(what, format!("{}, {output:?}: {error}", spec.method)),
            }
        }
    }
    let found = format!(
        "{} images, {} methods, f32 and f16: {different} of {values} values differ from the CPU's, by {largest_ulp} units in \
         the last place at most",
        radiographs.len(),
        Method::ALL.len()
    );
    if different == 0 { ok(what, found) } else { failure(what, found) }
}

/// All methods, at the bundle's size and with its bounds where it has any.
fn specs(bundle: &Bundle) -> Vec<ConversionSpec> {
    let own = bundle.conversion();
    let bounds = own.bounds.or_else(|| Bounds::new(1700, 2800).ok());
    let distribution = Distribution::of(&Histogram::of(noise(LARGEST, 1).levels()));
    let of = |method| {
        let spec = ConversionSpec::new(method).with_size(own.size.unwrap_or(Size::PAPER));
        let spec = bounds.map_or(spec.clone(), |bounds| spec.with_bounds(bounds));
        distribution.clone().map_or(spec.clone(), |distribution| spec.with_distribution(distribution))
    };
    Method::ALL.into_iter().map(of).collect()
}

/// Levels of the paper's range that repeat only after 2^32 pixels.
fn noise(size: Size, seed: u32) -> Radiograph {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1650 + (state >> 16) as u16 % 1200
    };
    let levels = std::iter::repeat_with(next).take(size.pixels()).collect();
    Radiograph::new(size.width, size.height, levels).expect("as many levels as pixels")
}

/// The bundle's conversion of the largest electrode, part by part, beside the rate at which the GPU copies its own memory.
fn rates(bundle: &Bundle) -> Result<Finding, CudaError> {
    let copy = copy_rate(&CudaOptions::default())?;
    let radiograph = noise(LARGEST, 1);
    let levels = 2 * LARGEST.pixels();
    let mut words = vec![format!("copies of its own memory {:.0} GB/s", copy / 1e9)];
    for output in [OutputType::F32, OutputType::F16] {
        let start = Instant::now();
        let mut converter = CudaConverter::new(bundle.conversion(), LARGEST.pixels(), output, &CudaOptions::default())?;
        let ready = start.elapsed().as_secs_f64();
        let size = bundle.conversion().size.unwrap_or(LARGEST);
        let timings = converter.time(radiograph.view(), CONVERSIONS)?;
        let rate = |bytes: usize, time: Duration| {
            let us = time.as_secs_f64() * 1e6;
            format!("{us:.1} us ({:.0} GB/s)", bytes as f64 / us / 1e3)
        };
        words.push(format!(
            "{LARGEST} to 3x{size} {output:?}: kernels {} {}, levels to pinned memory {}, from there to the GPU {}; ready in \
             {ready:.2} s",
            if timings.is_graph { "as a graph" } else { "one by one" },
            rate(levels + 3 * size.pixels() * output.bytes(), timings.kernels),
            rate(levels, timings.staging),
            rate(levels, timings.upload),
        ));
    }
    Ok(ok("rates", words.join("; ")))
}

/// Plan, golden images and latencies of one precision.
fn judge(bundle: &Bundle, precision: Precision, options: &Options, tell: &mut dyn FnMut(Finding)) {
    let activation = Activation { precision, ..options.activation.clone() };
    let start = Instant::now();
    let (mut pipeline, Chosen { engine, .. }) = match Pipeline::activate(bundle, &activation) {
        Ok(activated) => activated,
        Err(error) => return tell(failure("plan and parity", format!("{precision}: {error}"))),
    };
    tell(ok(
        "plan and parity",
        format!(
            "{precision}, {engine}: loaded (built, where it was not kept) and all golden scores met in {:.1} s",
            start.elapsed().as_secs_f64()
        ),
    ));
    let mut all = Vec::new();
    for path in options.images.iter().cycle().take(if options.images.is_empty() { 0 } else { options.rounds }) {
        let start = Instant::now();
        let judgement = pipeline.judge(path);
        let whole = start.elapsed();
        if let Some(detail) = judgement.detail {
            return tell(failure("latency", format!("{precision}: {detail}")));
        }
        all.push((judgement.times, whole));
    }
    if all.is_empty() {
        return tell(Finding {
            what: "latency",
            state: State::Warning,
            found: format!("{precision}: not measured: no images were named"),
        });
    }
    let stage = |of: fn(&(Times, Duration)) -> Duration| {
        let mut ms: Vec<f64> = all.iter().map(|times| of(times).as_secs_f64() * 1e3).collect();
        ms.sort_by(f64::total_cmp);
        let at = |share: f64| ms[((ms.len() - 1) as f64 * share).round() as usize];
        format!("{:.2} {:.2} {:.2}", at(0.5), at(0.99), at(0.999))
    };
    tell(ok(
        "latency",
        format!(
            "{precision}, {} images, p50 p99 p99.9 in ms: reading {}, conversion with the levels' way {} and \
             network {} by the GPU's clock, all {}",
            all.len(),
            stage(|(times, _)| times.read),
            stage(|(times, _)| times.convert),
            stage(|(times, _)| times.infer),
            stage(|&(_, whole)| whole)
        ),
    ));
}
