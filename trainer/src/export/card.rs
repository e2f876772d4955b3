//! `MODEL_CARD.md`: what the model is for and how far it can be trusted, for people.

use super::gate::{Parity, tolerance};
use super::training_run::TrainingRun;
use crate::network::Head;
use crate::network::weights::Origin;
use serde_json::Value;
use std::fmt::Write;

/// The model card of `model`.
pub(super) fn write(model: &TrainingRun, head: &Head, parity: &[Parity]) -> String {
    let dataset = &model.dataset;
    let blocks: Vec<String> = head.blocks.iter().map(ToString::to_string).collect();
    let mut card = format!(
        "# Model card\n\n\
         Tells normal from abnormal fuel cell electrodes by one 16-bit X-ray image each. The network gives a score, the \
         probability of \"abnormal\"; two thresholds turn it into PASS, REVIEW or REJECT.\n\n\
         ## Training\n\n\
         | | |\n|---|---|\n\
         | data set | {} images of {} bundles: {} normal, {} abnormal |\n\
         | its digest | `{}` |\n\
         | conversion | {} to {} pixels (height x width){} |\n\
         | backbone | ResNet-34, frozen, weights of SHA-256 `{}` |\n\
         | features | {} ({} numbers) |\n\
         | head | {} member(s), recipe `{}`, seed {} |\n\n",
        dataset.images,
        dataset.bundles,
        dataset.normal,
        dataset.abnormal,
        dataset.digest,
        model.conversion.method,
        model.conversion.size.map_or_else(|| "the image's own".into(), |size| size.to_string()),
        model.conversion.bounds.map_or_else(String::new, |bounds| format!(", bounds {bounds}")),
        model.backbone.digest,
        blocks.join(", "),
        head.width(),
        head.members.len(),
        model.recipe.name,
        model.seed,
    );
    card.push_str("## Cross-validated figures\n\nOf models that never saw the bundle they judged.\n\n| figure | value |\n|---|---|\n");
    rows(&mut card, "", &Value::Object(model.metrics.clone()));
    let policy = &model.policy;
    let _ = write!(
        card,
        "\n## Decision\n\nA score below {} is PASS, from {} on REJECT, between them REVIEW. A score that is not a number \
         in 0..=1 is REJECT.\n\n## Proof of the export\n\n",
        policy.review_from(),
        policy.reject_from(),
    );
    for Parity { precision, images, largest_difference } in parity {
        let _ = writeln!(
            card,
            "- {precision}: on {images} golden images ONNX Runtime and libtorch differ by at most {largest_difference:.1e} \
             (allowed {:.0e}), no verdict flips.",
            tolerance(*precision),
        );
    }
    card.push_str(
        "\n## Limits of use\n\n\
         - Valid for parts, scanner and exposure like those it was trained on; the figures say nothing about others. A new \
         coating or scanner needs new images and a new cross-validation.\n\
         - It judges a radiograph as a whole: it neither finds nor names an anomaly.\n\
         - Its figures have wide intervals where abnormal parts are few; see the run's report.\n\
         - REVIEW is for a person. PASS is no proof that a part is free of faults that X-rays don't show.\n",
    );
    let _ = writeln!(card, "- {}", Origin::of(model.backbone.digest).sentence());
    if let Some(leaks) = model.recipe.config["leaks"].as_u64() {
        let _ = writeln!(
            card,
            "- **Trained with --allow-leaks**: {leaks} image(s) in two bundles or with two labels, or bundles whose names look alike. The figures are too good.",
        );
    }
    card
}

/// One row a figure, with the path to it as its name; a list is one value.
fn rows(card: &mut String, path: &str, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                rows(card, &path, member);
            }
        }
        value => {
            let value = value.to_string().replace('|', "\\|");
            let _ = writeln!(card, "| {path} | {value} |");
        }
    }
}
