//! What only a machine with a GPU can show, as the rows of one table: driver, libraries, the kernels against the reference, rates,
//! plans, parity, latencies.
//!
//! Without a GPU the table has the same rows: what is missing is a failure, and what could not be looked at for it is one too.

mod conversion;
mod latency;
mod machine;
mod plan;
mod row;

pub use row::{Row, State};

use crate::pipeline::Activation;
use cellgate_models::bundle::{Bundle, Precision};
use cellgate_models::radiograph::{self, Limits, Radiograph};
use std::path::PathBuf;

/// Each precision has its rows, whether the bundle has a network of it or not.
const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::F16];

/// Why nothing can be looked at without one.
const NO_GPU: &str = "there is no GPU";

/// What to look at.
#[derive(Debug, Clone)]
pub struct Options {
    /// Radiographs, besides three that are made here.
    pub images: Vec<PathBuf>,
    /// How often each precision judges one of them.
    pub rounds: usize,
    /// How TensorRT is found, where plans are kept, and how images are decoded; `precision`, the engine's choice and
    /// whether plans are kept are not looked at.
    pub activation: Activation,
}

/// Looks at everything, one row after the other, each told to `tell` as soon as it is there.
pub fn examine(bundle: &Bundle, options: &Options, tell: &mut dyn FnMut(Row)) {
    let (row, has_driver) = machine::driver();
    tell(row);
    let (row, gpu) = machine::gpu(has_driver);
    tell(row);
    tell(machine::nvrtc());
    let (row, tensorrt) = machine::tensorrt(options.activation.engine.tensorrt.libraries.as_deref());
    tell(row);
    tell(about(bundle));
    let (row, images) = read(options);
    tell(row);
    if gpu.is_some() {
        tell(conversion::kernels(bundle, &images));
        conversion::rates(bundle, tell);
    } else {
        missing(tell, &["kernels", "copy rate"], NO_GPU);
        for precision in PRECISIONS {
            missing(&mut |row| tell(row.with_precision(precision)), &["conversion"], NO_GPU);
        }
    }
    for precision in PRECISIONS {
        let wanted = plan::Wanted::new(bundle, precision, options, gpu.as_ref(), tensorrt);
        judge(wanted, options, &mut |row| tell(row.with_precision(precision)));
    }
}

/// The bundle, in a line.
fn about(bundle: &Bundle) -> Row {
    let networks: Vec<_> = bundle.manifest().networks.iter().map(|network| network.precision.name()).collect();
    let spec = bundle.conversion();
    let size = spec.size.map_or_else(|| "the image's own size".to_owned(), |size| size.to_string());
    let golden = bundle.golden().len();
    let found = format!(
        "{}, {} to {size}, networks of {}, golden images: {golden}",
        bundle.digest(),
        spec.method,
        networks.join(", ")
    );
    Row::ok("bundle", found)
}

/// The named images, where all can be read.
fn read(options: &Options) -> (Row, Vec<Radiograph>) {
    let what = "images";
    let read = options.images.iter().map(|path| radiograph::read(path, &Limits::default()));
    match read.collect::<Result<Vec<_>, _>>() {
        Ok(images) if images.is_empty() => (Row::skipped(what, "none were named"), images),
        Ok(images) => (Row::ok(what, format!("radiographs: {}", images.len())), images),
        Err(error) => (Row::failure(what, error.to_string()), Vec::new()),
    }
}

/// Plan, golden images and latencies of one precision.
fn judge(wanted: Result<plan::Wanted<'_>, String>, options: &Options, tell: &mut dyn FnMut(Row)) {
    let unbuilt = ["plan loaded", "parity", "latency"];
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(why) => {
            tell(Row::failure("plan built", format!("not built: {why}")));
            return missing(tell, &unbuilt, "no plan was built");
        }
    };
    let (row, is_built) = wanted.build();
    tell(row);
    if !is_built {
        return missing(tell, &unbuilt, "no plan was built");
    }
    let (row, loaded) = wanted.load();
    tell(row);
    match loaded {
        plan::Loaded::Proven(mut pipeline) => {
            tell(wanted.parity(&mut pipeline));
            latency::rows(&mut pipeline, options).into_iter().for_each(tell);
        }
        plan::Loaded::Disproven(why) => {
            tell(Row::failure("parity", why));
            missing(tell, &["latency"], "a golden image did not get its score");
        }
        plan::Loaded::Not => missing(tell, &unbuilt[1..], "no plan was loaded"),
    }
}

fn missing(tell: &mut dyn FnMut(Row), whats: &[&'static str], why: &str) {
    whats.iter().for_each(|&what| tell(Row::failure(what, format!("not looked at: {why}"))));
}
