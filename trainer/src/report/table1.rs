//! Makes the section "Balanced accuracy by bundle": a table like Table 1 of the paper, with a row for each bundle and a
//! column for each method.

use super::analysis::Analysis;
use super::format::{NOT_APPLICABLE, interval, percent, percent_or};
use crate::results::Confusion;
use maud::{Markup, html};

/// Balanced accuracy in % over all bundles for each method, from Table 1 of the paper (Jensen, Moeslund, Andreasen,
/// VISAPP 2022).
const PAPER: [(&str, f64); 4] = [("naive", 82.31), ("global", 85.18), ("local", 85.00), ("mixed", 81.02)];

pub(super) fn section(analysis: &Analysis<'_>) -> Markup {
    let methods = analysis.methods();
    let overall: Vec<Option<f64>> = methods.iter().map(|method| method.overall.balanced_accuracy).collect();
    html! {
        p {
            "Balanced accuracy in %: the mean of the share of abnormal parts and the share of normal parts that were judged "
            "correctly. The best figure of a row is marked. " b { (NOT_APPLICABLE) } ": the bundle has parts of one class only. "
            "They still count in the overall row, which is computed from the counts of all bundles."
        }
        div.scroll tabindex="0" {
            table.figures {
                thead {
                    tr {
                        th.name { "Bundle" }
                        th { "Normal" }
                        th { "Abnormal" }
                        @for method in methods { th { (method.method) } }
                    }
                }
                tbody {
                    @for bundle in &analysis.bundles {
                        @let found: Vec<_> = methods.iter().map(|method| method.bundle(bundle)).collect();
                        @let counts = found.iter().flatten().next().map_or_else(Confusion::default, |found| found.confusion);
                        tr {
                            th.name scope="row" { (bundle) }
                            td.quiet { (counts.normal()) }
                            td.quiet { (counts.abnormal()) }
                            (cells(&found.iter().map(|found| found.and_then(|found| found.balanced_accuracy)).collect::<Vec<_>>()))
                        }
                    }
                }
                tbody.overall {
                    tr {
                        th.name scope="row" { "Overall" }
                        td.quiet { (analysis.results.dataset.normal) }
                        td.quiet { (analysis.results.dataset.abnormal) }
                        (cells(&overall))
                    }
                    tr {
                        th.name scope="row" { "95 % interval" }
                        td {} td {}
                        @for method in methods { td.quiet { (interval(method.overall.interval95)) } }
                    }
                }
                @if methods.iter().any(|method| paper(&method.method).is_some()) {
                    tbody.apart {
                        tr {
                            th.name scope="row" { "Not comparable: the paper’s overall" }
                            td {} td {}
                            @for method in methods {
                                td { (paper(&method.method).map_or_else(|| "\u{2013}".into(), |figure| format!("{figure:.2}"))) }
                            }
                        }
                    }
                }
            }
        }
        @if methods.iter().any(|method| paper(&method.method).is_some()) {
            p.small {
                "The last row is from Jensen, Moeslund and Andreasen (VISAPP 2022, Table 1). It is for orientation only: the "
                "paper used other parts and other labels, and took the bounds of the conversion from the test bundle too."
            }
        }
    }
}

fn paper(method: &str) -> Option<f64> {
    PAPER.iter().find(|(name, _)| *name == method).map(|&(_, figure)| figure)
}

/// One cell per method. The best figure is marked, unless all figures are equal.
fn cells(figures: &[Option<f64>]) -> Markup {
    let best = figures.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let worst = figures.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    html! {
        @for figure in figures {
            @match figure {
                Some(figure) if *figure == best && best > worst => td.best { (percent(*figure, 2)) },
                Some(figure) => td { (percent(*figure, 2)) },
                None => td.none { (percent_or(None, 2)) },
            }
        }
    }
}
