//! Writes the model card, `MODEL_CARD.md`, which tells people the purpose of a model, its figures and its limits.

use super::gate::Parity;
use super::golden::Selection;
use super::tolerance::Differences;
use super::training_run::TrainingRun;
use crate::network::Readout;
use crate::network::weights::WeightsOrigin;
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::envelope::{Measure, Range};
use cellgate_models::policy::OperatingPoint;
use serde_json::Value;
use std::fmt::Write;

/// The card of the model that is exported from `run`.
pub(super) fn write(run: &TrainingRun, readout: &Readout, parity: &[Parity], selection: &Selection) -> String {
    let Readout { head, whitening } = readout;
    let dataset = &run.dataset;
    let [blocks, whitened] = [&head.blocks, &whitening.blocks]
        .map(|blocks| blocks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let mut card = format!(
        "# Model card\n\n\
         This model judges fuel cell electrodes as normal or abnormal, each from one 16-bit X-ray image. The network computes a \
         logit, which the calibration turns into a score from 0 to 1; a higher score means that the part is more likely abnormal. \
         Two thresholds turn the logit into PASS, REVIEW or REJECT. The network also computes whitened features. Their distance from \
         those of normal parts shows how unlike the training a part is.\n\n\
         ## Training\n\n\
         | | |\n|---|---|\n\
         | data set | {} images in {} bundles: {} normal, {} abnormal |\n\
         | digest of the data set | `{}` |\n\
         | conversion | {} to {} pixels (height x width){} |\n\
         | backbone | ResNet-34, {}, weights file with SHA-256 `{}` |\n\
         | features | {} ({} numbers) |\n\
         | head | {} ensemble member(s), recipe `{}`, seed {} |\n\
         | flip variants that are judged | {} |\n\
         | whitened features | {} of {whitened} ({} numbers) |\n\n",
        dataset.images,
        dataset.bundles,
        dataset.normal,
        dataset.abnormal,
        dataset.digest,
        run.conversion.method,
        run.conversion.size.map_or_else(|| "the image's own".into(), |size| size.to_string()),
        run.conversion.bounds.map_or_else(String::new, |bounds| format!(", bounds {bounds}")),
        if head.stage_4.is_some() { "stage 4 trained with the head, the other stages frozen" } else { "frozen" },
        run.backbone.digest,
        blocks,
        head.width(),
        head.members.len(),
        run.recipe.name,
        run.seed,
        head.flips,
        WhitenedFeatures::COUNT,
        whitening.width(),
    );
    card.push_str(
        "## Cross-validated figures\n\n\
         Each bundle was judged by a model that was trained without it.\n\n\
         | figure | value |\n|---|---|\n",
    );
    rows(&mut card, "", &Value::Object(run.metrics.clone()));
    let point = run.policy.without();
    card.push_str("\n## Policy\n\nFor a bundle without reference parts:\n\n");
    thresholds(&mut card, point);
    if let Some((point, reference)) = run.policy.with() {
        let _ = write!(
            card,
            "\nFor a bundle with {} reference parts, after the bundle's offset is subtracted from the logit:\n\n",
            reference.parts()
        );
        thresholds(&mut card, point);
    }
    card.push_str(
        "\n## Envelope\n\n\
         Each image is compared with the training images before it is judged. An image outside of the range of a size or a share is \
         REJECT, and the network does not see it. An image outside of the range of levels or sharpness is at best REVIEW. Shares and \
         sharpness are in parts per million (ppm).\n\n\
         | measure | smallest | largest |\n|---|---|---|\n",
    );
    for measure in Measure::ALL {
        let Range { low, high } = run.envelope.range(measure);
        let _ = writeln!(card, "| {} | {low} | {high} |", measure.name());
    }
    proof(&mut card, parity, selection, point);
    card.push_str(
        "\n## Limits of use\n\n\
         - The figures are valid only for parts, a scanner and an exposure like those of the training images. A new coating or \
         scanner needs new images and a new cross-validation.\n\
         - A part with a fault that no training part has may pass. The distance finds only some of these parts.\n\
         - The model judges a radiograph as a whole. Its map shows which places raised the logit. It does not outline or name an \
         anomaly.\n\
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

/// Adds the section about the comparison of the networks with libtorch.
fn proof(card: &mut String, parity: &[Parity], selection: &Selection, point: OperatingPoint) {
    card.push_str(
        "\n## Proof of the export\n\n\
         ONNX Runtime ran the exported networks on the golden images. The logits, their maps and the whitened features were compared \
         with those of libtorch, which trained the head. A tolerance is the largest difference that an engine may have.\n\n",
    );
    let compared = match point.largest_distance() {
        Some(_) => "the largest distance of a part that passes",
        None => "the image's distance",
    };
    for Parity { precision, images, differences, largest_sum_difference, tolerances, emulated } in parity {
        let _ = writeln!(
            card,
            "- {precision}: on {images} golden image(s), the logits of ONNX Runtime and libtorch differ by at most {:.1e} (tolerance \
             {:.1e}). All verdicts are equal. The shares of a map differ by at most {:.1e} of the largest share (tolerance {:.1e}). The \
             sum of a map differs from its logit by at most {largest_sum_difference:.1e}. The whitened features differ by at most {:.1e} \
             of {compared} (tolerance {:.1e}).",
            differences.logit,
            tolerances.logit,
            differences.map,
            tolerances.map,
            differences.features,
            tolerances.features,
        );
        if let Some(Differences { logit, map, features }) = emulated {
            let _ = writeln!(
                card,
                "- {precision}, emulated: every result was rounded to {precision}, on {} images. The logits differ from libtorch's by at \
                 most {logit:.1e}, the shares by {map:.1e} and the whitened features by {features:.1e}. The tolerances are three times \
                 these differences, at least those of f32.",
                selection.candidates,
            );
        }
    }
    let Selection { candidates, suitable, margins, nearest, .. } = selection;
    let _ = writeln!(
        card,
        "- {suitable} of {candidates} candidate(s) for golden images keep twice the tolerances from the thresholds and the largest \
         distance ({:.1e} in logits). The nearest logit of a golden image is {nearest:.1e} from a threshold.",
        margins.logit,
    );
    if selection.is_tight() {
        let consequence = if selection.has_few_candidates() {
            "They prove little of an engine."
        } else {
            "An engine within its tolerances may give the unsuitable parts another verdict."
        };
        let _ = writeln!(
            card,
            "- **Few suitable golden images**: expected at least {}. {consequence}",
            selection.expected()
        );
    }
}

/// Adds the table of verdicts at an operating point. It has no row for REVIEW if both thresholds are equal.
fn thresholds(card: &mut String, point: OperatingPoint) {
    let [review, reject] = [point.review_from(), point.reject_from()];
    let [review_score, reject_score] = point.score_thresholds();
    card.push_str("| logit | score | verdict |\n|---|---|---|\n");
    let _ = writeln!(card, "| below {review:.4} | below {review_score:.4} | PASS |");
    if review < reject {
        let scores = format!("{review_score:.4} to below {reject_score:.4}");
        let _ = writeln!(card, "| {review:.4} to below {reject:.4} | {scores} | REVIEW |");
    }
    let _ = writeln!(card, "| {reject:.4} and above | {reject_score:.4} and above | REJECT |");
    card.push_str("| not a finite number | | REJECT |\n");
    match point.largest_distance() {
        Some(distance) => {
            let _ = writeln!(card, "\nA part that would pass is REVIEW if its distance is above {distance:.2}.");
        }
        None => card.push_str(
            "\nThe distance of a part is not checked: the training had too few normal parts that would pass.\n",
        ),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Margins;
    use cellgate_models::policy::Calibration;

    #[test]
    fn the_card_names_the_consequence_of_few_suitable_golden_images() {
        let point = OperatingPoint::new([0.4, 0.6], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let margins = Margins { logit: 0.05, distance: 0.1 };
        let last_line = |suitable, candidates| {
            let selection = Selection { candidates, suitable, golden: suitable, margins, nearest: 0.5 };
            let mut card = String::new();
            proof(&mut card, &[], &selection, point);
            card.lines().last().unwrap().to_owned()
        };
        let few = "- **Few suitable golden images**: expected at least 4. They prove little of an engine.";
        assert_eq!(last_line(3, 3), few);
        let tight =
            "expected at least 16. An engine within its tolerances may give the unsuitable parts another verdict.";
        assert_eq!(last_line(15, 32), format!("- **Few suitable golden images**: {tight}"));
        assert!(last_line(16, 32).starts_with("- 16 of 32 candidate(s)"));
    }
}
