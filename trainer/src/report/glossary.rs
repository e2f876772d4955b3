//! Makes the sections "How the figures were made" and "Glossary".

use super::analysis::Analysis;
use crate::stats::BundleBootstrap;
use maud::{Markup, html};

/// The section "How the figures were made": how the methods were evaluated and the intervals computed, in short.
pub(super) fn method(analysis: &Analysis<'_>) -> Markup {
    let bootstrap = BundleBootstrap::default();
    html! {
        ul {
            li {
                b { "Leave one bundle out. " } "For each of the " (analysis.bundles.len()) " bundles, a model was trained on "
                "the other bundles and judged this one. The threshold was chosen without this bundle too. The bounds of the "
                "conversion may come from all bundles; the configuration below says so in " code { "bounds" } "."
            }
            li {
                b { "Overall. " } "The counts of all bundles are added up before rates are computed. Large bundles therefore "
                "weigh more, and bundles of one class count too."
            }
            li {
                b { "95 % intervals of the balanced accuracy and of differences. " } "Bootstrap with percentiles, "
                (bootstrap.resamples) " resamples. Each resample draws whole bundles, because the parts of a bundle are alike "
                "and drawing single parts would give intervals that are too narrow. Models are not trained again for a resample."
            }
            li {
                b { "95 % intervals of rates. " } "Wilson’s interval. It assumes independent parts, so it is too narrow if the "
                "bundles differ."
            }
        }
    }
}

const WORDS: [(&str, &str); 9] = [
    (
        "Abnormal",
        "The label of a part that must not be used. It is the positive class: a true positive is an abnormal part that was \
         judged abnormal.",
    ),
    (
        "AUROC",
        "Area under the ROC curve: the probability that an abnormal part gets a higher score than a normal one. It does not \
         depend on a threshold. 50 % is guessing.",
    ),
    (
        "Balanced accuracy",
        "Mean of two shares: abnormal parts that were judged correctly, and normal parts that were judged correctly. Guessing \
         gives 50 %, whatever the share of abnormal parts.",
    ),
    ("Bundle", "Parts that were coated alike."),
    ("Escape", "An abnormal part that passes. Escape rate: escapes divided by abnormal parts."),
    ("Method", "A conversion of 16-bit radiographs to the 8-bit input of the network."),
    ("Operating point", "A threshold with its escape and overkill rates."),
    ("Overkill", "A normal part that is rejected. Overkill rate: overkill divided by normal parts."),
    (
        "Score, threshold",
        "The score is the network's estimate, 0 to 1, that a part is abnormal. A part whose score is at or above the threshold \
         is judged abnormal.",
    ),
];

/// The section "Glossary".
pub(super) fn section() -> Markup {
    html! {
        dl { @for (word, meaning) in WORDS { dt { (word) } dd { (meaning) } } }
    }
}
