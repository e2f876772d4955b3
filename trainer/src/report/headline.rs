//! Makes the top of the report: the data set, the best method, and the meaning of the figures.

use super::analysis::{Analysis, Reading};
use super::format::{count, counted, interval, list, percent_or};
use crate::stats::wilson95;
use maud::{Markup, html};

/// With fewer bundles than this, intervals over bundles are unreliable, and the report warns.
const FEW_BUNDLES: usize = 8;
/// With fewer parts of a class than this, a single part changes the rate of its class by more than 3 percentage points,
/// and the report warns.
const FEW_PARTS: usize = 30;

pub(super) fn section(analysis: &Analysis<'_>, title: &str) -> Markup {
    let dataset = &analysis.results.dataset;
    html! {
        header {
            h1 { (title) }
            p.facts {
                (counted(dataset.images as u64, "image", "images")) " in "
                (counted(dataset.bundles as u64, "bundle", "bundles")) ": "
                (count(dataset.normal as u64)) " normal, " (count(dataset.abnormal as u64)) " abnormal ("
                (percent_or(share(dataset.abnormal, dataset.images), 1)) " %). "
                span.digest { "Data set " code title="SHA-256 digest of the data set" { (dataset.digest) } }
            }
            @if let Some(best) = analysis.best_method() {
                (tiles(analysis, best))
                (meaning(analysis, best))
            } @else {
                p #no-methods { "No method was run." }
            }
        }
    }
}

fn share(number: usize, total: usize) -> Option<f64> {
    (total > 0).then(|| number as f64 / total as f64)
}

fn tiles(analysis: &Analysis<'_>, best: usize) -> Markup {
    let method = &analysis.methods()[best];
    let counts = &method.overall.confusion;
    let only = analysis.methods().len() == 1;
    html! {
        div.tiles {
            div.tile.main {
                span.label { @if only { "Method " } @else { "Best method: " } b { (method.method) } }
                span.figure { (percent_or(method.overall.balanced_accuracy, 1)) span.unit { " %" } }
                span.note { "balanced accuracy" br; "95 % interval " (interval(method.overall.interval95)) " %" }
            }
            div.tile {
                span.label { "Escapes" }
                span.figure { (percent_or(counts.escape_rate(), 1)) span.unit { " %" } }
                span.note {
                    (count(counts.fn_)) " of " (count(counts.abnormal())) " abnormal parts pass" br;
                    "95 % interval " (interval(wilson95(counts.fn_, counts.abnormal()))) " %"
                }
            }
            div.tile {
                span.label { "Overkill" }
                span.figure { (percent_or(counts.overkill_rate(), 1)) span.unit { " %" } }
                span.note {
                    (count(counts.fp)) " of " (count(counts.normal())) " normal parts are rejected" br;
                    "95 % interval " (interval(wilson95(counts.fp, counts.normal()))) " %"
                }
            }
            div.tile {
                span.label { "AUROC" }
                span.figure { (percent_or(method.overall.auroc, 1)) span.unit { " %" } }
                span.note { "probability that an abnormal part gets a higher score than a normal one; 50 % is guessing" }
            }
        }
    }
}

fn meaning(analysis: &Analysis<'_>, best: usize) -> Markup {
    let dataset = &analysis.results.dataset;
    let name = &analysis.methods()[best].method;
    // The methods that the best method is shown to be better than, and all others.
    let (mut beaten, mut not_beaten) = (Vec::new(), Vec::new());
    for pair in analysis.pairs.iter().filter(|pair| pair.first == best || pair.second == best) {
        let other = analysis.methods()[if pair.first == best { pair.second } else { pair.first }].method.as_str();
        if pair.reading() == Reading::Better(best) { &mut beaten } else { &mut not_beaten }.push(other);
    }
    html! {
        @if analysis.results.config["folds"] == "random" {
            p #random-folds .warning {
                "These figures are too good. The test parts were chosen at random (" code { "--folds random" } "), so each model "
                "was trained on other parts of the same bundles. Expect worse figures on a new bundle."
            }
        } @else {
            p #meaning {
                b { "What the figures mean. " }
                "Each part was judged by a model that was trained without the part’s bundle. The threshold was chosen without "
                "this bundle too. The figures therefore estimate how well parts of a new bundle are judged, if they are made "
                "and labelled like these."
            }
        }
        @if let Some(leaks) = analysis.results.config["leaks"].as_u64() {
            p #leaks .warning {
                "These figures are too good. The data set has " (counted(leaks, "leak", "leaks")) ": the same image in two "
                "bundles or with two labels, or bundles with similar names. " code { "--allow-leaks" } " allowed this, so models "
                "may have been trained on parts that they were tested on."
            }
        }
        @if !analysis.pairs.is_empty() {
            p {
                b { "Comparison of the methods. " }
                b { (name) }
                @if beaten.is_empty() {
                    " has the best balanced accuracy, but is not shown to be better than " (list(&not_beaten))
                } @else {
                    " is shown to be better than " (list(&beaten))
                    @if !not_beaten.is_empty() { ", but not better than " (list(&not_beaten)) }
                }
                ". Its figures are slightly too good, because it was selected as the best on the same parts."
            }
        }
        p {
            b { "What the figures do not show. " }
            "Wrong labels are not detected: the labels count as correct. Other coatings, another scanner or another share of "
            "abnormal parts may give other figures. Parts are judged normal or abnormal here; the verdict REVIEW is not included."
        }
        @if dataset.bundles < FEW_BUNDLES {
            p #few-bundles .warning {
                "Only " (counted(dataset.bundles as u64, "bundle", "bundles"))
                ": intervals over bundles are too narrow or missing. Treat the figures as preliminary."
            }
        }
        @if dataset.normal.min(dataset.abnormal) < FEW_PARTS {
            p #few-parts .warning {
                "Only " (counted(dataset.normal.min(dataset.abnormal) as u64, "part", "parts")) " of the rarer class: "
                "a single part changes the figures by several percentage points."
            }
        }
    }
}
