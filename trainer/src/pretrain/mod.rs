//! Training the backbone from random weights on an endless stream of synthetic radiographs.
//!
//! | file | concept |
//! |---|---|
//! | `stream` | batch after batch of crops, each from the seed and its number alone |
//! | `crop` | a crop of an electrode at a random zoom and conversion, and what there is to know of it |
//! | `feed` | threads that render ahead of the training |
//! | `network` | ResNet-34 that can be trained, with the heads that the task needs |
//! | `loss` | the task: what the heads are asked for |
//! | `optimizer` | AdamW and the learning rate |
//! | `config` | what decides a run |
//! | `checkpoint` | everything that a run needs to go on |
//! | `held_out` | figures on electrodes that are never trained on |
//! | `run` | the loop |
//! | `summary` | how far a run is, in figures |
//! | `output` | the files for people: weights, curve, model card |
//!
//! The task is supervised by what the generator knows: where which kind of anomaly is (a map of each kind from stage 3,
//! one cell for 16 x 16 pixels, and from stage 4, 32 x 32), how severe each is in the crop, and coating method,
//! direction, thickness and mottle of the bundle. The maps give hundreds of answers an image, which is what makes a few
//! CPU hours enough. The heads are dropped afterwards.

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
