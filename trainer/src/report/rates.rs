//! Escape and overkill rates with intervals, and the parts still needed to show a rate.

use super::analysis::Analysis;
use super::format::{count, interval, percent, percent_or};
use crate::results::Confusion;
use crate::stats::{MAX_PARTS, still_needed_at_same_rate, still_needed_without_error, wilson95};
use maud::{Markup, html};

/// The limits that parts are counted for.
const LIMITS: [f64; 5] = [0.2, 0.1, 0.05, 0.02, 0.01];

/// One kind of error: its name, the parts it can happen to, errors and parts.
struct RateKind {
    heading: &'static str,
    meaning: &'static str,
    parts: &'static str,
    errors_of: fn(&Confusion) -> (u64, u64),
}

const KINDS: [RateKind; 2] = [
    RateKind {
        heading: "Escapes",
        meaning: "abnormal parts that were passed",
        parts: "abnormal",
        errors_of: |counts| (counts.fn_, counts.abnormal()),
    },
    RateKind {
        heading: "Overkill",
        meaning: "normal parts that were rejected",
        parts: "normal",
        errors_of: |counts| (counts.fp, counts.normal()),
    },
];

pub(super) fn section(analysis: &Analysis<'_>) -> Markup {
    html! {
        p {
            "Rates with Wilson’s 95 % interval. To the right, " b { "the parts still needed" } " to show, with 95 % "
            "confidence, that the rate is at most so many per cent (exact one-sided bound of Clopper and Pearson), "
            "if every further part is judged right and if errors go on at the rate seen here."
        }
        @for kind in &KINDS { (table(analysis, kind)) }
        p.small {
            "\u{2013}: out of reach at this rate, or with more than " (count(MAX_PARTS)) " parts. "
            "The counts take parts as independent; parts of one bundle are alike, so plan for more, and over several "
            "bundles."
        }
    }
}

fn table(analysis: &Analysis<'_>, kind: &RateKind) -> Markup {
    html! {
        h3 { (kind.heading) ": " (kind.meaning) }
        div.scroll tabindex="0" {
            table.figures {
                thead {
                    tr {
                        th.name rowspan="2" { "Method" }
                        th rowspan="2" { "Errors / " (kind.parts) }
                        th rowspan="2" { "Rate in %" }
                        th rowspan="2" { "95 % interval" }
                        th.group colspan=(LIMITS.len() + 1) { "Further " (kind.parts) " parts needed to show at most" }
                    }
                    tr {
                        th { "If further parts are" }
                        @for limit in LIMITS { th { (percent(limit, 0)) " %" } }
                    }
                }
                tbody {
                    @for method in analysis.methods() {
                        @let (errors, parts) = (kind.errors_of)(&method.overall.confusion);
                        tr {
                            th.name scope="row" { (method.method) }
                            td { (count(errors)) " / " (count(parts)) }
                            td { b { (percent_or((parts > 0).then(|| errors as f64 / parts as f64), 1)) } }
                            td { (interval(wilson95(errors, parts))) }
                            td.needed { span { "all judged right" } span.quiet { "judged as here" } }
                            @for limit in LIMITS {
                                td.needed {
                                    (needed(still_needed_without_error(errors, parts, limit)))
                                    span.quiet { (needed(still_needed_at_same_rate(errors, parts, limit))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn needed(parts: Option<u64>) -> Markup {
    html! {
        @match parts {
            Some(0) => span { "shown" },
            Some(parts) => span { (count(parts)) },
            None => span { "\u{2013}" },
        }
    }
}
