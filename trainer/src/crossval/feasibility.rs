//! Whether a data set can be cross-validated at all: what its bundles and labels say, before hours go into features.

use super::{Fold, Inputs};
use crate::dataset::{Dataset, Label};
use crate::fit::Recipe;
use anyhow::{Context, Result, ensure};
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Method};

/// Checks the bundles, the labels and the settings of a run.
///
/// # Errors
/// Fewer than two bundles, a fold whose training parts are of one class (or, where the operating point is chosen in them,
/// too few bundles for that), a size that can't be carried out.
pub(super) fn check(inputs: &Inputs<'_>, folds: &[Fold]) -> Result<()> {
    let dataset = inputs.dataset;
    let root = dataset.root.display();
    let bundles = folds.len();
    ensure!(
        bundles >= 2,
        "{root}: found {bundles} bundle, expected at least 2: leaving one bundle out needs another to train on"
    );
    for fold in folds {
        training(dataset, &fold.training, &inputs.config.recipe)
            .with_context(|| format!("{root}: without {} there is too little to train on", fold.bundle))?;
    }
    // The size is the same for all methods; naive needs nothing else, global the bounds.
    let spec = ConversionSpec::new(Method::Global).with_bounds(Bounds::new(0, u16::MAX)?);
    Converter::new(&spec.with_size(inputs.config.size))?;
    Ok(())
}

/// Whether `recipe` can be trained on `parts`.
///
/// # Errors
/// They are of one class, or an operating point can't be chosen in them.
pub fn training(dataset: &Dataset, parts: &[usize], recipe: &Recipe) -> Result<()> {
    both_classes(parts.iter().map(|&part| dataset.parts[part].label))?;
    if matches!(recipe, Recipe::Paper(_)) {
        return Ok(());
    }
    // Scores come from the bundles without which both classes are still there.
    let without = |bundle: &str| {
        let others = parts.iter().filter(|&&part| dataset.parts[part].bundle != bundle);
        both_classes(others.map(|&part| dataset.parts[part].label)).is_ok()
    };
    let scored = parts.iter().map(|&part| &dataset.parts[part]).filter(|part| without(&part.bundle));
    ensure!(
        both_classes(scored.map(|part| part.label)).is_ok(),
        "the operating point comes from bundles that a model did not see, so both classes are needed in at least two bundles \
         of those that are trained on, three of all; recipe `paper` does without (--recipe paper)"
    );
    Ok(())
}

fn both_classes(labels: impl Iterator<Item = Label>) -> Result<()> {
    let (mut normal, mut abnormal) = (0, 0);
    labels.for_each(|label| match label {
        Label::Normal => normal += 1,
        Label::Abnormal => abnormal += 1,
    });
    ensure!(normal > 0 && abnormal > 0, "found {normal} normal and {abnormal} abnormal parts, expected some of both");
    Ok(())
}
