//! Makes the table of out-of-fold verdicts that `train` prints on the terminal.

use super::Trained;
use crate::dataset::Label;
use crate::stats::wilson95;
use cellgate_models::policy::Verdict;
use comfy_table::{Table, presets};

/// One row per class: how many of the class's parts pass, are reviewed and are rejected, with Wilson's 95 % intervals.
#[must_use]
pub fn summary_table(trained: &Trained) -> Table {
    let policy = &trained.run.policy;
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "out of fold".to_owned(),
        format!("PASS, score below {:.4}", policy.review_from()),
        "REVIEW".to_owned(),
        format!("REJECT, score from {:.4} on", policy.reject_from()),
    ]);
    for (label, name) in [(Label::Normal, "normal"), (Label::Abnormal, "abnormal")] {
        let verdicts: Vec<Verdict> = trained
            .scored
            .iter()
            .filter(|part| part.label == label)
            .map(|part| policy.decide(part.score as f32).verdict)
            .collect();
        let share = |verdict: Verdict| {
            let count = verdicts.iter().filter(|&&found| found == verdict).count();
            let interval = wilson95(count as u64, verdicts.len() as u64);
            let interval = interval
                .map_or_else(String::new, |[low, high]| format!(" ({:.1} to {:.1} %)", 100.0 * low, 100.0 * high));
            format!("{count} of {}{interval}", verdicts.len())
        };
        table.add_row([name.to_owned(), share(Verdict::Pass), share(Verdict::Review), share(Verdict::Reject)]);
    }
    table
}
