//! Makes the rule for the bundle of the reference parts that `--reference` names.

use anyhow::bail;
use cellgate_edge::pipeline::Pipeline;
use cellgate_models::policy::{Policy, Rule};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The rule for the bundle whose reference parts are in `images`. Every image must give a logit, and no image may occur twice.
pub(super) fn rule(pipeline: &mut Pipeline, policy: &Policy, images: &[PathBuf]) -> anyhow::Result<Rule> {
    let mut logits = Vec::new();
    let mut seen = HashMap::new();
    for image in images {
        let judgement = pipeline.judge(image);
        let Some(logit) = judgement.logit else {
            let reason = judgement.decision.reason;
            bail!("reference part: {reason}: {}", judgement.detail.unwrap_or_else(|| image.display().to_string()));
        };
        if let Some(first) = seen.insert(judgement.image, image) {
            bail!(
                "reference part: {}: found the image of {} again, expected different parts",
                image.display(),
                first.display()
            );
        }
        logits.push(logit);
    }
    Ok(policy.rule_with_reference(&logits)?)
}

/// Whether `image` is one of the reference parts' images. Compares the files, not the names.
pub(super) fn is_reference(image: &Path, references: &[PathBuf]) -> bool {
    let file = |path: &Path| path.canonicalize().ok();
    let image = file(image);
    image.is_some() && references.iter().any(|reference| file(reference) == image)
}
