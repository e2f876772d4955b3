//! Makes the section "ROC curves": the curve of each method with the operating point.

use super::analysis::Analysis;
use super::format::percent_or;
use super::plot::{Tick, at, plot, x, y};
use crate::stats::Roc;
use maud::{Markup, html};

pub(super) fn section(analysis: &Analysis<'_>) -> Markup {
    let curves: Vec<Option<Roc>> =
        (0..analysis.methods().len()).map(|method| Roc::of(&analysis.scored(method))).collect();
    let paths: Vec<Option<String>> = curves.iter().map(|curve| curve.as_ref().map(points)).collect();
    html! {
        p {
            "For every threshold on the scores of all bundles, each curve shows the share of abnormal parts that are found "
            "against the share of normal parts that are rejected. The other methods are drawn in grey. The dot shows the rates "
            "that were reached. Each bundle had its own threshold, so the dot can lie beside the curve."
        }
        div.plots {
            @for (index, method) in analysis.methods().iter().enumerate() {
                figure {
                    figcaption { b { (method.method) } " \u{b7} AUROC " (percent_or(method.overall.auroc, 1)) " %" }
                    @match &paths[index] {
                        Some(path) => (curve(analysis, index, path, &paths)),
                        None => p.placeholder.no-curve { "No curve: all parts have the same label." },
                    }
                    p.caption {
                        "Escapes\u{a0}" (percent_or(method.overall.confusion.escape_rate(), 1))
                        "\u{a0}%, overkill\u{a0}" (percent_or(method.overall.confusion.overkill_rate(), 1)) "\u{a0}%"
                    }
                }
            }
        }
    }
}

/// The curve as points of an SVG polyline. Points inside a horizontal or vertical stretch are left out.
fn points(roc: &Roc) -> String {
    let mut places: Vec<(String, String)> = Vec::new();
    for point in &roc.points {
        let place = (at(x(point.false_positive_rate)), at(y(point.true_positive_rate)));
        // If the last two points and the new point are on one horizontal or vertical stretch, the new point replaces the
        // last.
        let length = places.len();
        if length >= 2 {
            let (before, last) = (&places[length - 2], &places[length - 1]);
            if (before.0 == last.0 && last.0 == place.0) || (before.1 == last.1 && last.1 == place.1) {
                places.pop();
            }
        }
        places.push(place);
    }
    places.iter().map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
}

fn curve(analysis: &Analysis<'_>, index: usize, path: &str, paths: &[Option<String>]) -> Markup {
    let method = &analysis.methods()[index];
    let counts = method.overall.confusion;
    let ticks: Vec<Tick> = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (share, format!("{:.0}", share * 100.0))).into();
    let content = html! {
        line.chance x1=(at(x(0.0))) y1=(at(y(0.0))) x2=(at(x(1.0))) y2=(at(y(1.0))) {}
        @for (other, path) in paths.iter().enumerate() {
            @if let Some(path) = path {
                @if other != index { polyline.other points=(path) {} }
            }
        }
        polyline.curve points=(path) {}
        @if let (Some(overkill), Some(found)) = (counts.overkill_rate(), counts.true_positive_rate()) {
            circle.operating cx=(at(x(overkill))) cy=(at(y(found))) r="5" {}
        }
    };
    let description = format!(
        "ROC curve of {}: area {} %, operating point at {} % of abnormal parts found and {} % of normal parts rejected",
        method.method,
        percent_or(method.overall.auroc, 1),
        percent_or(counts.true_positive_rate(), 1),
        percent_or(counts.overkill_rate(), 1),
    );
    plot(&description, ["normal parts rejected, %", "abnormal parts found, %"], &ticks, &ticks, &content)
}
