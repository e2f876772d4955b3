//! Computes figures on held-out electrodes. These are rendered with another seed than the training's electrodes, so
//! they come from other bundles and another detector.

use super::PretrainError;
use super::loss::{loss, normalised};
use super::network::TrainableNetwork;
use super::stream::{Batch, Stream, Tensors};
use crate::dataset::Label;
use crate::dataset::synth::sampler::{ABNORMAL_SEVERITY, KINDS};
use crate::stats::{Scored, auroc};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// The pre-training's seed XOR this number is the seed of the held-out stream. The number is "held out" in ASCII.
const SEED: u64 = 0x6865_6c64_206f_7574;
/// Number of held-out batches.
const BATCHES: u64 = 8;

/// Figures on held-out crops. Batch normalisation uses the running statistics, as in the finished network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Number of steps trained so far.
    pub step: u64,
    /// The mean of the loss over the held-out batches.
    pub loss: f64,
    /// How well the map of stage 4 separates cells of 32 x 32 pixels that show a kind of anomaly from cells without
    /// this kind: AUROC, mean over the kinds.
    pub cells_auroc: f64,
    /// How well the severities that are computed from the means of stages 3 and 4 separate crops that show a kind of
    /// anomaly from crops without this kind: AUROC, mean over the kinds. Anomalies too weak to make a part abnormal do
    /// not count.
    pub crops_auroc: f64,
    /// Share of crops whose coating method and direction are recognised. Guessing gives one in eight.
    pub coating_accuracy: f64,
}

/// The held-out crops.
pub(super) struct HeldOut(Vec<Batch>);

impl HeldOut {
    /// The held-out crops of a pre-training with this `seed`, in batches like those of the training.
    ///
    /// # Errors
    /// Rendering fails.
    pub(super) fn new(seed: u64, batch: usize, size: cellgate_models::conversion::Size) -> Result<Self, PretrainError> {
        // No two batches show the same electrode, so that the figures rest on as many electrodes as possible.
        let stream = Stream::new(seed ^ SEED, batch, size, 1);
        let blocks = (0..BATCHES).into_par_iter().map(|number| stream.block(number));
        Ok(Self(blocks.collect::<Result<Vec<_>, PretrainError>>()?.into_iter().flatten().collect()))
    }

    /// The figures of `network` after `step` steps.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn figures(&self, network: &TrainableNetwork, step: u64) -> Result<Figures, PretrainError> {
        let _guard = tch::no_grad_guard();
        let (mut total, mut right, mut crops) = (0.0, 0, 0);
        let mut of_cells: [Vec<Scored>; KINDS] = Default::default();
        let mut of_crops: [Vec<Scored>; KINDS] = Default::default();
        for batch in &self.0 {
            let answers: Tensors = batch.tensors(network.device())?;
            let outputs = network.forward(&normalised(&answers.levels)?, false)?;
            total += loss(&outputs, &answers)?.total.double_value(&[]);
            let coatings = outputs.coatings.f_argmax(1, false)?;
            right += coatings.f_eq_tensor(&answers.coatings)?.f_sum(Kind::Int64)?.int64_value(&[]);
            crops += answers.coatings.size1()?;
            for kind in 0..KINDS {
                let (output, truth) = (column(&outputs.maps[1], kind)?, column(&answers.maps[1], kind)?);
                // A cell with a value between 0 and 0.5 is left out, because it shows too little of the anomaly.
                of_cells[kind].extend(output.iter().zip(&truth).filter_map(|(output, truth)| match truth {
                    0.0 => Some(scored(*output, false)),
                    0.5.. => Some(scored(*output, true)),
                    _ => None,
                }));
                let (output, truth) = (column(&outputs.severities, kind)?, column(&answers.severities, kind)?);
                let asked = column(&answers.asked, kind)?;
                of_crops[kind].extend(output.iter().zip(&truth).zip(&asked).filter_map(|((output, truth), asked)| {
                    let is_clear = *asked > 0.0 && (*truth == 0.0 || *truth >= ABNORMAL_SEVERITY.into());
                    is_clear.then(|| scored(*output, *truth > 0.0))
                }));
            }
        }
        Ok(Figures {
            step,
            loss: total / self.0.len() as f64,
            cells_auroc: mean(&of_cells),
            crops_auroc: mean(&of_crops),
            coating_accuracy: right as f64 / crops as f64,
        })
    }
}

fn scored(score: f64, is_present: bool) -> Scored {
    Scored { score, label: if is_present { Label::Abnormal } else { Label::Normal } }
}

/// All values of the kind of anomaly with the number `kind`. Dimension 1 of `values` is the kind.
fn column(values: &Tensor, kind: usize) -> Result<Vec<f64>, PretrainError> {
    let column = values.f_narrow(1, kind as i64, 1)?.f_reshape([-1])?;
    Ok(Vec::<f64>::try_from(column.f_to_kind(Kind::Double)?)?)
}

/// The mean AUROC over the kinds that have both positive and negative examples. 0 if there is no such kind.
fn mean(kinds: &[Vec<Scored>]) -> f64 {
    let areas: Vec<_> = kinds.iter().filter_map(|scored| auroc(scored)).collect();
    areas.iter().sum::<f64>() / areas.len().max(1) as f64
}
