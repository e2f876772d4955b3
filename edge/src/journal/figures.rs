//! Defines the figures of the events of a bundle, and makes and reads these events.

use super::event::{EventEntry, EventKind, EventRow};
use cellgate_models::digest::Digest;
use cellgate_models::engine::WhitenedFeatures;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Who started a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Starter {
    /// The PLC: a trigger named the bundle.
    Plc,
    /// A person. Parts whose triggers name no bundle belong to such a bundle.
    Person,
}

/// The figures of a BUNDLE_STARTED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartedFigures {
    /// Who started the bundle.
    pub(crate) by: Starter,
    /// How many reference parts must be confirmed; 0 if the model was trained without reference parts.
    pub(crate) reference_parts: u32,
}

/// The figures of a REFERENCE_CONFIRMED.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConfirmedFigures {
    /// The number of the part's row in the journal.
    pub(crate) seq: u64,
    /// The number of the part.
    pub(crate) part: u64,
    /// The part's raw logit.
    pub(crate) raw_logit: f32,
    /// The part's whitened features.
    features: Vec<f32>,
}

impl ConfirmedFigures {
    /// The figures of the part with this row, number and outputs of the network.
    pub(crate) fn new(seq: u64, part: u64, raw_logit: f32, features: &WhitenedFeatures) -> Self {
        Self { seq, part, raw_logit, features: features.components().to_vec() }
    }

    /// The part's whitened features. `None` if their number is wrong.
    pub(crate) fn features(&self) -> Option<WhitenedFeatures> {
        features(&self.features)
    }
}

/// The figures of an OFFSET.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OffsetFigures {
    /// The numbers of the rows of the reference parts.
    pub(crate) parts: Vec<u64>,
    /// The offset in logits; `None` if the guard refused the reference parts.
    pub(crate) offset: Option<f64>,
    /// The place that distances are measured from; `None` if the guard refused the reference parts.
    centre: Option<Vec<f32>>,
    /// Why the guard refused the reference parts.
    pub(crate) refused: Option<String>,
}

impl OffsetFigures {
    /// The guard accepted the reference parts in the rows `parts`.
    pub(crate) fn accepted(parts: Vec<u64>, offset: f64, centre: &WhitenedFeatures) -> Self {
        Self { parts, offset: Some(offset), centre: Some(centre.components().to_vec()), refused: None }
    }

    /// The guard refused the reference parts in the rows `parts`.
    pub(crate) fn refused(parts: Vec<u64>, why: String) -> Self {
        Self { parts, offset: None, centre: None, refused: Some(why) }
    }

    /// Offset and centre, if the guard accepted the reference parts.
    pub(crate) fn offset_and_centre(&self) -> Option<(f64, WhitenedFeatures)> {
        self.offset.zip(self.centre.as_deref().and_then(features))
    }
}

/// The figures of a BUNDLE_ENDED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndedFigures {
    /// The number of parts with a verdict since the start of the bundle.
    pub(crate) parts: u64,
}

/// The event of this kind about this bundle. `model` judges.
pub(crate) fn entry(
    kind: EventKind,
    bundle: u32,
    model: Digest,
    (who, why): (String, String),
    figures: &impl Serialize,
) -> EventEntry {
    let figures = match serde_json::to_value(figures) {
        Ok(serde_json::Value::Object(figures)) => figures,
        other => unreachable!("figures are an object of numbers and texts: {other:?}"),
    };
    EventEntry { kind, bundle, model: Some(model), model_before: None, who, why, figures }
}

/// The row of the part that `event`, which is to be stored, confirms. `None` for an event of another kind.
pub(crate) fn confirmed_row(event: &EventEntry) -> Option<u64> {
    event.figures.get("seq").filter(|_| event.kind == EventKind::ReferenceConfirmed)?.as_u64()
}

/// The figures of `event`.
///
/// # Errors
/// They are not those of its kind.
pub(crate) fn parse<F: DeserializeOwned>(event: &EventRow) -> Result<F, serde_json::Error> {
    serde_json::from_str(&event.figures)
}

/// The figures of `event`. `None`, with a warning in the log, if they are not those of its kind: another program wrote them.
pub(crate) fn read<F: DeserializeOwned>(event: &EventRow) -> Option<F> {
    match parse(event) {
        Ok(figures) => Some(figures),
        Err(error) => {
            let (number, kind) = (event.number, &event.kind);
            tracing::warn!(
                event = "bundle_event_unreadable",
                number, kind, %error,
                "the figures of this event in the journal can't be read: it has no effect"
            );
            None
        }
    }
}

fn features(components: &[f32]) -> Option<WhitenedFeatures> {
    components.try_into().ok().map(WhitenedFeatures::new)
}
