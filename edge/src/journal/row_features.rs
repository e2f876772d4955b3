//! Defines how a row stores the whitened features of its image.

use cellgate_models::engine::WhitenedFeatures;

/// The length of the stored features in bytes.
pub(super) const BYTES: usize = 4 * WhitenedFeatures::COUNT;

/// Whitened features as a row stores them: 64 numbers of type f32, little endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFeatures(Vec<u8>);

impl From<&WhitenedFeatures> for RowFeatures {
    fn from(features: &WhitenedFeatures) -> Self {
        Self(features.to_bytes())
    }
}

impl RowFeatures {
    /// The features with these stored bytes. `None` if their number is wrong.
    pub(super) fn stored(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == BYTES).then_some(Self(bytes))
    }

    /// The stored bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The features.
    ///
    /// # Panics
    /// Never: the number of bytes is right.
    #[must_use]
    pub fn features(&self) -> WhitenedFeatures {
        WhitenedFeatures::from_bytes(&self.0).expect("the number of bytes is checked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_as_they_were_stored() {
        let features = WhitenedFeatures::new(std::array::from_fn(|component| component as f32 - 31.25));
        let stored = RowFeatures::from(&features);
        assert_eq!(RowFeatures::stored(stored.bytes().to_vec()), Some(stored.clone()));
        assert_eq!(stored.features(), features);
        assert_eq!(RowFeatures::stored(stored.bytes()[1..].to_vec()), None);
    }
}
