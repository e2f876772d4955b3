//! Defines events: what happens to the appliance's bundles, beside the verdicts.

use super::JournalError;
use cellgate_models::digest::Digest;
use std::num::{NonZeroU32, NonZeroU64};

/// Maximum length of [`EventEntry::who`] in bytes; a longer text is cut.
pub const MAX_WHO_BYTES: usize = 255;
/// Maximum length of [`EventEntry::why`] in bytes; a longer text is cut.
pub const MAX_WHY_BYTES: usize = 1000;
/// Maximum length of [`EventEntry::figures`] as JSON text in bytes. Longer figures are refused.
pub const MAX_FIGURES_BYTES: usize = 256 << 10;

/// Declares the kinds of events, each with its documentation and its stable name.
macro_rules! kinds {
    ($($(#[doc = $text:literal])+ $variant:ident = $name:literal;)+) => {
        /// What happened. The names are stable, and kinds are only added.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum EventKind {
            $($(#[doc = $text])+ $variant,)+
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The stable name, for example `BUNDLE_STARTED`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

kinds! {
    /// A bundle was started.
    BundleStarted = "BUNDLE_STARTED";
    /// Parts of the bundle were confirmed as good.
    ReferenceConfirmed = "REFERENCE_CONFIRMED";
    /// The offset of the bundle was computed from its reference parts, or the guard refused them.
    Offset = "OFFSET";
    /// The bundle ended.
    BundleEnded = "BUNDLE_ENDED";
}

/// An event to record.
#[derive(Debug, Clone, PartialEq)]
pub struct EventEntry {
    /// What happened.
    pub kind: EventKind,
    /// The number of the bundle; 0: none.
    pub bundle: u32,
    /// Digest of the manifest of the model that judges from now on; `None` if the event concerns no model.
    pub model: Option<Digest>,
    /// Digest of the manifest of the model that judged before; `None` if the event changes no model.
    pub model_before: Option<Digest>,
    /// Who caused the event, for example a user's name or `PLC`; at most [`MAX_WHO_BYTES`].
    pub who: String,
    /// The cause in words, at most [`MAX_WHY_BYTES`].
    pub why: String,
    /// The numbers that belong to the event, at most [`MAX_FIGURES_BYTES`] as JSON text.
    pub figures: serde_json::Map<String, serde_json::Value>,
}

/// An event of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// The event's number: 1, 2, 3, ... without a gap.
    pub number: NonZeroU64,
    /// When the event was committed, in milliseconds since 1970, UTC, by the system's clock, which may be changed.
    pub committed_unix_ms: i64,
    /// The number of the appliance's start that wrote the event.
    pub boot_epoch: NonZeroU32,
    /// The stable name of the [`EventKind`]. A later version may have written a kind that this version does not know.
    pub kind: String,
    /// The number of the bundle; 0: none.
    pub bundle: u32,
    /// As [`EventEntry::model`].
    pub model: Option<Digest>,
    /// As [`EventEntry::model_before`].
    pub model_before: Option<Digest>,
    /// As [`EventEntry::who`].
    pub who: String,
    /// As [`EventEntry::why`].
    pub why: String,
    /// The figures as JSON text: an object.
    pub figures: String,
    /// The sequence number of the newest row of the table `verdict` when the event was committed; 0 if there was no row.
    pub newest_seq: u64,
    /// The hash of that row; if there was no row, the hash that is the first row's previous hash.
    pub newest_hash: Digest,
    /// Hash of the previous event; for the first event a hash of the journal's identity.
    pub previous: Digest,
    /// Hash of this event.
    pub hash: Digest,
}

impl EventEntry {
    /// The JSON text of the figures.
    ///
    /// # Errors
    /// [`JournalError::FiguresTooLong`]: the text is longer than [`MAX_FIGURES_BYTES`].
    pub(super) fn figures_text(&self) -> Result<String, JournalError> {
        let text = serde_json::to_string(&self.figures).expect("a JSON object can be written as text");
        match text.len() {
            0..=MAX_FIGURES_BYTES => Ok(text),
            found => Err(JournalError::FiguresTooLong { kind: self.kind.name(), found, most: MAX_FIGURES_BYTES }),
        }
    }

    /// The event with this content as row `number` of a journal without hashes.
    #[cfg(test)]
    pub(crate) fn without_hashes(&self, number: u64, committed_unix_ms: i64, newest_seq: u64) -> EventRow {
        EventRow {
            number: NonZeroU64::new(number).unwrap(),
            committed_unix_ms,
            boot_epoch: NonZeroU32::MIN,
            kind: self.kind.name().to_owned(),
            bundle: self.bundle,
            model: self.model,
            model_before: self.model_before,
            who: self.who.clone(),
            why: self.why.clone(),
            figures: self.figures_text().unwrap(),
            newest_seq,
            newest_hash: [0; 32].into(),
            previous: [0; 32].into(),
            hash: [0; 32].into(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An event with a different value in each field.
    pub(in super::super) fn event() -> EventRow {
        EventRow {
            number: NonZeroU64::new(0x0102).unwrap(),
            committed_unix_ms: -3,
            boot_epoch: NonZeroU32::new(4).unwrap(),
            kind: EventKind::Offset.name().to_owned(),
            bundle: 5,
            model: Some([6; 32].into()),
            model_before: None,
            who: "seven".to_owned(),
            why: "eight".to_owned(),
            figures: r#"{"nine":10}"#.to_owned(),
            newest_seq: 11,
            newest_hash: [12; 32].into(),
            previous: [13; 32].into(),
            hash: [0; 32].into(),
        }
    }

    #[test]
    fn the_names_of_kinds_do_not_change() {
        let names = EventKind::ALL.map(EventKind::name);
        assert_eq!(names, ["BUNDLE_STARTED", "REFERENCE_CONFIRMED", "OFFSET", "BUNDLE_ENDED"]);
    }
}
