//! Checks whether a data set can be cross-validated, before hours are spent on features.

use super::{CrossvalError, CrossvalInputs, FeasibilityError, Fold};
use crate::dataset::{Dataset, Label};
use crate::fit::Recipe;
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Method};

/// Checks whether the bundles, the labels and the settings allow a cross-validation.
///
/// # Errors
/// - There are fewer than two bundles.
/// - The training parts of a fold have one class only, or too few bundles to choose an operating point from.
/// - The size of the network's input is invalid.
pub(super) fn check(inputs: &CrossvalInputs<'_>, folds: &[Fold]) -> Result<(), CrossvalError> {
    let dataset = inputs.dataset;
    if folds.len() < 2 {
        return Err(CrossvalError::OneBundle { root: dataset.root.clone(), bundles: folds.len() });
    }
    for fold in folds {
        training(dataset, &fold.training, &inputs.config.recipe).map_err(|source| CrossvalError::TooLittle {
            root: dataset.root.clone(),
            bundle: fold.bundle.clone(),
            source,
        })?;
    }
    // The size is the same for all methods, so trying one method suffices. The global method needs bounds, but their values don't
    // matter here.
    let spec = ConversionSpec::new(Method::Global).with_bounds(Bounds::new(0, u16::MAX)?);
    Converter::new(&spec.with_size(inputs.config.size))?;
    Ok(())
}

/// Checks whether `recipe` can be trained on `parts`.
///
/// # Errors
/// The parts have one class only, or too few bundles to choose an operating point from.
pub fn training(dataset: &Dataset, parts: &[usize], recipe: &Recipe) -> Result<(), FeasibilityError> {
    both_classes(parts.iter().map(|&part| dataset.parts[part].label))?;
    if matches!(recipe, Recipe::Paper(_)) {
        return Ok(());
    }
    // The parts of a bundle get out-of-fold scores if the other bundles have both classes.
    let others_have_both_classes = |bundle: &str| {
        let others = parts.iter().filter(|&&part| dataset.parts[part].bundle != bundle);
        both_classes(others.map(|&part| dataset.parts[part].label)).is_ok()
    };
    let scored = parts.iter().map(|&part| &dataset.parts[part]).filter(|part| others_have_both_classes(&part.bundle));
    both_classes(scored.map(|part| part.label)).map_err(|_| FeasibilityError::NoOperatingPoint)
}

/// Checks that `labels` has at least one normal and one abnormal label.
fn both_classes(labels: impl Iterator<Item = Label>) -> Result<(), FeasibilityError> {
    let (mut normal, mut abnormal) = (0, 0);
    labels.for_each(|label| match label {
        Label::Normal => normal += 1,
        Label::Abnormal => abnormal += 1,
    });
    if normal > 0 && abnormal > 0 { Ok(()) } else { Err(FeasibilityError::OneClass { normal, abnormal }) }
}
