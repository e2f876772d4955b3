//! The outputs that every network has.

use super::{FEATURES_NAME, LOGIT_NAME, LogitMap, MAP_NAME, WhitenedFeatures};
use crate::conversion::Size;

/// Whether `outputs`, the names and shapes of f32 tensors, are those of a network with an input of `size`.
pub(crate) fn are_outputs(outputs: &[(&str, &[i64])], size: Size) -> bool {
    let map = LogitMap::size_for(size);
    let has = |name: &str, shape: &[i64]| outputs.contains(&(name, shape));
    outputs.len() == 3
        && (has(LOGIT_NAME, &[1]) || has(LOGIT_NAME, &[1, 1]))
        && has(MAP_NAME, &[1, map.height.into(), map.width.into()])
        && has(FEATURES_NAME, &[1, WhitenedFeatures::COUNT as i64])
}

/// A description of the outputs of a network with an input of `size`.
pub(crate) fn outputs_in_words(size: Size) -> String {
    let Size { height, width } = LogitMap::size_for(size);
    let count = WhitenedFeatures::COUNT;
    format!(
        "`{LOGIT_NAME}` f32 [1] or [1, 1], `{MAP_NAME}` f32 [1, {height}, {width}], and `{FEATURES_NAME}` f32 [1, {count}]"
    )
}
