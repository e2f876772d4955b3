//! Makes the section "Parts unlike the training": what the largest distance is worth, and how well kinds of anomaly are caught that
//! were never trained on.

use super::analysis::Analysis;
use super::format::{NOT_APPLICABLE, count, counted, interval, list, percent};
use crate::results::{LeftOutKind, MethodResults, UnlikeTraining};
use crate::stats::Rate;
use maud::{Markup, html};

/// The section; `None` if distances were not checked and no kind was left out.
pub(super) fn section(analysis: &Analysis<'_>) -> Option<Markup> {
    let methods = analysis.methods();
    let rows: Vec<(&MethodResults, &str, &UnlikeTraining)> = methods.iter().flat_map(of_method).collect();
    let kinds: Vec<&MethodResults> = methods.iter().filter(|method| !method.left_out_kinds.is_empty()).collect();
    if rows.is_empty() && kinds.is_empty() {
        return None;
    }
    Some(html! {
        p {
            "A part may have a low score only because nothing like it was in the training. So the network also gives the part’s distance "
            "from the normal training parts, or from the reference parts of its bundle. A part with the verdict PASS that is beyond the "
            "largest distance becomes a REVIEW. The largest distance was chosen without the test bundle: 1 % of the normal training "
            "parts that the score passes are beyond it."
        }
        @if !rows.is_empty() { (worth(&rows)) }
        @if !kinds.is_empty() { (left_out(&kinds)) }
    })
}

/// The figures of a method: those without reference parts first.
fn of_method(method: &MethodResults) -> impl Iterator<Item = (&MethodResults, &str, &UnlikeTraining)> {
    let with = method.references.iter().map(|found| (found.reference.as_str(), found.unlike_training.as_ref()));
    let all = std::iter::once(("none", method.unlike_training.as_ref())).chain(with);
    all.filter_map(move |(reference, found)| Some((method, reference, found?)))
}

fn worth(rows: &[(&MethodResults, &str, &UnlikeTraining)]) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table.figures {
                thead {
                    tr {
                        th.name rowspan="2" { "Method" }
                        th rowspan="2" { "Reference parts" }
                        th.group colspan="3" { "False reviews: normal parts beyond the largest distance" }
                        th.group colspan="3" { "Caught: escapes beyond the largest distance" }
                    }
                    tr { @for _ in 0..2 { th { "parts" } th { "rate in %" } th { "95 % interval" } } }
                }
                tbody {
                    @for (method, reference, found) in rows {
                        tr {
                            th.name scope="row" { (method.method) }
                            td { (reference) }
                            @for rate in [found.false_reviews, found.caught] {
                                td { (parts(rate)) }
                                td { b { (rate.map_or_else(|| NOT_APPLICABLE.into(), |rate| percent(rate.rate, 1))) } }
                                td { (interval(rate.map(|rate| rate.interval95))) }
                            }
                        }
                    }
                }
            }
        }
        p.small {
            "Only parts that the score passes are counted. With reference parts, counts are sums over all draws, and the intervals count "
            "each part once. The other sections ignore the distance."
        }
    }
}

fn left_out(methods: &[&MethodResults]) -> Markup {
    html! {
        h3 { "Kinds of anomaly that were never trained on" }
        p {
            "Each kind was left out in turn: the models were trained without any part that has it, and judged the abnormal parts of the test "
            "bundle that have it. A part with several kinds counts for each of them, and may be caught by one that was trained on."
        }
        div.scroll tabindex="0" {
            table.figures {
                thead {
                    tr {
                        th.name { "Method" }
                        th { "Kind" }
                        th { "Parts" }
                        th { "Caught by the score, trained on the kind" }
                        th { "Caught by the score, never seen" }
                        th { "Caught by score or distance, never seen" }
                        th { "False reviews" }
                    }
                }
                tbody {
                    @for method in methods {
                        @for kind in method.left_out_kinds.iter().filter(|kind| kind.parts > 0) { (kind_row(method, kind)) }
                        (kind_row(method, &LeftOutKind::all(&method.left_out_kinds)))
                    }
                }
            }
        }
        @for method in methods { (skipped(method)) }
    }
}

fn kind_row(method: &MethodResults, kind: &LeftOutKind) -> Markup {
    let rates = [kind.caught_when_trained, kind.caught_by_score, kind.caught_by_score_or_distance, kind.false_reviews];
    html! {
        tr {
            th.name scope="row" { (method.method) }
            td { (kind.kind) }
            td { (count(kind.parts)) }
            @for rate in rates {
                td {
                    b { (rate.map_or_else(|| NOT_APPLICABLE.into(), |rate| format!("{}\u{a0}%", percent(rate.rate, 1)))) }
                    " (" (parts(rate)) ")"
                }
            }
        }
    }
}

/// Names the kinds that could not be left out.
fn skipped(method: &MethodResults) -> Markup {
    let kinds = method.left_out_kinds.iter().filter(|kind| kind.parts == 0);
    let names: Vec<&str> = kinds.map(|kind| kind.kind.as_str()).collect();
    html! {
        @if !names.is_empty() {
            p.small {
                (method.method) ": " (counted(names.len() as u64, "kind", "kinds")) " could not be left out (in one bundle only, or too "
                "few parts left to train on or to judge): " (list(&names)) "."
            }
        }
    }
}

fn parts(rate: Option<Rate>) -> String {
    rate.map_or_else(|| NOT_APPLICABLE.into(), |rate| format!("{} / {}", count(rate.count), count(rate.of)))
}
