//! The settings of recipe `fine-tune`.

use crate::network::Flips;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// Settings of recipe `fine-tune`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineTuneRecipe {
    /// Largest number of passes over the training images. The number of passes is the one with the lowest out-of-fold loss.
    pub epochs: NonZeroU32,
    /// The learning rates.
    pub rates: Rates,
    /// Weight decay per step, relative to the learning rate.
    pub weight_decay: f64,
    /// Images per step, at least 1.
    pub batch: usize,
    /// Share of the old value that the averages of the weights keep in a step. The averages are what is judged and exported.
    pub averaging: f64,
    /// The flip variants of an image that the head judges. It is trained on all four in any case.
    pub flips: Flips,
    /// The costs that weight the loss. `None` for a loss in which both classes have the same weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costs: Option<Costs>,
}

/// The learning rates of AdamW. They are constant, so that the weights after some epochs do not depend on the number of epochs to come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// That of stage 4.
    pub stage_4: f64,
    /// That of the linear layer.
    pub linear: f64,
}

/// The costs of errors, in any unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Cost of an abnormal part that passes, above 0.
    pub escape: f64,
    /// Cost of a normal part that is rejected, above 0.
    pub overkill: f64,
}

impl FineTuneRecipe {
    /// Largest number of epochs by default.
    const EPOCHS: NonZeroU32 = NonZeroU32::new(8).expect("8 is not 0");
}

impl Default for FineTuneRecipe {
    fn default() -> Self {
        Self {
            epochs: Self::EPOCHS,
            rates: Rates { stage_4: 3e-5, linear: 1e-4 },
            weight_decay: 0.02,
            batch: 16,
            averaging: 0.99,
            flips: Flips::One,
            costs: None,
        }
    }
}
