//! Makes the section "Paired comparison of the methods".

use super::analysis::{Analysis, Pair, Reading};
use super::format::{count, counted, p_value, points};
use maud::{Markup, html};

pub(super) fn section(analysis: &Analysis<'_>) -> Markup {
    if analysis.pairs.is_empty() {
        return html! { p { "Only one method was run, so there is nothing to compare." } };
    }
    // All bars share one scale. It reaches as far from 0 as the farthest end of any interval, rounded up to a multiple of 5
    // percentage points.
    let largest = analysis.pairs.iter().filter_map(|pair| pair.interval95).flatten().map(f64::abs).fold(0.0, f64::max);
    let span = ((largest * 20.0).ceil() / 20.0).max(0.05);
    html! {
        p {
            "Each row compares two methods on the same parts. " b { "Only one right" } " counts the parts that only the first or "
            "only the second method judged correctly. McNemar’s exact test gives " b { "p" } ", the probability of a split at "
            "least this uneven if both methods were equally good. The corrected p is adjusted for the number of comparisons (Holm, "
            (counted(analysis.pairs.len() as u64, "comparison", "comparisons")) "). " b { "Difference" } " is the balanced "
            "accuracy of the first method minus that of the second, in percentage points, with its 95 % interval over bundles."
        }
        p {
            b { "Conclusion: " } "a method is called better only if both agree: the corrected p is below 0.05, and the interval "
            "does not contain 0."
        }
        div.scroll tabindex="0" {
            table.figures.pairs {
                thead {
                    tr {
                        th.name rowspan="2" { "Methods" }
                        th colspan="2" { "Only one right" }
                        th colspan="2" { "McNemar’s p" }
                        th colspan="3" { "Difference in points, first minus second" }
                        th.text rowspan="2" { "Conclusion" }
                    }
                    tr {
                        th { "first" } th { "second" }
                        th { "exact" } th { "corrected" }
                        th { "value" } th { "95 % interval" } th.bar { (axis_label(span)) }
                    }
                }
                tbody {
                    @for pair in &analysis.pairs { (row(analysis, pair, span)) }
                }
            }
        }
    }
}

fn axis_label(span: f64) -> Markup {
    let end = format!("{:.0}", span * 100.0);
    html! { span.axis { span { "\u{2212}" (end) } span { "0" } span { "+" (end) } } }
}

fn row(analysis: &Analysis<'_>, pair: &Pair, span: f64) -> Markup {
    let name = |index: usize| analysis.methods()[index].method.as_str();
    html! {
        tr {
            th.name scope="row" { (name(pair.first)) " / " (name(pair.second)) }
            td { (count(pair.calls.only_first_right)) }
            td { (count(pair.calls.only_second_right)) }
            td { (p_value(pair.p_value)) }
            td { (p_value(pair.p_corrected)) }
            td { (pair.difference.map_or_else(|| "n/a".into(), points)) }
            td {
                @match pair.interval95 {
                    Some([lo, hi]) => { (points(lo)) "\u{a0}to\u{a0}" (points(hi)) }
                    None => "n/a",
                }
            }
            td.bar { (bar(pair, span)) }
            td.text {
                @match pair.reading() {
                    Reading::Better(index) => { b { (name(index)) " is better" } }
                    Reading::Hint(why) => { "Not certain: " (why) }
                    Reading::NotShown => { "No difference shown" }
                }
            }
        }
    }
}

/// The interval as a bar, and the difference as a dot on it, on a scale with zero in the middle.
fn bar(pair: &Pair, span: f64) -> Markup {
    // The bar is 160 wide. Zero is at 80, and 4 are free at each end.
    let place = |value: f64| format!("{:.1}", 80.0 + value / span * 76.0);
    html! {
        svg.interval viewBox="0 0 160 16" width="160" height="16" aria-hidden="true" {
            line.zero x1="80" x2="80" y1="0" y2="16" {}
            @if let Some([lo, hi]) = pair.interval95 {
                line.whisker x1=(place(lo)) x2=(place(hi)) y1="8" y2="8" {}
            }
            @if let Some(difference) = pair.difference {
                circle.dot cx=(place(difference)) cy="8" r="3.5" {}
            }
        }
    }
}
