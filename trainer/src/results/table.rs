//! Makes tables of the results of a cross-validation for the terminal. The first is like Table 1 of the paper.

use super::{LeftOutKind, MethodResults, Overall, Results, UnlikeTraining, bundle_names};
use crate::stats::Rate;
use comfy_table::{CellAlignment, Table, presets};

/// The balanced accuracy in %, one row per bundle and one column per method; `n/a` if a bundle has one class only. Three rows
/// follow: the balanced accuracy over all bundles, its 95 % interval, and the AUROC, all in %. If distances were checked, there are two
/// more: how many of the normal parts and of the abnormal parts that the score passes are beyond the largest distance.
#[must_use]
pub fn summary_table(results: &Results) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    let names = results.methods.iter().map(|method| method.method.clone());
    table.set_header(std::iter::once("bundle".to_owned()).chain(names));
    for bundle in bundle_names(results) {
        let figures = results
            .methods
            .iter()
            .map(|method| percent(method.bundle(bundle).and_then(|found| found.balanced_accuracy)));
        table.add_row(std::iter::once(bundle.to_owned()).chain(figures));
    }
    let row = |name: &str, cell: &dyn Fn(&Overall) -> String| {
        std::iter::once(name.to_owned())
            .chain(results.methods.iter().map(|method| cell(&method.overall)))
            .collect::<Vec<_>>()
    };
    table.add_row(row("overall", &|overall| percent(overall.balanced_accuracy)));
    table.add_row(row("95 % interval", &|overall| match overall.interval95 {
        Some([lo, hi]) => format!("{:.1} to {:.1}", lo * 100.0, hi * 100.0),
        None => "n/a".into(),
    }));
    table.add_row(row("AUROC", &|overall| percent(overall.auroc)));
    add_unlike_training(&mut table, results);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Adds the rows about parts beyond the largest distance, if there are such figures.
fn add_unlike_training(table: &mut Table, results: &Results) {
    if results.methods.iter().all(|method| method.unlike_training.is_none()) {
        return;
    }
    let row = |name: &str, rate: fn(UnlikeTraining) -> Option<Rate>| {
        let cell = |method: &MethodResults| {
            let rate = method.unlike_training.and_then(rate);
            rate.map_or_else(|| "n/a".into(), |rate| format!("{} of {}", rate.count, rate.of))
        };
        std::iter::once(name.to_owned()).chain(results.methods.iter().map(cell)).collect::<Vec<_>>()
    };
    table.add_row(row("false reviews", |found| found.false_reviews));
    table.add_row(row("escapes caught by distance", |found| found.caught));
}

/// Two rows for each method and number of reference parts: the balanced accuracy and the AUROC. A row shows the figure without
/// reference parts, the figure with them on the same parts, and the difference with its 95 % interval, all in %.
#[must_use]
pub fn reference_table(results: &Results) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["method", "reference parts", "figure", "none", "with", "difference", "95 % interval"]);
    for (method, found) in
        results.methods.iter().flat_map(|method| method.references.iter().map(move |found| (method, found)))
    {
        let difference = &found.difference;
        let (none, with) = (&found.none_on_same_parts.overall, &found.overall);
        let accuracy =
            (none.balanced_accuracy, with.balanced_accuracy, difference.balanced_accuracy, difference.interval95);
        let auroc = (none.auroc, with.auroc, difference.auroc, difference.auroc_interval95);
        for (name, (none, with, difference, interval)) in [("balanced accuracy", accuracy), ("AUROC", auroc)] {
            let signed = |share: f64| format!("{:+.2}", share * 100.0);
            table.add_row([
                method.method.clone(),
                found.reference.clone(),
                name.to_owned(),
                percent(none),
                percent(with),
                difference.map_or_else(|| "n/a".into(), signed),
                interval.map_or_else(|| "n/a".into(), |[lo, hi]| format!("{} to {}", signed(lo), signed(hi))),
            ]);
        }
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// One row for each method and kind of anomaly that was left out, and a row for the sum of a method's kinds. Kinds that could not be
/// left out have no row.
#[must_use]
pub fn left_out_kinds_table(results: &Results) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "method",
        "kind",
        "parts",
        "score, trained on it",
        "score, never seen",
        "score or distance, never seen",
        "false reviews",
    ]);
    let cell = |rate: Option<Rate>| {
        rate.map_or_else(|| "n/a".into(), |rate| format!("{} of {}, {:.1} %", rate.count, rate.of, 100.0 * rate.rate))
    };
    for method in &results.methods {
        let judged: Vec<&LeftOutKind> = method.left_out_kinds.iter().filter(|kind| kind.parts > 0).collect();
        let all = LeftOutKind::all(&method.left_out_kinds);
        for kind in judged.into_iter().chain([&all]) {
            table.add_row([
                method.method.clone(),
                kind.kind.clone(),
                kind.parts.to_string(),
                cell(kind.caught_when_trained),
                cell(kind.caught_by_score),
                cell(kind.caught_by_score_or_distance),
                cell(kind.false_reviews),
            ]);
        }
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// `share`, 0..=1, in %, or `n/a` without a share.
fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "n/a".into(), |share| format!("{:.2}", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label;
    use crate::results::{BundleResults, DatasetSummary, Passed};
    use crate::stats::{BundleBootstrap, BundleRanks, Scored};
    use cellgate_models::digest::Digest;

    #[test]
    fn the_table_shows_percent_and_n_a_for_a_bundle_of_one_class() {
        let parts = [(0.1, Label::Normal), (0.8, Label::Abnormal), (0.6, Label::Normal)]
            .map(|(score, label)| Scored { score, label });
        let bundles = vec![
            BundleResults::at_threshold("first", &parts[..2], 0.5),
            BundleResults::at_threshold("second", &parts[2..], 0.5),
        ];
        let dataset = DatasetSummary { images: 3, bundles: 2, normal: 2, abnormal: 1, digest: Digest::of(b"") };
        let ranks = BundleRanks::of(&[parts[..2].to_vec(), parts[2..].to_vec()]);
        let method = MethodResults::summarise("mixed", bundles, &ranks, &BundleBootstrap::default());
        let mut results = Results { dataset, config: serde_json::Value::Null, methods: vec![method] };
        insta::assert_snapshot!("table", summary_table(&results).to_string());
        let passed = Passed { label: Label::Normal, is_unlike: true };
        results.methods[0].unlike_training =
            Some(UnlikeTraining::of(&[passed, Passed { is_unlike: false, ..passed }], 1));
        insta::assert_snapshot!("table_with_distances", summary_table(&results).to_string());
        let kind = |name: &str, parts, caught| LeftOutKind {
            kind: name.into(),
            parts,
            caught_when_trained: Rate::new(caught, parts),
            caught_by_score: Rate::new(caught / 2, parts),
            caught_by_score_or_distance: Rate::new(caught - 1, parts),
            false_reviews: Rate::new(parts, 100),
        };
        results.methods[0].left_out_kinds = vec![kind("bubbles", 7, 6), kind("lines", 5, 3)];
        let none = LeftOutKind { parts: 0, ..LeftOutKind::all(&[]) };
        results.methods[0].left_out_kinds.push(LeftOutKind { kind: "scratches".into(), ..none });
        insta::assert_snapshot!("left_out_kinds", left_out_kinds_table(&results).to_string());
    }
}
