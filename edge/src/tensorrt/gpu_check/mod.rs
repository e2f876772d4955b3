//! What only a machine with a GPU can show, as the rows of one table: driver, libraries, the kernels against the reference, rates,
//! plans, parity, latencies.
//!
//! Without a GPU the table has the same rows: what is missing is a failure, and what could not be looked at for it is one too.

mod conversion;
mod latency;
mod machine;
mod options;
mod plan;
mod row;

pub use options::GpuCheckOptions;
pub use row::{header, to_lines};

use crate::finding::Finding;
use cellgate_models::model::{Model, Precision};
use cellgate_models::radiograph::{self, Radiograph, RadiographLimits};
use plan::NO_GPU;
use row::Row;

/// Each precision has its rows, whether the model has a network of it or not.
const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::F16];

/// Why nothing can be looked at after that: what is started on such a GPU fails too, or never ends.
const LOST: &str = "the GPU was lost before";

/// Looks at everything, one row after the other, each told to `tell` as soon as it is there. Once the GPU was lost, nothing more
/// is tried on it.
pub fn examine(model: &Model, options: &GpuCheckOptions, tell: &mut dyn FnMut(Finding)) {
    let mut table = Table { tell, precision: None, why_not: None };
    let (row, has_driver) = machine::driver();
    table.tell(row);
    let (row, gpu) = machine::gpu(has_driver);
    table.tell(row);
    table.why_not = gpu.is_none().then_some(NO_GPU);
    table.tell(machine::nvrtc());
    let (row, tensorrt) = machine::tensorrt(options.activation.engine.tensorrt.libraries.as_deref());
    table.tell(row);
    table.tell(about(model));
    let (row, images) = read(options);
    table.tell(row);
    table.look("kernels", || conversion::kernels(model, &images));
    let mut copy = None;
    table.look("copy rate", || {
        let row;
        (row, copy) = conversion::copy();
        row
    });
    table.look("conversion", || conversion::rate(model, copy));
    for precision in PRECISIONS {
        table.precision = Some(precision);
        judge(plan::Wanted::new(model, precision, options, gpu.as_ref(), tensorrt), options, &mut table);
    }
}

/// Where the rows go.
struct Table<'t> {
    tell: &'t mut dyn FnMut(Finding),
    /// Of which the rows are that come now.
    precision: Option<Precision>,
    /// Why nothing can be looked at on the GPU.
    why_not: Option<&'static str>,
}

impl Table<'_> {
    fn tell(&mut self, row: Row) {
        if row.is_gpu_lost {
            self.why_not = Some(LOST);
        }
        let row = match self.precision {
            Some(precision) => row.with_precision(precision),
            None => row,
        };
        (self.tell)(row.finding);
    }

    /// What is seen on the GPU, or why nothing is.
    fn look(&mut self, what: &'static str, look: impl FnOnce() -> Row) {
        match self.why_not {
            Some(why) => self.missing(&[what], why),
            None => self.tell(look()),
        }
    }

    fn missing(&mut self, whats: &[&'static str], why: &str) {
        whats.iter().for_each(|&what| self.tell(Row::failure(what, format!("not looked at: {why}"))));
    }
}

/// The model, in a line.
fn about(model: &Model) -> Row {
    let networks: Vec<_> = model.manifest().networks.iter().map(|network| network.precision.name()).collect();
    let spec = model.conversion();
    let size = spec.size.map_or_else(|| "the image's own size".to_owned(), |size| size.to_string());
    let golden = model.golden().len();
    let found = format!(
        "{}, {} to {size}, networks of {}, golden images: {golden}",
        model.digest(),
        spec.method,
        networks.join(", ")
    );
    Row::ok("model", found)
}

/// The named images, where all can be read.
fn read(options: &GpuCheckOptions) -> (Row, Vec<Radiograph>) {
    let what = "images";
    let read = options.images.iter().map(|path| radiograph::read(path, &RadiographLimits::default()));
    match read.collect::<Result<Vec<_>, _>>() {
        Ok(images) if images.is_empty() => (Row::skipped(what, "none were named"), images),
        Ok(images) => (Row::ok(what, format!("radiographs: {}", images.len())), images),
        Err(error) => (Row::failure(what, error.to_string()), Vec::new()),
    }
}

/// Plan, golden images and latencies of one precision.
fn judge(wanted: Result<plan::Wanted<'_>, String>, options: &GpuCheckOptions, table: &mut Table<'_>) {
    let (built, loaded, parity) = ("plan built", "plan loaded", "parity");
    let [read, convert, infer, all] = latency::WHATS;
    let whats = [built, loaded, parity, read, convert, infer, all];
    if table.why_not == Some(LOST) {
        return table.missing(&whats, LOST);
    }
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(why) => {
            table.tell(Row::failure(built, format!("not built: {why}")));
            return table.missing(&whats[1..], "no plan was built");
        }
    };
    let (row, is_built) = wanted.build();
    table.tell(row);
    if !is_built {
        return table.missing(&whats[1..], "no plan was built");
    }
    let (row, loaded) = wanted.load();
    table.tell(row);
    match loaded {
        plan::Loaded::Proven(mut pipeline) => {
            table.tell(wanted.parity(&mut pipeline));
            match table.why_not {
                Some(why) => table.missing(&whats[3..], why),
                None => latency::rows(&mut pipeline, options).into_iter().for_each(|row| table.tell(row)),
            }
        }
        plan::Loaded::Disproven(why) => {
            table.tell(Row::failure(parity, why));
            table.missing(&whats[3..], "a golden image did not get its score");
        }
        plan::Loaded::Not => table.missing(&whats[2..], table.why_not.unwrap_or("no plan was loaded")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_lost_gpu_nothing_more_is_tried_on_it() {
        let mut rows = Vec::new();
        let mut tell = |finding: Finding| rows.push(finding);
        let mut table = Table { tell: &mut tell, precision: None, why_not: None };
        table.look("kernels", || Row::failure("kernels", "differ"));
        table.look("copy rate", || Row::failure("copy rate", "no answer").losing_gpu(true));
        table.precision = Some(Precision::F16);
        table.look("conversion", || panic!("it might never end"));
        table.tell(Row::ok("images", "none"));
        table.missing(&["parity"], table.why_not.unwrap_or_default());
        let found: Vec<_> = rows.iter().map(|row| row.found.as_str()).collect();
        let lost = "not looked at: the GPU was lost before";
        assert_eq!(found, ["differ", "no answer", lost, "none", lost]);
        assert_eq!(rows[2].precision, Some(Precision::F16));
    }
}
