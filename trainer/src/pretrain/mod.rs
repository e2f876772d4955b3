//! Trains the backbone from random weights on an endless stream of synthetic radiographs.
//!
//! | file | concept |
//! |---|---|
//! | `stream` | the endless stream of batches; a batch depends only on the seed and its number |
//! | `crop` | a crop of an electrode at a random zoom and conversion, with its targets |
//! | `feed` | threads that render batches ahead of the training |
//! | `network` | the trainable ResNet-34 with one head for each output of the task |
//! | `loss` | the loss of the pre-training's task |
//! | `optimizer` | the settings of AdamW and the learning rate |
//! | `config` | the settings of a pre-training |
//! | `checkpoint` | everything that is needed to continue a pre-training |
//! | `held_out` | figures on electrodes that are never trained on |
//! | `run` | the training loop |
//! | `summary` | the summary of a pre-training in figures |
//! | `output` | weights, loss curve and model card |
//!
//! The network learns to tell from a crop what the generator drew there. These are the targets, which the generator knows:
//!
//! - the position of each kind of anomaly, as a map from stage 3 (a cell for 16 x 16 pixels) and from stage 4 (32 x 32);
//! - the severity of each kind of anomaly in the crop;
//! - method, direction, thickness, mottle and grain of the coating.
//!
//! The maps give hundreds of targets per crop, so a few hours on a CPU suffice. The heads are dropped after the
//! training; they are not the head that `train` makes later.

mod checkpoint;
mod config;
mod crop;
mod error;
mod feed;
mod held_out;
mod loss;
mod network;
mod optimizer;
mod output;
mod run;
mod stream;
mod summary;

pub use config::{Budget, PretrainConfig, Run};
pub use error::PretrainError;
pub use held_out::Figures;
pub use run::run;
pub use stream::Stream;
pub use summary::Summary;
