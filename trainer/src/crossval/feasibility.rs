//! Checks whether a data set can be cross-validated, before hours are spent on features.

use super::{CrossvalError, CrossvalInputs, FeasibilityError, Fold};
use crate::dataset::{Dataset, Label};
use crate::fit::Recipe;
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Method};
use std::collections::HashMap;

/// Checks whether the bundles, the labels and the settings allow a cross-validation.
///
/// # Errors
/// - There are fewer than two bundles.
/// - The training parts of a fold have one class only, or their bundles are too few to choose an operating point from.
/// - The size of the network's input is invalid.
pub(super) fn check(inputs: &CrossvalInputs<'_>, folds: &[Fold]) -> Result<(), CrossvalError> {
    let dataset = inputs.dataset;
    if folds.len() < 2 {
        return Err(CrossvalError::OneBundle { root: dataset.root.clone(), bundles: folds.len() });
    }
    let with_reference = !inputs.config.references.is_empty();
    for fold in folds {
        training(dataset, &fold.training, &inputs.config.recipe, with_reference).map_err(|source| {
            CrossvalError::TooLittle { root: dataset.root.clone(), bundle: fold.bundle.clone(), source }
        })?;
    }
    // The size is the same for all methods, so trying one method suffices. The global method needs bounds, but their values don't
    // matter here.
    let spec = ConversionSpec::new(Method::Global).with_bounds(Bounds::new(0, u16::MAX)?);
    Converter::new(&spec.with_size(inputs.config.size))?;
    Ok(())
}

/// Checks whether `recipe` can be trained on `parts`, and whether thresholds for reference parts can be chosen if `with_reference`.
///
/// # Errors
/// The parts have one class only, or their bundles are too few to choose an operating point from.
pub fn training(
    dataset: &Dataset,
    parts: &[usize],
    recipe: &Recipe,
    with_reference: bool,
) -> Result<(), FeasibilityError> {
    both_classes(parts.iter().map(|&part| dataset.parts[part].label))?;
    if !recipe.chooses_threshold() && !with_reference {
        return Ok(());
    }
    // The parts of a bundle get out-of-fold scores if the other bundles have both classes.
    let others_have_both_classes = |bundle: &str| {
        let others = parts.iter().filter(|&&part| dataset.parts[part].bundle != bundle);
        both_classes(others.map(|&part| dataset.parts[part].label)).is_ok()
    };
    let scored = parts.iter().map(|&part| &dataset.parts[part]).filter(|part| others_have_both_classes(&part.bundle));
    let too_few = match recipe.chooses_threshold() {
        true => FeasibilityError::NoOperatingPoint,
        false => FeasibilityError::NoReference,
    };
    both_classes(scored.clone().map(|part| part.label)).map_err(|_| too_few)?;
    if !with_reference {
        return Ok(());
    }
    let mut bundles: HashMap<&str, [usize; 2]> = HashMap::new();
    for part in scored {
        bundles.entry(&part.bundle).or_default()[usize::from(part.label == Label::Abnormal)] += 1;
    }
    let usable: Vec<_> = bundles.values().filter(|[normal, _]| *normal >= 2).collect();
    if usable.len() >= 3 && usable.iter().any(|[_, abnormal]| *abnormal > 0) {
        Ok(())
    } else {
        Err(FeasibilityError::NoReference)
    }
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
