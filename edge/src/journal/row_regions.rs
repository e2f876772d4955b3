//! Defines how a row stores the regions of evidence of its image.

use cellgate_models::evidence::Region;

/// The regions of evidence of an image as a row stores them: JSON text, an array of objects as `inspect` prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRegions(String);

impl RowRegions {
    /// The text of these regions. Empty regions are the text `[]`.
    #[must_use]
    pub fn new(regions: &[Region]) -> Self {
        Self(serde_json::to_string(regions).expect("regions are numbers, which can be written as JSON"))
    }

    /// The regions with this stored text, which is not checked.
    pub(super) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The stored text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The regions.
    ///
    /// # Errors
    /// The text is not an array of regions.
    pub fn regions(&self) -> Result<Vec<Region>, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}
