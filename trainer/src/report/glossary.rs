//! How the figures were made, and the words.

use super::analysis::Analysis;
use crate::stats::BundleBootstrap;
use maud::{Markup, html};

/// Evaluation and intervals in short.
pub(super) fn method(analysis: &Analysis<'_>) -> Markup {
    let bootstrap = BundleBootstrap::default();
    html! {
        ul {
            li {
                b { "Leave one bundle out. " } "For each of the " (analysis.bundles.len()) " bundles a model was trained "
                "on the others and judged this one. Everything that is fitted, the operating point too, was fitted "
                "without it, unless the configuration says otherwise for the bounds of the conversion."
            }
            li {
                b { "Overall. " } "Counts of all bundles are summed up before rates are taken, so large bundles weigh "
                "more and bundles of one class count too."
            }
            li {
                b { "Intervals of the balanced accuracy " } "are percentile bootstraps that draw whole bundles ("
                (bootstrap.resamples) " draws for each difference): parts of one bundle are alike, so single parts would "
                "make them too narrow. Models are not trained anew in the draws."
            }
            li {
                b { "Intervals of rates " } "are Wilson’s; they take parts as independent and are rather too narrow where "
                "bundles differ."
            }
        }
    }
}

const WORDS: [(&str, &str); 9] = [
    ("Abnormal", "The part can't be used. The positive class: a true positive is an abnormal part called abnormal."),
    ("AUROC", "Area under the ROC curve: how often an abnormal part scores above a normal one. It needs no threshold."),
    (
        "Balanced accuracy",
        "Mean of the share of abnormal parts and the share of normal parts that were judged right. 50 % is guessing, whatever the share of abnormal parts.",
    ),
    ("Bundle", "Parts made with one coating method and mixture."),
    ("Escape", "An abnormal part that was passed. Escape rate: escapes among abnormal parts."),
    ("Method", "A way of converting 16-bit radiographs to the network's 8 bits."),
    ("Operating point", "The escape and overkill rates that a threshold gives."),
    ("Overkill", "A normal part that was rejected. Overkill rate: overkill among normal parts."),
    (
        "Score, threshold",
        "The model's probability of abnormal, 0 to 1. From the threshold on, a part is called abnormal.",
    ),
];

/// The words.
pub(super) fn section() -> Markup {
    html! {
        dl { @for (word, meaning) in WORDS { dt { (word) } dd { (meaning) } } }
    }
}
