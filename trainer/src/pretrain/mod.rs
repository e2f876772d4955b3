//! Trains the backbone from random weights on an endless stream of synthetic radiographs.
//!
//! | file | concept |
//! |---|---|
//! | `stream` | the endless stream of batches; a batch depends only on the seed and its number |
//! | `crop` | a crop of an electrode at a random zoom and conversion, with its targets |
//! | `feed` | threads that render batches ahead of the training |
//! | `network` | the trainable ResNet-34 with the heads of the task |
//! | `loss` | the loss of the task |
//! | `optimizer` | AdamW and the learning rate |
//! | `config` | the settings of a run |
//! | `checkpoint` | everything that is needed to continue a run |
//! | `held_out` | figures on electrodes that are never trained on |
//! | `run` | the training loop |
//! | `summary` | the summary of a run in figures |
//! | `output` | weights, loss curve and model card |
//!
//! The generator knows the targets of the task:
//!
//! - the position of each kind of anomaly, as a map from stage 3 (a cell for 16 x 16 pixels) and from stage 4 (32 x 32);
//! - the severity of each kind in the crop;
//! - coating method, direction, thickness and mottle of the bundle.
//!
//! The maps give hundreds of targets per image, so a few CPU hours suffice. The heads are dropped after the training.

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
pub use error::{CheckpointError, PretrainError};
pub use held_out::Figures;
pub use run::run;
pub use summary::Summary;
