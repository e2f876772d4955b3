//! The weights of the parts, and the loss: weighted binary cross-entropy.

use super::recipe::Costs;
use crate::dataset::Label;
use crate::fit::{FitError, linear};

/// The target of a part: 1 for abnormal, 0 for normal.
pub(super) fn target(label: Label) -> f64 {
    f64::from(label == Label::Abnormal)
}

/// The weight of each of `parts`, which are pairs of bundle and label. The mean weight is 1.
///
/// Without costs, the weights balance classes and bundles ([`linear::weights`]). With costs, the weight of an abnormal part is the cost
/// of an escape, and that of a normal part is the cost of an overkill. This is the Real-World-Weight Cross-Entropy of Ho and Wookey 2020,
/// divided by a constant.
///
/// # Errors
/// [`FitError::OneClass`].
pub(super) fn weights<'a>(
    parts: impl Iterator<Item = (&'a str, Label)> + Clone,
    costs: Option<Costs>,
) -> Result<Vec<f64>, FitError> {
    let balanced = linear::weights(parts.clone())?;
    let Some(costs) = costs else { return Ok(balanced) };
    let cost = |(_, label): (&str, Label)| if label == Label::Abnormal { costs.escape } else { costs.overkill };
    let mean = parts.clone().map(cost).sum::<f64>() / balanced.len() as f64;
    Ok(parts.map(|part| cost(part) / mean).collect())
}

/// The weighted binary cross-entropy of `logits`, divided by the number of parts. All three lists are in the same order.
pub(super) fn loss(logits: &[f64], targets: &[f64], weights: &[f64]) -> f64 {
    let of_part = |((logit, target), weight): ((&f64, &f64), &f64)| {
        weight * (logit.max(0.0) - logit * target + (-logit.abs()).exp().ln_1p())
    };
    logits.iter().zip(targets).zip(weights).map(of_part).sum::<f64>() / logits.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_replace_the_balance_of_the_classes() {
        let parts = [("a", Label::Normal), ("a", Label::Normal), ("b", Label::Normal), ("b", Label::Abnormal)];
        let balanced = weights(parts.into_iter(), None).unwrap();
        assert!((balanced[..3].iter().sum::<f64>() - balanced[3]).abs() < 1e-12, "{balanced:?}");
        let costs = weights(parts.into_iter(), Some(Costs { escape: 50.0, overkill: 10.0 })).unwrap();
        assert_eq!(costs, [0.5, 0.5, 0.5, 2.5]);
        assert!(weights(parts[..2].iter().copied(), Some(Costs { escape: 1.0, overkill: 1.0 })).is_err());
    }

    #[test]
    fn the_loss_equals_a_computation_by_hand() {
        let found = loss(&[0.0, 3.0_f64.ln(), -800.0], &[1.0, 0.0, 1.0], &[1.0, 2.0, 0.5]);
        let expected = (2.0_f64.ln() + 2.0 * 4.0_f64.ln() + 0.5 * 800.0) / 3.0;
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}
