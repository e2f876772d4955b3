//! The headline: the best method, the data set, and what the figures mean.

use super::analysis::{Analysis, Reading};
use super::format::{count, counted, interval, list, percent_or};
use crate::stats::wilson95;
use maud::{Markup, html};

/// Below this many bundles, an interval over bundles is not to be relied on.
const FEW_BUNDLES: usize = 8;
/// Below this many parts of a class, a single part moves its rate by more than 3 points.
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
                p { "No method was run." }
            }
        }
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
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
                    (count(counts.fn_)) " of " (count(counts.abnormal())) " abnormal parts passed" br;
                    "95 % interval " (interval(wilson95(counts.fn_, counts.abnormal()))) " %"
                }
            }
            div.tile {
                span.label { "Overkill" }
                span.figure { (percent_or(counts.overkill_rate(), 1)) span.unit { " %" } }
                span.note {
                    (count(counts.fp)) " of " (count(counts.normal())) " normal parts rejected" br;
                    "95 % interval " (interval(wilson95(counts.fp, counts.normal()))) " %"
                }
            }
            div.tile {
                span.label { "AUROC" }
                span.figure { (percent_or(method.overall.auroc, 1)) span.unit { " %" } }
                span.note { "an abnormal part scores above a normal one this often; 50 % is chance" }
            }
        }
    }
}

fn meaning(analysis: &Analysis<'_>, best: usize) -> Markup {
    let dataset = &analysis.results.dataset;
    let name = &analysis.methods()[best].method;
    let (mut beaten, mut open) = (Vec::new(), Vec::new());
    for pair in analysis.pairs.iter().filter(|pair| pair.first == best || pair.second == best) {
        let other = analysis.methods()[if pair.first == best { pair.second } else { pair.first }].method.as_str();
        if pair.reading() == Reading::Better(best) { &mut beaten } else { &mut open }.push(other);
    }
    html! {
        @if analysis.results.config["folds"] == "random" {
            p.warning {
                "These figures are too good: parts were left out at random (" code { "--folds random" } "), so each was "
                "judged by a model that had seen others of its bundle. A new bundle will be judged worse."
            }
        } @else {
        p {
            b { "What it means. " }
            "Each part was judged by a model that had seen no part of its bundle, at a threshold that was chosen "
            "without its bundle. So the figures estimate how a part of a new bundle, made and labelled like these, "
            "would be judged."
        }
        }
        @if let Some(leaks) = analysis.results.config["leaks"].as_u64() {
            p.warning {
                "These figures are too good: " (counted(leaks, "image stands", "images stand")) " in two bundles or with two "
                "labels, or bundles have names that look alike, let through (" code { "--allow-leaks" } "): models had seen what they were tested on."
            }
        }
        @if !analysis.pairs.is_empty() {
            p {
                b { "Between the methods. " }
                b { (name) }
                @if beaten.is_empty() {
                    " came first, but no difference from " (list(&open)) " was shown"
                } @else {
                    " was shown to be better than " (list(&beaten))
                    @if !open.is_empty() { ", not better than " (list(&open)) }
                }
                ". The best of several on the same parts is a little flattered."
            }
        }
        p {
            b { "What it does not mean. " }
            "Labels are taken as right. Other coatings, another scanner or another share of abnormal parts may give "
            "other figures. The gate’s third verdict, REVIEW, is not part of them."
        }
        @if dataset.bundles < FEW_BUNDLES {
            p.warning {
                "Only " (counted(dataset.bundles as u64, "bundle", "bundles"))
                ": intervals over bundles are too narrow or missing. Read the figures as a first look."
            }
        }
        @if dataset.normal.min(dataset.abnormal) < FEW_PARTS {
            p.warning {
                "Only " (counted(dataset.normal.min(dataset.abnormal) as u64, "part", "parts")) " of the rarer class: "
                "a single part moves the figures by points."
            }
        }
    }
}
