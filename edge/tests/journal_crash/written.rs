//! Defines the content of an event, as the driver writes it into a mark.

use cellgate_edge::journal::{EventEntry, EventRow};
use cellgate_models::digest::Digest;
use serde::{Deserialize, Serialize};

/// What the driver decides about an event. The journal adds the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WrittenEvent {
    kind: String,
    bundle: u32,
    model: Option<String>,
    model_before: Option<String>,
    who: String,
    why: String,
    figures: String,
}

impl WrittenEvent {
    /// The text of these events.
    pub(crate) fn list(events: &[EventEntry]) -> String {
        let written: Vec<Self> = events.iter().map(Self::from).collect();
        serde_json::to_string(&written).unwrap()
    }
}

fn text(digest: Option<Digest>) -> Option<String> {
    digest.map(|digest| digest.to_string())
}

impl From<&EventEntry> for WrittenEvent {
    fn from(event: &EventEntry) -> Self {
        let EventEntry { kind, bundle, model, model_before, who, why, figures } = event;
        Self {
            kind: kind.name().to_owned(),
            bundle: *bundle,
            model: text(*model),
            model_before: text(*model_before),
            who: who.clone(),
            why: why.clone(),
            figures: serde_json::to_string(figures).unwrap(),
        }
    }
}

impl From<&EventRow> for WrittenEvent {
    fn from(event: &EventRow) -> Self {
        let EventRow { kind, bundle, model, model_before, who, why, figures, .. } = event;
        Self {
            kind: kind.clone(),
            bundle: *bundle,
            model: text(*model),
            model_before: text(*model_before),
            who: who.clone(),
            why: why.clone(),
            figures: figures.clone(),
        }
    }
}
