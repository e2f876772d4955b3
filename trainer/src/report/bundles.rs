//! Confusion: overall as a matrix, by bundle as a heat table.

use super::analysis::Analysis;
use super::format::count;
use crate::results::Confusion;
use maud::{Markup, html};

pub(super) fn section(analysis: &Analysis<'_>) -> Markup {
    html! {
        p { "Calls against labels, over all bundles:" }
        div.matrices {
            @for method in analysis.methods() { (matrix(&method.method, &method.overall.confusion)) }
        }
        p {
            "By bundle: " b { "escapes" } " of the abnormal parts and " b { "overkill" } " of the normal ones. "
            "The stronger the colour, the larger the share. A row that stands out points at a bundle that differs from the others."
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

/// `errors/parts`, in a colour the stronger the larger the share.
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
            thead { tr { th {} th scope="col" { "called" br; "normal" } th scope="col" { "called" br; "abnormal" } } }
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
