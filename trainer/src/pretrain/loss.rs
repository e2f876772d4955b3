//! Computes the loss of the pre-training's task.

use super::network::Outputs;
use super::stream::Tensors;
use cellgate_models::conversion::{IMAGENET_MEAN, IMAGENET_STD};
use tch::{Kind, Reduction, TchError, Tensor};

/// The terms of the loss with their weights. The names are columns of the loss curve. `last` is the severities again, predicted through
/// ResNet-34's last layer of 1000 outputs.
pub(super) const TERMS: [(&str, f64); 6] =
    [("map3", 6.0), ("map4", 6.0), ("severities", 1.0), ("last", 0.5), ("coating", 0.2), ("style", 0.2)];
/// Weight of a cell of an anomaly map that shows an anomaly, relative to a cell without one. It is above 1, because most cells of
/// the maps show no anomaly.
const CELL_WEIGHT: f64 = 3.0;

/// The loss and its [`TERMS`]. Both tensors stay on the processor (CPU or GPU) that trains.
pub(super) struct Loss {
    pub(super) total: Tensor,
    pub(super) terms: Tensor,
}

/// Normalises levels of 0..=255 as a conversion does, with the mean and standard deviation of ImageNet.
///
/// # Errors
/// libtorch fails.
pub(super) fn normalised(levels: &Tensor) -> Result<Tensor, TchError> {
    let constant = |values: [f32; 3]| Tensor::f_from_slice(&values)?.f_view([1, 3, 1, 1])?.f_to_device(levels.device());
    let shares = levels.f_to_kind(Kind::Float)?.f_div_scalar(255.0)?;
    shares.f_sub(&constant(IMAGENET_MEAN)?)?.f_div(&constant(IMAGENET_STD)?)
}

/// The loss of `outputs` for the targets `answers`.
///
/// # Errors
/// libtorch fails.
pub(super) fn loss(outputs: &Outputs, answers: &Tensors) -> Result<Loss, TchError> {
    let cross_entropy = |output: &Tensor, truth: &Tensor, weight: Option<&Tensor>, positive: Option<&Tensor>| {
        output.f_binary_cross_entropy_with_logits(truth, weight, positive, Reduction::Mean)
    };
    let positive = Tensor::f_full([1], CELL_WEIGHT, (Kind::Float, outputs.severities.device()))?;
    // Index 0 is stage 3, index 1 is stage 4.
    let map = |index: usize| cross_entropy(&outputs.maps[index], &answers.maps[index], None, Some(&positive));
    let severities = |output: &Tensor| cross_entropy(output, &answers.severities, Some(&answers.asked), None);
    // The arguments -100 and 0.0 of the cross-entropy are libtorch's defaults: the class to ignore, and no label smoothing.
    let terms = [
        map(0)?,
        map(1)?,
        severities(&outputs.severities)?,
        severities(&outputs.last_severities)?,
        outputs.coatings.f_cross_entropy_loss::<Tensor>(&answers.coatings, None, Reduction::Mean, -100, 0.0)?,
        outputs.styles.f_smooth_l1_loss(&answers.styles, Reduction::Mean, 1.0)?,
    ];
    // The weights are arguments of the multiplications, not a tensor: copying one to a GPU would wait for all work before it.
    let mut total = terms[0].f_mul_scalar(TERMS[0].1)?;
    for (term, (_, weight)) in terms.iter().zip(TERMS).skip(1) {
        total = total.f_add(&term.f_mul_scalar(weight)?)?;
    }
    Ok(Loss { total, terms: Tensor::f_stack(&terms, 0)?.f_detach()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrain::network::TrainableNetwork;
    use crate::pretrain::optimizer::optimizer;
    use crate::pretrain::stream::Stream;
    use cellgate_models::conversion::Size;
    use tch::Device;

    #[test]
    fn a_few_steps_on_one_batch_reduce_the_loss() {
        let block = Stream::new(1, 8, Size { height: 64, width: 64 }, 1).block(0).unwrap();
        let answers = block[0].tensors(Device::Cpu).unwrap();
        let network = TrainableNetwork::random(1, Device::Cpu).unwrap();
        let mut optimizer = optimizer(&network).unwrap();
        let images = normalised(&answers.levels).unwrap();
        let mut totals = Vec::new();
        for _ in 0..6 {
            let loss = loss(&network.forward(&images, true).unwrap(), &answers).unwrap();
            totals.push(loss.total.double_value(&[]));
            loss.total.backward();
            optimizer.step(&network.tensors, |_| 1e-3).unwrap();
        }
        assert!(totals[5] < 0.8 * totals[0], "{totals:?}");
    }
}
