//! Whether a data set can be cross-validated at all: what its bundles and labels say, before hours go into features.

use super::{CrossvalError, CrossvalInputs, FeasibilityError, Fold};
use crate::dataset::{Dataset, Label};
use crate::fit::Recipe;
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Method};

/// Checks the bundles, the labels and the settings of a cross-validation.
///
/// # Errors
/// Fewer than two bundles, a fold whose training parts are of one class (or, where the operating point is chosen in them,
/// too few bundles for that), a size that can't be carried out.
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
    // The size is the same for all methods; naive needs nothing else, global the bounds.
    let spec = ConversionSpec::new(Method::Global).with_bounds(Bounds::new(0, u16::MAX)?);
    Converter::new(&spec.with_size(inputs.config.size))?;
    Ok(())
}

/// Whether `recipe` can be trained on `parts`.
///
/// # Errors
/// They are of one class, or an operating point can't be chosen in them.
pub fn training(dataset: &Dataset, parts: &[usize], recipe: &Recipe) -> Result<(), FeasibilityError> {
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
    both_classes(scored.map(|part| part.label)).map_err(|_| FeasibilityError::NoOperatingPoint)
}

fn both_classes(labels: impl Iterator<Item = Label>) -> Result<(), FeasibilityError> {
    let (mut normal, mut abnormal) = (0, 0);
    labels.for_each(|label| match label {
        Label::Normal => normal += 1,
        Label::Abnormal => abnormal += 1,
    });
    if normal > 0 && abnormal > 0 { Ok(()) } else { Err(FeasibilityError::OneClass { normal, abnormal }) }
}
