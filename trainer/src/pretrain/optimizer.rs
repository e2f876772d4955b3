//! Sets the optimizer and the learning rate of the pre-training.

use super::network::{TrainableNetwork, is_trained};
use crate::adamw::{AdamW, AdamWSettings};
use tch::TchError;

const SETTINGS: AdamWSettings = AdamWSettings { betas: [0.9, 0.99], weight_decay: 0.02 };
/// Share of the budget in which the learning rate rises.
const WARM_UP: f64 = 0.03;
/// Learning rate at the start and at the end, relative to the highest learning rate.
const LAST: f64 = 0.01;

/// The optimizer of `network` at the start.
///
/// # Errors
/// libtorch fails.
pub(super) fn optimizer(network: &TrainableNetwork) -> Result<AdamW, TchError> {
    AdamW::new(network.tensors.iter().filter(|(name, _)| is_trained(name)), SETTINGS)
}

/// The learning rate once `share` of the budget (0..=1) is used, relative to the highest learning rate. It rises
/// linearly and then falls along a cosine.
pub(super) fn rate(share: f64) -> f64 {
    if share < WARM_UP {
        return (share / WARM_UP).max(LAST);
    }
    let phase = ((share - WARM_UP) / (1.0 - WARM_UP)).min(1.0);
    LAST + (1.0 - LAST) * 0.5 * (1.0 + (std::f64::consts::PI * phase).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls() {
        assert_eq!((rate(0.0), rate(WARM_UP), rate(1.0), rate(2.0)), (LAST, 1.0, LAST, LAST));
        assert!(rate(0.5 * WARM_UP) < 0.51 && rate(0.3) > rate(0.6) && rate(0.6) > rate(0.9));
    }
}
