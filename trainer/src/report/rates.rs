//! Makes the section "Escapes and overkill": rates with intervals, and the number of further parts that are needed to
//! show that a rate is below a limit.

use super::analysis::Analysis;
use super::format::{count, interval, percent, percent_or};
use crate::results::Confusion;
use crate::stats::{MAX_PARTS, still_needed_at_same_rate, still_needed_without_error, wilson95};
use maud::{Markup, html};

/// The limits of the rate for which the number of further parts is given.
const LIMITS: [f64; 5] = [0.2, 0.1, 0.05, 0.02, 0.01];

/// One kind of error, and the texts about it. `parts` is the class that the error can happen to. `errors_of` returns
/// the number of errors and the number of parts of this class.
struct RateKind {
    heading: &'static str,
    meaning: &'static str,
    parts: &'static str,
    errors_of: fn(&Confusion) -> (u64, u64),
}

const KINDS: [RateKind; 2] = [
    RateKind {
        heading: "Escapes",
        meaning: "abnormal parts that pass",
        parts: "abnormal",
        errors_of: |counts| (counts.fn_, counts.abnormal()),
    },
    RateKind {
        heading: "Overkill",
        meaning: "normal parts that are rejected",
        parts: "normal",
        errors_of: |counts| (counts.fp, counts.normal()),
    },
];

pub(super) fn section(analysis: &Analysis<'_>) -> Markup {
    html! {
        p {
            "Rates with Wilson’s 95 % interval. The columns on the right give the " b { "further parts needed" } " to show with "
            "95 % confidence that the rate is not above the limit in the heading (exact one-sided bound of Clopper and Pearson). "
            "The upper number of a cell holds if all further parts are judged correctly, the lower number if errors continue at "
            "the present rate. " b { "shown" } ": the parts of this data set suffice."
        }
        @for kind in &KINDS { (table(analysis, kind)) }
        p.small {
            "\u{2013}: the present rate is not below the limit, or more than " (count(MAX_PARTS)) " parts would be needed. "
            "The numbers assume independent parts. The parts of a bundle are alike, so plan for more parts, from several "
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
                        th.group colspan=(LIMITS.len() + 1) { "Further " (kind.parts) " parts needed to show a rate of at most" }
                    }
                    tr {
                        th.needed { "If further parts have" }
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
                            td.needed { span { "no errors" } span.quiet { "the present rate" } }
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
