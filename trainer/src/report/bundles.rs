//! Makes the section "Errors by bundle": the confusion matrix over all bundles, and a table of errors by bundle,
//! coloured by their share.

use super::analysis::Analysis;
use super::format::count;
use crate::results::Confusion;
use maud::{Markup, html};

pub(super) fn section(analysis: &Analysis<'_>) -> Markup {
    html! {
        p { "Labels (rows) and verdicts (columns) over all bundles:" }
        div.matrices {
            @for method in analysis.methods() { (matrix(&method.method, &method.overall.confusion)) }
        }
        p {
            "By bundle: " b { "esc." } " are escapes / abnormal parts, " b { "over." } " is overkill / normal parts, "
            b { "thr." } " is the threshold. A stronger colour means a larger share. A row with strong colours is a bundle "
            "that differs from the others."
        }
        div.scroll tabindex="0" {
            table.figures.heat {
                thead {
                    tr {
                        th.name rowspan="2" { "Bundle" }
                        @for method in analysis.methods() { th.group colspan="3" { (method.method) } }
                    }
                    tr {
                        @for _ in analysis.methods() { th.group { "esc." } th { "over." } th { "thr." } }
                    }
                }
                tbody {
                    @for bundle in &analysis.bundles {
                        tr {
                            th.name scope="row" { (bundle) }
                            @for method in analysis.methods() {
                                @match method.bundle(bundle) {
                                    Some(found) => {
                                        (heat(found.confusion.fn_, found.confusion.abnormal(), "group"))
                                        (heat(found.confusion.fp, found.confusion.normal(), ""))
                                        td.quiet { (format!("{:.2}", found.threshold)) }
                                    }
                                    None => td.none.group colspan="3" { "not run" },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A cell with the text `errors/parts`. A larger share of errors gives a stronger colour, from 15 to 70 %.
fn heat(errors: u64, parts: u64, class: &str) -> Markup {
    let share = if parts > 0 { errors as f64 / parts as f64 } else { 0.0 };
    html! {
        td.hot[errors > 0].none[parts == 0] class=(class) style=[(errors > 0).then(|| format!("--heat:{:.0}%", 15.0 + share * 55.0))] {
            @if parts > 0 { (count(errors)) span.quiet { "/" (count(parts)) } } @else { "\u{2013}" }
        }
    }
}

fn matrix(name: &str, counts: &Confusion) -> Markup {
    html! {
        table.matrix {
            caption { (name) }
            thead { tr { th {} th scope="col" { "judged" br; "normal" } th scope="col" { "judged" br; "abnormal" } } }
            tbody {
                tr {
                    th scope="row" { "normal" }
                    td { b { (count(counts.tn)) } span.quiet { "right" } }
                    td.wrong { b { (count(counts.fp)) } span.quiet { "overkill" } }
                }
                tr {
                    th scope="row" { "abnormal" }
                    td.wrong { b { (count(counts.fn_)) } span.quiet { "escapes" } }
                    td { b { (count(counts.tp)) } span.quiet { "right" } }
                }
            }
        }
    }
}
