//! Makes the section "Reference parts": how much the figures improve if each bundle begins with parts known to be good.

use super::analysis::Analysis;
use super::format::{counted, interval, list, percent_or, points};
use crate::results::{BundleReference, MethodResults, ReferenceResults};
use maud::{Markup, html};

/// The section; `None` if the cross-validation had no reference parts.
pub(super) fn section(analysis: &Analysis<'_>) -> Option<Markup> {
    let rows: Vec<(&MethodResults, &ReferenceResults)> = analysis
        .methods()
        .iter()
        .flat_map(|method| method.references.iter().map(move |found| (method, found)))
        .collect();
    let (_, first) = rows.first()?;
    Some(html! {
        p {
            "The first parts of a bundle, known to be good, show by how much the bundle shifts all logits. This offset is subtracted "
            "from the logits of the bundle’s other parts. " b { "good:K" } " draws K normal parts of each test bundle at random, "
            (counted(first.draws.into(), "time", "times")) "; drawn parts are not scored. " b { "none" } " gives the figures on the "
            "same parts without an offset. The differences are paired, with a bootstrap over bundles."
        }
        div.scroll tabindex="0" {
            table.figures {
                thead {
                    tr {
                        th.name rowspan="2" { "Method" }
                        th rowspan="2" { "Reference parts" }
                        th.group colspan="4" { "Balanced accuracy in %" }
                        th.group colspan="4" { "AUROC in %" }
                    }
                    tr {
                        @for _ in 0..2 { th { "none" } th { "with" } th { "difference" } th { "95 % interval" } }
                    }
                }
                tbody { @for (method, found) in &rows { (row(method, found)) } }
            }
        }
        @for (method, found) in &rows { (remarks(method, found)) }
        p.small {
            "The figures hold only if the reference parts are really good. The guard refuses reference parts that are unlike "
            "those of the training. It can’t show that a part is good."
        }
    })
}

fn row(method: &MethodResults, found: &ReferenceResults) -> Markup {
    let none = &found.none_on_same_parts.overall;
    let difference = &found.difference;
    let figures = [
        (none.balanced_accuracy, found.overall.balanced_accuracy, difference.balanced_accuracy, difference.interval95),
        (none.auroc, found.overall.auroc, difference.auroc, difference.auroc_interval95),
    ];
    html! {
        tr {
            th.name scope="row" { (method.method) }
            td { (found.reference) }
            @for (none, with, difference, interval95) in figures {
                td { (percent_or(none, 1)) }
                td { b { (percent_or(with, 1)) } }
                td { (difference.map_or_else(|| "n/a".to_owned(), points)) }
                td { (interval95.map_or_else(|| interval(None), |[lo, hi]| format!("{}\u{a0}to\u{a0}{}", points(lo), points(hi)))) }
            }
        }
    }
}

/// Names the bundles with fewer reference parts than asked for, and those whose reference parts the guard refused.
fn remarks(method: &MethodResults, found: &ReferenceResults) -> Markup {
    let fewer = |bundle: &BundleReference| bundle.parts < found.parts;
    let names = |is_named: &dyn Fn(&BundleReference) -> bool, text: &dyn Fn(&BundleReference) -> String| {
        found.reference_parts.iter().filter(|bundle| is_named(bundle)).map(text).collect::<Vec<String>>()
    };
    let fewer = names(&fewer, &|bundle| format!("{} ({})", bundle.bundle, bundle.parts));
    let refused = names(&|bundle| bundle.refused_draws > 0, &|bundle| {
        format!("{} ({} of {} draws)", bundle.bundle, bundle.refused_draws, found.draws)
    });
    let listed = |names: &[String]| list(&names.iter().map(String::as_str).collect::<Vec<_>>());
    html! {
        @if !fewer.is_empty() {
            p.small {
                (method.method) ", " (found.reference) ": bundles with few normal parts have fewer reference parts: " (listed(&fewer))
                ". A bundle with 0 is not scored."
            }
        }
        @if !refused.is_empty() {
            p.small {
                (method.method) ", " (found.reference) ": the guard would refuse the reference parts of " (listed(&refused))
                ". The figures ignore the guard; on the line, such a bundle has no PASS."
            }
        }
    }
}
