//! Trains stage 4 of the backbone and a linear layer end to end, from the cached maps of stage 3.
//!
//! | file | concept |
//! |---|---|
//! | `recipe` | the settings of the recipe |
//! | `tuning` | what the recipe needs besides a training set |
//! | `groups` | divides the training bundles into groups for the out-of-fold logits |
//! | `loss` | the weights of the parts, and the loss |
//! | `start` | the linear layer before the training |
//! | `network` | stage 4 and the linear layer with their averages, and one training step |
//! | `epoch` | one pass over the training parts, in an order that depends on the seed and the number of the pass only |
//! | `checkpoint` | everything that is needed to continue a training |
//! | `run` | the whole training: each group left out in turn, then all parts |
//! | `estimate` | how long a training takes and how much space it needs |

mod checkpoint;
mod epoch;
mod estimate;
mod groups;
mod loss;
mod network;
mod recipe;
mod run;
mod start;
mod tuning;

pub use estimate::{Estimate, Pace};
pub use recipe::{Costs, FineTuneRecipe, Rates};
pub(super) use run::train;
pub use tuning::Tuning;
