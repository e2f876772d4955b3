//! Defines the figures about kinds of anomaly that a model was never trained on.

use crate::stats::Rate;
use serde::{Deserialize, Serialize};

/// How many abnormal parts with one kind of anomaly are caught by models that were trained on this kind, and by models that were not.
/// A part with several kinds counts for each of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOutKind {
    /// The kind's name in the manifest.
    pub kind: String,
    /// Number of abnormal parts with this kind that were judged. 0 if the kind was left out of no fold.
    pub parts: u64,
    /// Parts that the score calls abnormal, by models trained on all kinds.
    pub caught_when_trained: Option<Rate>,
    /// Parts that the score calls abnormal, by models trained without any part that has this kind.
    pub caught_by_score: Option<Rate>,
    /// Parts that the score calls abnormal or that are beyond the largest distance, by the same models.
    pub caught_by_score_or_distance: Option<Rate>,
    /// Normal parts beyond the largest distance, of all normal parts that the score passes, by the same models.
    pub false_reviews: Option<Rate>,
}

impl LeftOutKind {
    /// The name of the sum over all kinds.
    const ALL: &'static str = "all kinds";

    /// The sum over `kinds`. A normal part counts once for each kind that was left out of its fold.
    #[must_use]
    pub fn all(kinds: &[Self]) -> Self {
        let sum = |rate: fn(&Self) -> Option<Rate>| {
            let rates = kinds.iter().filter_map(rate);
            Rate::new(rates.clone().map(|rate| rate.count).sum(), rates.map(|rate| rate.of).sum())
        };
        Self {
            kind: Self::ALL.into(),
            parts: kinds.iter().map(|kind| kind.parts).sum(),
            caught_when_trained: sum(|kind| kind.caught_when_trained),
            caught_by_score: sum(|kind| kind.caught_by_score),
            caught_by_score_or_distance: sum(|kind| kind.caught_by_score_or_distance),
            false_reviews: sum(|kind| kind.false_reviews),
        }
    }
}
