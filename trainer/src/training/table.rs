//! Makes the table of out-of-fold verdicts that `train` prints on the terminal.

use super::Trained;
use crate::dataset::Label;
use crate::stats::{Scored, wilson95};
use cellgate_models::policy::OperatingPoint;
use comfy_table::{Table, presets};

/// Tables of out-of-fold verdicts: one for bundles without reference parts and, if the model is for them, one for bundles with
/// reference parts.
#[must_use]
pub fn summary_tables(trained: &Trained) -> Vec<Table> {
    let policy = &trained.run.policy;
    let mut tables = vec![table("out of fold", policy.without(), &trained.scored, 1)];
    if let (Some((point, reference)), Some(scored)) = (policy.with(), &trained.scored_with_reference) {
        let title = format!("with {} reference parts", reference.parts());
        tables.push(table(&title, point, scored, crate::fit::REFERENCE_DRAWS));
    }
    tables
}

/// One row per class: how many of the class's parts pass, are reviewed and are rejected, with Wilson's 95 % intervals. Each part
/// occurs up to `draws` times in `scored`.
fn table(title: &str, point: OperatingPoint, scored: &[Scored], draws: usize) -> Table {
    let [review_from, reject_from] = point.score_thresholds();
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        title.to_owned(),
        format!("PASS, score below {review_from:.4}"),
        "REVIEW".to_owned(),
        format!("REJECT, score from {reject_from:.4} on"),
    ]);
    for (label, name) in [(Label::Normal, "normal"), (Label::Abnormal, "abnormal")] {
        let scores: Vec<f64> = scored.iter().filter(|part| part.label == label).map(|part| part.score).collect();
        // The draws repeat parts and add no information, so the interval counts each part once.
        let parts = |is_in: &dyn Fn(f64) -> bool| {
            (scores.iter().filter(|&&score| is_in(score)).count() as f64 / draws as f64).round() as u64
        };
        let total = parts(&|_| true);
        let passed = parts(&|score| score < review_from);
        let rejected = parts(&|score| score >= reject_from).min(total - passed);
        // The rest, so that the three numbers add up after rounding.
        let reviewed = total - passed - rejected;
        let share = |count: u64| {
            let interval = wilson95(count, total)
                .map_or_else(String::new, |[low, high]| format!(" ({:.1} to {:.1} %)", 100.0 * low, 100.0 * high));
            format!("{count} of {total}{interval}")
        };
        table.add_row([name.to_owned(), share(passed), share(reviewed), share(rejected)]);
    }
    table
}
