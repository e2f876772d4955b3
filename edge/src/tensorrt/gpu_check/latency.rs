//! Measures the stages of judging a part on the GPU.

use super::plan::Wanted;
use super::{GpuCheckOptions, Row};
use crate::percentile::percentile;
use crate::pipeline::{Pipeline, Times};
use std::time::{Duration, Instant};

/// A stage: the name of its row, what its time covers, and how to get it from the pipeline's times and the time of the whole
/// judgement.
type Stage = (&'static str, &'static str, fn(&(Times, Duration)) -> Duration);

/// The stages, and at the end the whole judgement.
const STAGES: [Stage; 5] = [
    ("latency read", "file, decoding in the sandbox, digest", |(times, _)| times.read),
    ("latency upload", "the levels to pinned memory, by the CPU's clock", |(times, _)| times.upload),
    ("latency convert", "the kernels, by the GPU's clock", |(times, _)| times.convert),
    ("latency infer", "the network, by the GPU's clock", |(times, _)| times.infer),
    ("latency all", "from the path to the verdict", |&(_, whole)| whole),
];

/// The names of the rows, which every table has.
pub(super) const WHATS: [&str; 5] = [STAGES[0].0, STAGES[1].0, STAGES[2].0, STAGES[3].0, STAGES[4].0];

/// Judges the images of `options` in turn, `options.rounds` images in all. Returns a row for each stage.
pub(super) fn rows(pipeline: &mut Pipeline, wanted: &Wanted<'_>, options: &GpuCheckOptions) -> [Row; 5] {
    if options.images.is_empty() {
        return WHATS.map(|what| Row::skipped(what, "no images were named"));
    }
    let (mut all, rule) = (Vec::new(), wanted.rule());
    for path in options.images.iter().cycle().take(options.rounds) {
        let start = Instant::now();
        let judgement = pipeline.judge(path, &rule);
        let whole = start.elapsed();
        if judgement.output.is_none() {
            let found = format!("{}: {}", path.display(), judgement.detail.unwrap_or_default());
            return WHATS.map(|what| Row::failure(what, &found).losing_gpu(pipeline.is_lost()));
        }
        all.push((judgement.times, whole));
    }
    STAGES.map(|(what, covers, time)| row(what, covers, all.iter().map(time)))
}

fn row(what: &'static str, covers: &str, times: impl Iterator<Item = Duration>) -> Row {
    let mut ms: Vec<f64> = times.map(|time| time.as_secs_f64() * 1e3).collect();
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| percentile(&mut ms, share).unwrap_or(f64::NAN));
    let found = format!("p50 {p50:8.2}  p99 {p99:8.2}  p99.9 {p999:8.2} ms of {}; {covers}", ms.len());
    Row::ok(what, found).with_figures([("p50_ms", p50), ("p99_ms", p99), ("p99.9_ms", p999)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_percentiles_of_its_times() {
        let row = row("latency infer", "the network", (1..=1000).map(Duration::from_millis));
        assert_eq!(row.finding.found, "p50   501.00  p99   990.00  p99.9   999.00 ms of 1000; the network");
        assert_eq!(row.finding.figures["p99.9_ms"], 999.0);
    }
}
