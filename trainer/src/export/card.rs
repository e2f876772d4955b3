//! Writes the model card, `MODEL_CARD.md`, which tells people the purpose of a model, its figures and its limits.

use super::gate::{Parity, tolerance};
use super::training_run::TrainingRun;
use crate::network::Head;
use crate::network::weights::WeightsOrigin;
use serde_json::Value;
use std::fmt::Write;

/// The card of the model that is exported from `run`.
pub(super) fn write(run: &TrainingRun, head: &Head, parity: &[Parity]) -> String {
    let dataset = &run.dataset;
    let blocks: Vec<String> = head.blocks.iter().map(ToString::to_string).collect();
    let mut card = format!(
        "# Model card\n\n\
         This model judges fuel cell electrodes as normal or abnormal, each from one 16-bit X-ray image. The network computes a \
         score from 0 to 1; a higher score means that the part is more likely abnormal. Two thresholds turn the score into PASS, \
         REVIEW or REJECT.\n\n\
         ## Training\n\n\
         | | |\n|---|---|\n\
         | data set | {} images in {} bundles: {} normal, {} abnormal |\n\
         | digest of the data set | `{}` |\n\
         | conversion | {} to {} pixels (height x width){} |\n\
         | backbone | ResNet-34, frozen, weights file with SHA-256 `{}` |\n\
         | features | {} ({} numbers) |\n\
         | head | {} ensemble member(s), recipe `{}`, seed {} |\n\n",
        dataset.images,
        dataset.bundles,
        dataset.normal,
        dataset.abnormal,
        dataset.digest,
        run.conversion.method,
        run.conversion.size.map_or_else(|| "the image's own".into(), |size| size.to_string()),
        run.conversion.bounds.map_or_else(String::new, |bounds| format!(", bounds {bounds}")),
        run.backbone.digest,
        blocks.join(", "),
        head.width(),
        head.members.len(),
        run.recipe.name,
        run.seed,
    );
    card.push_str(
        "## Cross-validated figures\n\n\
         Each bundle was judged by a model that was trained without it.\n\n\
         | figure | value |\n|---|---|\n",
    );
    rows(&mut card, "", &Value::Object(run.metrics.clone()));
    let policy = &run.policy;
    let _ = write!(
        card,
        "\n## Policy\n\n\
         | score | verdict |\n|---|---|\n\
         | below {review} | PASS |\n\
         | at least {review} and below {reject} | REVIEW |\n\
         | at least {reject} | REJECT |\n\
         | not a number from 0 to 1 | REJECT |\n\n\
         ## Proof of the export\n\n\
         ONNX Runtime ran the exported networks on the golden images. The scores were compared with those of libtorch, which \
         trained the head.\n\n",
        review = policy.review_from(),
        reject = policy.reject_from(),
    );
    for Parity { precision, images, largest_difference } in parity {
        let _ = writeln!(
            card,
            "- {precision}: on {images} golden image(s), the scores of ONNX Runtime and libtorch differ by at most \
             {largest_difference:.1e} (limit {:.0e}). All verdicts are equal.",
            tolerance(*precision),
        );
    }
    card.push_str(
        "\n## Limits of use\n\n\
         - The figures are valid only for parts, a scanner and an exposure like those of the training images. A new coating or \
         scanner needs new images and a new cross-validation.\n\
         - The model judges a radiograph as a whole. It does not locate or name an anomaly.\n\
         - The figures are uncertain if the data set has few abnormal parts; see the intervals in the report of the \
         cross-validation.\n\
         - A person must decide about a part with REVIEW.\n\
         - PASS does not exclude faults that X-rays don't show.\n",
    );
    let _ = writeln!(card, "- {}", WeightsOrigin::of(run.backbone.digest).sentence());
    if let Some(leaks) = run.recipe.config["leaks"].as_u64() {
        let _ = writeln!(
            card,
            "- **Trained with --allow-leaks**: the data set has {leaks} leak(s): the same image in two bundles or with two \
             labels, or bundles with similar names. The figures are too good.",
        );
    }
    card
}

/// Adds one row to the card for each figure in `value`. The row's name is the path to the figure in the JSON, joined
/// with full stops. A list counts as one figure.
fn rows(card: &mut String, path: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                rows(card, &path, field);
            }
        }
        value => {
            let value = value.to_string().replace('|', "\\|");
            let _ = writeln!(card, "| {path} | {value} |");
        }
    }
}
