//! Trains the weights with AdamW (Loshchilov and Hutter 2017), and sets the learning rate. AdamW is implemented here,
//! because a checkpoint needs its moments, and `tch` gives no access to the moments of libtorch's own AdamW.

use super::network::{TrainableNetwork, is_trained};
use std::collections::BTreeMap;
use tch::{TchError, Tensor};

/// Share of the old value that the first and the second moment keep in a step.
const BETAS: [f64; 2] = [0.9, 0.99];
/// Added to the root of the second moment, so that the division by it is defined.
const EPSILON: f64 = 1e-8;
/// Weight decay per step, relative to the learning rate. It applies to tensors with more than one dimension.
const WEIGHT_DECAY: f64 = 0.02;
/// Share of the budget in which the learning rate rises.
const WARM_UP: f64 = 0.03;
/// Learning rate at the start and at the end, relative to the highest learning rate.
const LAST: f64 = 0.01;

/// The moments of all trained tensors.
pub(super) struct Optimizer {
    /// First and second moment (running means of the gradient and of its square) of each tensor, by the tensor's name.
    pub(super) moments: BTreeMap<String, [Tensor; 2]>,
    /// Number of steps done.
    pub(super) steps: u64,
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

impl Optimizer {
    /// The optimizer at the start, with all moments 0.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn new(network: &TrainableNetwork) -> Result<Self, TchError> {
        let trained = network.tensors.iter().filter(|(name, _)| is_trained(name));
        let zeros = |tensor: &Tensor| tensor.detach().f_zeros_like();
        let moments = trained.map(|(name, tensor)| Ok((name.clone(), [zeros(tensor)?, zeros(tensor)?])));
        Ok(Self { moments: moments.collect::<Result<_, TchError>>()?, steps: 0 })
    }

    /// Updates the weights from their gradients, and sets the gradients to 0.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn step(&mut self, network: &TrainableNetwork, learning_rate: f64) -> Result<(), TchError> {
        self.steps += 1;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        // The moments start at 0. Dividing them by these sums of weights corrects their bias towards 0.
        let [first_sum, second_sum] = BETAS.map(|beta| 1.0 - beta.powi(steps));
        tch::no_grad(|| {
            for (name, [first, second]) in &mut self.moments {
                let mut weight = network.tensors[name].shallow_clone();
                let mut gradient = weight.f_grad()?;
                let _ = first.f_mul_scalar_(BETAS[0])?.f_add_(&gradient.f_mul_scalar(1.0 - BETAS[0])?)?;
                let _ = second.f_mul_scalar_(BETAS[1])?.f_add_(&gradient.f_square()?.f_mul_scalar_(1.0 - BETAS[1])?)?;
                if weight.dim() > 1 {
                    let _ = weight.f_mul_scalar_(1.0 - learning_rate * WEIGHT_DECAY)?;
                }
                let mut deviation = second.f_div_scalar(second_sum)?.f_sqrt_()?;
                let _ = deviation.f_add_scalar_(EPSILON)?;
                let _ = weight.f_sub_(&first.f_div(&deviation)?.f_mul_scalar_(learning_rate / first_sum)?)?;
                let _ = gradient.f_zero_()?;
            }
            Ok(())
        })
    }
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
