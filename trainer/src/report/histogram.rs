//! Makes the section "Scores by class": a histogram of the scores for each method.

use super::analysis::Analysis;
use super::plot::{BOTTOM, TOP, Tick, at, plot, x, y};
use crate::stats::Scored;
use maud::{Markup, html};

/// Number of bars for the scores 0..=1.
const BINS: usize = 25;

pub(super) fn section(analysis: &Analysis<'_>) -> Markup {
    html! {
        p {
            "The distribution of the scores in each class, in per cent of the class: " span.key.normal { "normal" } " upwards, "
            span.key.abnormal { "abnormal" } " downwards. Each bundle has its own threshold. The dashed line is the median of "
            "the thresholds, and the grey band reaches from the lowest to the highest. Normal parts right of the threshold are "
            "overkill, abnormal parts left of it are escapes."
        }
        div.plots {
            @for (index, method) in analysis.methods().iter().enumerate() {
                figure {
                    figcaption { b { (method.method) } }
                    (histogram(&method.method, &analysis.scored(index), &thresholds(analysis, index)))
                }
            }
        }
    }
}

/// The thresholds of a method's bundles, clamped to 0..=1, ascending.
fn thresholds(analysis: &Analysis<'_>, method: usize) -> Vec<f64> {
    let mut thresholds: Vec<f64> =
        analysis.methods()[method].bundles.iter().map(|bundle| bundle.threshold.clamp(0.0, 1.0)).collect();
    thresholds.sort_by(f64::total_cmp);
    thresholds
}

/// The share of the class's parts in each bin of scores. The score NaN falls into the last bin.
fn shares(scored: &[Scored], abnormal: bool) -> [f64; BINS] {
    let mut counts = [0_u32; BINS];
    for part in scored.iter().filter(|part| part.is_abnormal() == abnormal) {
        let bin = (part.rank_score().clamp(0.0, 1.0) * BINS as f64) as usize;
        counts[bin.min(BINS - 1)] += 1;
    }
    let total = counts.iter().sum::<u32>().max(1);
    counts.map(|count| f64::from(count) / f64::from(total))
}

fn histogram(name: &str, scored: &[Scored], thresholds: &[f64]) -> Markup {
    let (normal, abnormal) = (shares(scored, false), shares(scored, true));
    let largest = normal.iter().chain(&abnormal).copied().fold(0.01, f64::max);
    // The end of the vertical axis: the largest share, rounded up to a multiple of 5 %.
    let top = (largest * 20.0).ceil() / 20.0;
    let label = |share: f64| format!("{:.0}", share * 100.0);
    let y_ticks: [Tick; 3] = [(0.0, label(top)), (0.5, "0".into()), (1.0, label(top))];
    let x_ticks: Vec<Tick> = [0.0, 0.25, 0.5, 0.75, 1.0].map(|score| (score, format!("{score}"))).into();
    // Each class takes half of the height.
    let height = |share: f64| share / top * (y(0.5) - y(1.0));
    // One pixel stays free between two bars.
    let width = x(1.0 / BINS as f64) - x(0.0) - 1.0;
    let content = html! {
        @if let (Some(&lowest), Some(&highest)) = (thresholds.first(), thresholds.last()) {
            rect.band x=(at(x(lowest))) y=(at(TOP)) width=(at(x(highest) - x(lowest))) height=(at(BOTTOM - TOP)) {}
        }
        @for bin in 0..BINS {
            @let left = x(bin as f64 / BINS as f64) + 0.5;
            @if normal[bin] > 0.0 {
                rect.normal x=(at(left)) width=(at(width)) y=(at(y(0.5) - height(normal[bin]))) height=(at(height(normal[bin]))) {}
            }
            @if abnormal[bin] > 0.0 {
                rect.abnormal x=(at(left)) width=(at(width)) y=(at(y(0.5))) height=(at(height(abnormal[bin]))) {}
            }
        }
        line.middle x1=(at(x(0.0))) x2=(at(x(1.0))) y1=(at(y(0.5))) y2=(at(y(0.5))) {}
        @if let Some(&median) = thresholds.get(thresholds.len() / 2) {
            line.threshold x1=(at(x(median))) x2=(at(x(median))) y1=(at(TOP)) y2=(at(BOTTOM)) {}
        }
    };
    let description =
        format!("Histogram of the scores of {name}: share of normal parts upwards, of abnormal parts downwards");
    plot(&description, ["score", "share of the class, %"], &x_ticks, &y_ticks, &content)
}
