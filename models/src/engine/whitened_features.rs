//! The whitened features of an image, and their distance from those of normal parts.

/// Where an image lies among normal parts: [`COUNT`](Self::COUNT) numbers.
///
/// They are principal components of the backbone's features, less the median of the normal training parts, and scaled so that the
/// normal parts of one training bundle have about the variance 1 in every direction. So the Euclidean distance of two images is the
/// Mahalanobis distance of their principal components.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WhitenedFeatures([f32; Self::COUNT]);

impl WhitenedFeatures {
    /// The number of components.
    pub const COUNT: usize = 64;
    /// The place of the median normal training part.
    pub const ORIGIN: Self = Self([0.0; Self::COUNT]);

    /// The whitened features with these components.
    #[must_use]
    pub fn new(components: [f32; Self::COUNT]) -> Self {
        Self(components)
    }

    /// The components.
    #[must_use]
    pub fn components(&self) -> &[f32; Self::COUNT] {
        &self.0
    }

    /// Whether no component is NaN or infinite.
    #[must_use]
    pub fn are_finite(&self) -> bool {
        self.0.iter().all(|component| component.is_finite())
    }

    /// The Euclidean distance from `other`, computed in f64. Not finite if a component of one of the two is NaN or infinite.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f64 {
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        self.0.iter().zip(&other.0).map(square).sum::<f64>().sqrt()
    }

    /// The median of each component over several images. For an even number of images it is the mean of the two middle values,
    /// rounded to f32. `None` if there is no image.
    #[must_use]
    pub fn median(images: &[Self]) -> Option<Self> {
        let middle = images.len().checked_sub(1)? / 2;
        Some(Self(std::array::from_fn(|component| {
            let mut values: Vec<f32> = images.iter().map(|image| image.0[component]).collect();
            values.sort_unstable_by(f32::total_cmp);
            values[middle].midpoint(values[images.len() / 2])
        })))
    }

    /// The components as bytes: f32, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|component| component.to_le_bytes()).collect()
    }

    /// Reads the components from the bytes of [`Self::to_bytes`]. `None` if the number of bytes is wrong.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (components, rest) = bytes.as_chunks();
        let components: Vec<f32> = components.iter().map(|&component| f32::from_le_bytes(component)).collect();
        rest.is_empty().then(|| components.try_into().ok().map(Self)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two components, and zeros.
    fn image(first: f32, second: f32) -> WhitenedFeatures {
        let mut components = [0.0; WhitenedFeatures::COUNT];
        [components[0], components[1]] = [first, second];
        WhitenedFeatures::new(components)
    }

    #[test]
    fn the_distance_is_euclidean_and_never_finite_for_a_component_that_is_not() {
        assert_eq!(image(3.0, 4.0).distance(&WhitenedFeatures::ORIGIN), 5.0);
        assert_eq!(image(1.0, 1.0).distance(&image(-2.0, 5.0)), 5.0);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(!image(bad, 0.0).are_finite());
            assert!(!image(bad, 0.0).distance(&image(bad, 0.0)).is_finite());
        }
        assert!(image(f32::MAX, 0.0).distance(&image(f32::MIN, 0.0)).is_finite());
    }

    #[test]
    fn the_median_is_taken_for_each_component() {
        let odd = [image(1.0, 9.0), image(5.0, 2.0), image(3.0, 3.0)];
        assert_eq!(WhitenedFeatures::median(&odd), Some(image(3.0, 3.0)));
        assert_eq!(WhitenedFeatures::median(&odd[..2]), Some(image(3.0, 5.5)));
        assert_eq!(WhitenedFeatures::median(&[]), None);
    }

    #[test]
    fn bytes_are_little_endian_and_their_number_is_checked() {
        let image = image(1.0, -2.0);
        let bytes = image.to_bytes();
        assert_eq!(bytes[..8], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
        assert_eq!(WhitenedFeatures::from_bytes(&bytes), Some(image));
        for wrong in [&bytes[..255], &bytes[..252], &[bytes.as_slice(), &[0; 4]].concat()] {
            assert_eq!(WhitenedFeatures::from_bytes(wrong), None);
        }
    }
}
