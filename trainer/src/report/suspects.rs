//! The images most likely mislabelled.

use super::ReportOptions;
use super::analysis::{Analysis, PartCalls};
use super::format::score;
use super::thumbnail::data_address;
use crate::dataset::Label;
use maud::{Markup, html};
use rayon::prelude::*;

pub(super) fn section(analysis: &Analysis<'_>, options: &ReportOptions) -> Markup {
    let suspects = analysis.suspects(options.suspects);
    if suspects.is_empty() {
        return html! { p { "None: no part was judged wrong by most methods." } };
    }
    let pictures: Vec<_> = suspects.par_iter().map(|part| data_address(part.image, options)).collect();
    html! {
        p {
            "Parts that most methods judged against their label, the most certain first (mean loss against the "
            "operating point). Either the label is wrong or the model is: have an expert look at them again. "
            "Changing labels only here would flatter the model; look at as many unsuspicious parts in the same way. "
            "Grey levels are spread over each image’s own range."
        }
        div.cards {
            @for (part, picture) in suspects.iter().zip(&pictures) { (card(analysis, part, picture)) }
        }
    }
}

fn card(analysis: &Analysis<'_>, part: &PartCalls<'_>, picture: &Result<String, String>) -> Markup {
    let (wrong, judged) = part.wrong_of();
    let (label, called) = match part.label {
        Label::Normal => ("normal", "abnormal"),
        Label::Abnormal => ("abnormal", "normal"),
    };
    html! {
        article.card {
            @match picture {
                Ok(address) => img src=(address) alt={ "Radiograph " (part.image) };,
                Err(reason) => p.placeholder { "No picture: " (reason) },
            }
            p.path { (part.image) }
            p.quiet { "Bundle: " (part.bundle) }
            p {
                "Labelled " b { (label) } ", called " b { (called) } " by " (wrong) " of " (judged)
            }
            table.scores {
                thead { tr { th { "method" } th { "score" } th { "threshold" } } }
                tbody {
                    @for (method, call) in analysis.methods().iter().zip(&part.calls) {
                        @if let Some(call) = call {
                            tr {
                                td { (method.method) }
                                td.wrong[!call.is_right] { (score(call.score)) }
                                td.quiet { (format!("{:.3}", call.threshold)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
