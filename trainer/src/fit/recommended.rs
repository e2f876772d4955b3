//! Our recipe.

use super::TrainingSet;
use crate::network::Head;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Settings of our recipe.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecommendedRecipe {}

impl RecommendedRecipe {
    /// Trains a head.
    pub fn head(&self, _training: &TrainingSet<'_>, _seed: u64) -> Result<Head> {
        anyhow::bail!("later")
    }
}
