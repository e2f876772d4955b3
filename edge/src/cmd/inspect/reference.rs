//! Reads the argument `--reference` and makes the rule for the bundle of these reference parts.

use anyhow::{Context as _, bail};
use cellgate_edge::pipeline::Pipeline;
use cellgate_models::policy::{Policy, Rule};
use std::path::{Path, PathBuf};

/// The images that the argument names: the TIFF files of a folder in the order of their names, or a list of files with commas between
/// them.
pub(super) fn images(argument: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if argument.is_file() {
        // The file's name may contain commas.
        return Ok(vec![argument.to_owned()]);
    }
    if !argument.is_dir() {
        let text = argument.to_str().with_context(|| format!("--reference {}: expected UTF-8", argument.display()))?;
        return Ok(text.split(',').filter(|name| !name.is_empty()).map(PathBuf::from).collect());
    }
    let folder = || format!("--reference {}", argument.display());
    let entries = std::fs::read_dir(argument).with_context(folder)?;
    let mut images =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().with_context(folder)?;
    images.retain(|path| {
        path.extension().is_some_and(|name| ["tif", "tiff"].iter().any(|known| name.eq_ignore_ascii_case(known)))
    });
    images.sort();
    if images.is_empty() {
        bail!("{}: found no file *.tif or *.tiff in this folder, expected the images of reference parts", folder());
    }
    Ok(images)
}

/// The rule for the bundle whose reference parts are in `images`. Every image must give a logit.
pub(super) fn rule(pipeline: &mut Pipeline, policy: &Policy, images: &[PathBuf]) -> anyhow::Result<Rule> {
    let mut logits = Vec::new();
    for image in images {
        let judgement = pipeline.judge(image);
        let Some(logit) = judgement.logit else {
            let reason = judgement.decision.reason;
            bail!("reference part: {reason}: {}", judgement.detail.unwrap_or_else(|| image.display().to_string()));
        };
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
