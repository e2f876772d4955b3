//! Trains tensors with AdamW (Loshchilov and Hutter 2017). It is implemented here, because a checkpoint needs its moments, and `tch`
//! gives no access to the moments of libtorch's own AdamW.

use std::collections::BTreeMap;
use tch::{TchError, Tensor};

/// Added to the root of the second moment, so that the division by it is defined.
const EPSILON: f64 = 1e-8;

/// Settings of AdamW.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AdamWSettings {
    /// Share of the old value that the first and the second moment keep in a step.
    pub(crate) betas: [f64; 2],
    /// Weight decay per step, relative to the learning rate. It applies to tensors with more than one dimension.
    pub(crate) weight_decay: f64,
}

/// The moments of all trained tensors.
#[derive(Debug)]
pub(crate) struct AdamW {
    /// First and second moment (running means of the gradient and of its square) of each tensor, by the tensor's name.
    pub(crate) moments: BTreeMap<String, [Tensor; 2]>,
    /// Number of steps done.
    pub(crate) steps: u64,
    settings: AdamWSettings,
}

impl AdamW {
    /// The optimizer of the `trained` tensors at the start, with all moments 0.
    ///
    /// # Errors
    /// libtorch fails.
    pub(crate) fn new<'a>(
        trained: impl IntoIterator<Item = (&'a String, &'a Tensor)>,
        settings: AdamWSettings,
    ) -> Result<Self, TchError> {
        let zeros = |tensor: &Tensor| tensor.detach().f_zeros_like();
        let moments = trained.into_iter().map(|(name, tensor)| Ok((name.clone(), [zeros(tensor)?, zeros(tensor)?])));
        Ok(Self { moments: moments.collect::<Result<_, TchError>>()?, steps: 0, settings })
    }

    /// Updates `tensors` from their gradients, and sets the gradients to 0. `learning_rate` is that of the tensor with the given name.
    ///
    /// # Errors
    /// libtorch fails.
    pub(crate) fn step(
        &mut self,
        tensors: &BTreeMap<String, Tensor>,
        learning_rate: impl Fn(&str) -> f64,
    ) -> Result<(), TchError> {
        self.steps += 1;
        let AdamWSettings { betas, weight_decay } = self.settings;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        // The moments start at 0. Dividing them by these sums of weights corrects their bias towards 0.
        let [first_sum, second_sum] = betas.map(|beta| 1.0 - beta.powi(steps));
        tch::no_grad(|| {
            for (name, [first, second]) in &mut self.moments {
                let learning_rate = learning_rate(name);
                let mut weight = tensors[name].shallow_clone();
                let mut gradient = weight.f_grad()?;
                let _ = first.f_mul_scalar_(betas[0])?.f_add_(&gradient.f_mul_scalar(1.0 - betas[0])?)?;
                let _ = second.f_mul_scalar_(betas[1])?.f_add_(&gradient.f_square()?.f_mul_scalar_(1.0 - betas[1])?)?;
                if weight.dim() > 1 {
                    let _ = weight.f_mul_scalar_(1.0 - learning_rate * weight_decay)?;
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
    fn two_steps_equal_a_computation_by_hand() {
        let weight = Tensor::from_slice(&[1.0_f64, -2.0]).view([1, 2]).set_requires_grad(true);
        let bias = Tensor::from_slice(&[0.5_f64]).set_requires_grad(true);
        let tensors = BTreeMap::from([("bias".to_owned(), bias), ("weight".to_owned(), weight)]);
        let mut optimizer = AdamW::new(&tensors, AdamWSettings { betas: [0.9, 0.99], weight_decay: 0.5 }).unwrap();
        let rate = |name: &str| if name == "bias" { 0.1 } else { 0.01 };
        for _ in 0..2 {
            // The gradients are 3 and -1 for the weights, and 2 for the bias.
            let of_weight = tensors["weight"].view([-1]).dot(&Tensor::from_slice(&[3.0_f64, -1.0]));
            let loss: Tensor = of_weight + tensors["bias"].sum(tch::Kind::Double) * 2.0;
            loss.backward();
            optimizer.step(&tensors, rate).unwrap();
        }
        // With equal gradients, the corrected moments are g and g^2 in each step, so a step is the rate times the sign of g.
        let decay = 1.0 - 0.01 * 0.5;
        let expected = [(1.0 * decay - 0.01) * decay - 0.01, (-2.0 * decay + 0.01) * decay + 0.01];
        for (index, expected) in expected.into_iter().enumerate() {
            assert!((tensors["weight"].double_value(&[0, index as i64]) - expected).abs() < 1e-7);
        }
        assert!((tensors["bias"].double_value(&[0]) - 0.3).abs() < 1e-7);
        assert_eq!(optimizer.steps, 2);
    }
}
