//! Makes the section "Images that may be mislabelled".

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
        return html! { p { "None: no part was judged against its label by most methods." } };
    }
    let pictures: Vec<_> = suspects.par_iter().map(|part| data_address(part.image, options)).collect();
    html! {
        p {
            "More than half of the methods judged these parts against their label. The clearest cases come first: those whose "
            "scores are farthest on the wrong side of the threshold. Either the label or the model is wrong, so have an expert "
            "check the label. Do not correct labels only here, because that makes the figures too good: check the same number of "
            "other parts too. "
            @if options.evidence.is_empty() {
                "The brightness of each preview is stretched to the image’s own range of levels."
            } @else {
                "Colours show the evidence for abnormal, computed by a head that was not trained on the part. They are relative to the "
                "place of each image with the most evidence, also in an image that was judged normal. The lines enclose the places "
                "with 80 % of the evidence. They say where to look and are no outline of an anomaly. A preview in grey has no map; "
                "its brightness is stretched to the image’s own range of levels."
            }
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
                Err(reason) => p.placeholder.no-preview { "No preview: " (reason) },
            }
            p.path { (part.image) }
            p.quiet { "Bundle: " (part.bundle) }
            p {
                "Labelled " b { (label) } ", judged " b { (called) } " by " (wrong) " of " (judged) " methods"
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
