//! What recipe `fine-tune` needs besides a training set.

use crate::features::StageMaps;
use crate::network::Backbone;
use std::path::Path;

/// What recipe `fine-tune` needs besides a training set.
#[derive(Debug, Clone, Copy)]
pub struct Tuning<'a> {
    /// The backbone. Training begins with its stage 4, and runs on its CPU or GPU.
    pub backbone: &'a Backbone,
    /// The maps of the parts of the training set, in the order of the training set.
    pub maps: &'a StageMaps,
    /// The folder of the checkpoint. The training is continued from the checkpoint there. Remove the folder when the result is stored.
    pub folder: &'a Path,
}
