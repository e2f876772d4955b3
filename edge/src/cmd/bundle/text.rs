//! Writes the status of a bundle as text.

use cellgate_edge::control::{BundleStatus, BundleStep, Candidate};
use cellgate_edge::journal::format_utc_ms;
use std::fmt::Write as _;

/// The status as text: the bundle, its step, its reference parts, and what to do next.
pub(super) fn of(status: &BundleStatus) -> String {
    let judged = match status.step {
        BundleStep::None => {
            return "no bundle is running\nnext: `cellgate-edge bundle start ID` before parts of a bundle come\n"
                .to_owned();
        }
        BundleStep::Reference => "reference parts are being judged, and no part passes".to_owned(),
        BundleStep::Offset => {
            let offset = status.offset.map_or_else(|| "unknown".to_owned(), |offset| format!("{offset:.4}"));
            format!("parts are judged with the offset {offset}")
        }
        BundleStep::UnlikeTraining => "the reference parts were refused, and no part passes".to_owned(),
        BundleStep::WithoutReference => {
            "parts are judged without an offset, because the model was trained without reference parts".to_owned()
        }
    };
    let mut text = format!("bundle {}: {judged}\n", status.bundle);
    let started = format_utc_ms(status.started_unix_ms);
    let BundleStatus { started_by, started_why, parts, .. } = status;
    let _ = writeln!(text, "started: {started} by {started_by}: {started_why}; parts with a verdict: {parts}");
    if status.is_of_plc {
        text += "a trigger that names no bundle ends this bundle\n";
    }
    if status.step != BundleStep::WithoutReference {
        text += &reference_parts(status);
    }
    if let Some(why) = &status.refused {
        let _ = writeln!(text, "refused: {why}");
    }
    if !status.candidates.is_empty() {
        let _ = writeln!(text, "{}", table(&status.candidates));
    }
    if status.step == BundleStep::Reference && status.reference_parts < status.trained_for {
        let BundleStatus { reference_parts, trained_for, .. } = status;
        let _ = writeln!(
            text,
            "warning: the model's thresholds were chosen for {trained_for} reference parts; with {reference_parts} the offset is less \
             certain"
        );
    }
    if let Some(next) = next(status) {
        let _ = writeln!(text, "next: {next}");
    }
    text
}

/// The line about the confirmed and the missing reference parts.
fn reference_parts(status: &BundleStatus) -> String {
    let confirmed = status.confirmed.len() as u64;
    let missing = u64::from(status.reference_parts).saturating_sub(confirmed);
    let mut text = format!("reference parts: {confirmed} confirmed, {missing} missing");
    if confirmed > 0 {
        text += "; confirmed: ";
        text += &status.confirmed.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    }
    text + "\n"
}

/// What a person does next, if anything.
fn next(status: &BundleStatus) -> Option<String> {
    let bundle = status.bundle;
    match status.step {
        BundleStep::None | BundleStep::Offset | BundleStep::WithoutReference => None,
        BundleStep::Reference if status.candidates.is_empty() && status.parts == 0 => {
            Some("let the PLC trigger parts of this bundle; then confirm those that are good".to_owned())
        }
        BundleStep::Reference if status.candidates.is_empty() => Some(
            "let the PLC trigger more parts; no further part can be confirmed: `cellgate-edge journal list` has the reasons".to_owned(),
        ),
        BundleStep::Reference => Some(format!(
            "inspect these parts, and confirm those that are good: `cellgate-edge bundle confirm --bundle {bundle} PART...`"
        )),
        BundleStep::UnlikeTraining => Some(format!(
            "check the bundle and the scanner; then start the bundle anew with other reference parts: \
             `cellgate-edge bundle start {bundle}`"
        )),
    }
}

fn table(candidates: &[Candidate]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["part", "verdict", "reason", "logit"]);
    for Candidate { part_id, verdict, reason, logit } in candidates {
        table.add_row([&part_id.to_string(), verdict, reason, &format!("{logit:.3}")]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bundle 7 with five reference parts and these confirmed ones.
    fn status(step: BundleStep, confirmed: &[u64]) -> BundleStatus {
        BundleStatus {
            bundle: 7,
            step,
            reference_parts: 5,
            trained_for: 5,
            confirmed: confirmed.to_vec(),
            candidates: Vec::new(),
            offset: None,
            refused: None,
            parts: 6,
            started_unix_ms: 1_800_000_000_250,
            started_by: "anna (uid 1000, pid 4711)".to_owned(),
            started_why: "a person started the bundle".to_owned(),
            is_of_plc: step == BundleStep::Offset,
        }
    }

    fn candidate(part_id: u64, logit: f32) -> Candidate {
        Candidate { part_id, verdict: "REVIEW".to_owned(), reason: "REFERENCE_PART".to_owned(), logit }
    }

    #[test]
    fn the_text_of_each_step_says_what_to_do_next() {
        let waiting = BundleStatus { parts: 0, trained_for: 8, ..status(BundleStep::Reference, &[]) };
        let candidates = vec![candidate(4711, -2.221), candidate(4713, -1.874)];
        let reference = BundleStatus { candidates, ..status(BundleStep::Reference, &[4712]) };
        let all = [1, 2, 3, 4, 5];
        let offset = BundleStatus { offset: Some(-0.73214), ..status(BundleStep::Offset, &all) };
        let refused = Some("the median logit of the reference parts is 3.000, expected 0.000 +- 1.000".to_owned());
        let refused = BundleStatus { refused, ..status(BundleStep::UnlikeTraining, &all) };
        let (none, without) = (status(BundleStep::None, &[]), status(BundleStep::WithoutReference, &[]));
        let texts = [none, waiting, reference, offset, without, refused].map(|status| of(&status));
        insta::assert_snapshot!("status", texts.join("\n"));
    }
}
