//! Makes the rule for the bundle of the reference parts that `--reference` names.

use anyhow::bail;
use cellgate_edge::pipeline::{Judgement, Pipeline};
use cellgate_models::digest::Digest;
use cellgate_models::policy::{Policy, Rule, distinct};
use std::collections::HashMap;
use std::fmt::Arguments;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// The reference parts of a bundle.
pub(super) struct ReferenceParts {
    /// The rule for the bundle.
    pub(super) rule: Rule,
    /// The digests of the images, with their paths.
    images: HashMap<Digest, PathBuf>,
}

impl ReferenceParts {
    /// Runs the network on `images`. Says on stderr what it gives for each of them, which of them are unlike the training, and whether
    /// the guard refuses them. Every image must give a logit, and no image may occur twice.
    pub(super) fn new(pipeline: &mut Pipeline, policy: &Policy, images: &[PathBuf]) -> anyhow::Result<Self> {
        let without = policy.rule();
        let (mut parts, mut seen) = (Vec::new(), HashMap::new());
        for image in images {
            let judgement = pipeline.judge(image, &without);
            let (Some(output), Some(digest)) = (judgement.output, judgement.image) else {
                let reason = judgement.decision.reason;
                bail!("reference part: {reason}: {}", judgement.detail.unwrap_or_else(|| image.display().to_string()));
            };
            if let Some(first) = seen.insert(digest, image.clone()) {
                let (again, first) = (image.display(), first.display());
                bail!("reference part: {again}: found the image of {first} again, expected different parts");
            }
            parts.push((output.logit, output.features));
        }
        let rule = policy.rule_with_reference(&parts)?;
        for (image, (logit, features)) in images.iter().zip(&parts) {
            let (image, distance) = (image.display(), without.distance(features));
            say(format_args!(
                "reference part {image}: logit {logit:.3}, distance {distance:.2} from normal training parts"
            ));
            if let Some(most) = without.largest_distance().filter(|&most| distance > most) {
                let [found, most] = distinct(distance, most);
                warn(format_args!(
                    "{image}: found distance {found}, expected at most {most}: check that the part is good"
                ));
            }
        }
        let expected = policy.with().map_or(0, |(_, reference)| reference.parts());
        if usize::try_from(expected) != Ok(parts.len()) {
            let found = parts.len();
            warn(format_args!("found {found} reference parts, but the model's thresholds were chosen for {expected}"));
        }
        if let Some(refused) = rule.refused() {
            warn(format_args!("no part passes: {refused}"));
        }
        Ok(Self { rule, images: seen })
    }

    /// Whether the judged image is that of a reference part. Compares the content, so a copy counts too.
    pub(super) fn has(&self, judgement: &Judgement) -> bool {
        judgement.image.is_some_and(|image| self.images.contains_key(&image))
    }
}

/// Writes a warning to stderr.
fn warn(text: Arguments<'_>) {
    say(format_args!("warning: --reference: {text}"));
}

/// Writes a line to stderr. If stderr is closed, the reason of each part still says why it does not pass.
fn say(line: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
