//! Runs the checks that need a machine with a GPU, and reports them as the rows of one table: driver, libraries, kernels compared
//! with the reference, rates, plans, parity, latencies.
//!
//! For the same options the table has the same rows on every machine. A missing component is a failure, and so is each check that
//! can't run without it. With [`GpuCheckOptions::kernels_only`] the table has the rows about the kernels only.

mod conversion;
mod images;
mod latency;
mod machine;
mod options;
mod plan;
mod row;

pub use options::GpuCheckOptions;
pub use row::{header, to_lines};

use crate::finding::Finding;
use cellgate_models::model::{Model, Precision};
use plan::NO_GPU;
use row::Row;

/// The precisions of the table. The table has rows for both, even if the model has a network of one precision only.
const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::F16];

/// Why a check was not run after the GPU was lost. Any work on such a GPU would fail, or never end.
const LOST: &str = "the GPU was lost in an earlier check";

/// Runs all checks in order and passes each row to `report` as soon as it is known. After the GPU was lost, no check uses it.
pub fn examine(model: &Model, options: &GpuCheckOptions, report: &mut dyn FnMut(Finding)) {
    let mut table = Table { report, precision: None, obstacle: None };
    let (row, has_driver) = machine::driver();
    table.add(row);
    let (row, gpu) = machine::gpu(has_driver);
    table.add(row);
    table.obstacle = gpu.is_none().then_some(NO_GPU);
    table.add(machine::nvrtc());
    if options.kernels_only {
        let (row, images) = images::read(options);
        table.add(row);
        return table.check("kernels", || conversion::kernels(model, &images));
    }
    let (row, tensorrt) = machine::tensorrt(options.activation.engine.tensorrt.libraries.as_deref());
    table.add(row);
    table.add(about(model));
    let (row, images) = images::read(options);
    table.add(row);
    table.add(images::envelope(model, options, &images));
    table.check("kernels", || conversion::kernels(model, &images));
    let mut copy = None;
    table.check("copy rate", || {
        let row;
        (row, copy) = conversion::copy();
        row
    });
    table.check("conversion", || conversion::rate(model, copy));
    for precision in PRECISIONS {
        table.precision = Some(precision);
        check_precision(plan::Wanted::new(model, precision, options, gpu.as_ref(), tensorrt), options, &mut table);
    }
}

/// The table under construction.
struct Table<'t> {
    report: &'t mut dyn FnMut(Finding),
    /// The precision of the rows that follow.
    precision: Option<Precision>,
    /// Why checks on the GPU can't run; `None` if they can.
    obstacle: Option<&'static str>,
}

impl Table<'_> {
    fn add(&mut self, row: Row) {
        if row.is_gpu_lost {
            self.obstacle = Some(LOST);
        }
        let row = match self.precision {
            Some(precision) => row.with_precision(precision),
            None => row,
        };
        (self.report)(row.finding);
    }

    /// Runs a check on the GPU, or adds a row with the obstacle.
    fn check(&mut self, what: &'static str, check: impl FnOnce() -> Row) {
        match self.obstacle {
            Some(why) => self.missing(&[what], why),
            None => self.add(check()),
        }
    }

    /// Adds a failure for each of the checks `whats`, which can't run.
    fn missing(&mut self, whats: &[&'static str], why: &str) {
        whats.iter().for_each(|&what| self.add(Row::failure(what, format!("not checked: {why}"))));
    }
}

/// Describes the model in one line of text.
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

/// Checks plan, golden images and latencies of one precision.
fn check_precision(wanted: Result<plan::Wanted<'_>, String>, options: &GpuCheckOptions, table: &mut Table<'_>) {
    let (built, loaded) = ("plan built", "plan loaded");
    let of_the_loaded_plan = [plan::OUTPUTS.as_slice(), &latency::WHATS].concat();
    let whats = [&[built, loaded], of_the_loaded_plan.as_slice()].concat();
    if table.obstacle == Some(LOST) {
        return table.missing(&whats, LOST);
    }
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(why) => {
            table.add(Row::failure(built, format!("not built: {why}")));
            return table.missing(&whats[1..], "no plan was built");
        }
    };
    let (row, is_built) = wanted.build();
    table.add(row);
    if !is_built {
        return table.missing(&whats[1..], "no plan was built");
    }
    let (row, loaded) = wanted.load();
    table.add(row);
    match loaded {
        plan::Loaded::Proven(mut pipeline) => {
            wanted.outputs(&mut pipeline).into_iter().for_each(|row| table.add(row));
            match table.obstacle {
                Some(why) => table.missing(&latency::WHATS, why),
                None => latency::rows(&mut pipeline, &wanted, options).into_iter().for_each(|row| table.add(row)),
            }
        }
        plan::Loaded::Disproven(why) => {
            plan::OUTPUTS.iter().for_each(|&what| table.add(Row::failure(what, &why)));
            table.missing(&latency::WHATS, "a golden image has another output than expected");
        }
        plan::Loaded::Failed => table.missing(&of_the_loaded_plan, table.obstacle.unwrap_or("no plan was loaded")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_lost_gpu_no_check_uses_it() {
        let mut rows = Vec::new();
        let mut report = |finding: Finding| rows.push(finding);
        let mut table = Table { report: &mut report, precision: None, obstacle: None };
        table.check("kernels", || Row::failure("kernels", "differ"));
        table.check("copy rate", || Row::failure("copy rate", "no answer").losing_gpu(true));
        table.precision = Some(Precision::F16);
        table.check("conversion", || panic!("it might never end"));
        table.add(Row::ok("images", "none"));
        table.missing(&["parity"], table.obstacle.unwrap_or_default());
        let found: Vec<_> = rows.iter().map(|row| row.found.as_str()).collect();
        let lost = format!("not checked: {LOST}");
        assert_eq!(found, ["differ", "no answer", &lost, "none", &lost]);
        assert_eq!(rows[2].precision, Some(Precision::F16));
    }
}
