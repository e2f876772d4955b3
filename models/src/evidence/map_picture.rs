//! The map as an 8-bit picture, small enough to keep for every part.

use crate::conversion::Size;
use crate::engine::LogitMap;

/// The shares of a map as grey levels: one pixel for each cell, row by row.
///
/// Level 0 is the lowest share of this map and level 255 the highest one. Between them the levels are linear, rounded to the nearest:
/// share = `lowest` + level / 255 * (`highest` - `lowest`), within 1/510 of the range. If all shares are equal, all levels are 0.
#[derive(Debug, Clone, PartialEq)]
pub struct MapPicture {
    /// The number of rows and columns of cells, which is height and width of the picture.
    pub size: Size,
    /// The lowest share, in logits.
    pub lowest: f32,
    /// The highest share, in logits.
    pub highest: f32,
    /// The level of each cell, row by row.
    pub levels: Vec<u8>,
}

impl MapPicture {
    /// The keyword of the text chunk with the lowest share.
    pub const LOWEST: &str = "Cellgate lowest share";
    /// The keyword of the text chunk with the highest share.
    pub const HIGHEST: &str = "Cellgate highest share";

    /// The picture of `map`. `None` if a share is infinite or not a number, or if the map has no cells.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255, or NaN, which becomes 0")]
    pub fn new(map: &LogitMap) -> Option<Self> {
        let shares = map.shares();
        if shares.is_empty() || !shares.iter().all(|share| share.is_finite()) {
            return None;
        }
        let lowest = shares.iter().copied().fold(f32::INFINITY, f32::min);
        let highest = shares.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let range = f64::from(highest) - f64::from(lowest);
        // With a range of 0 this is 0 / 0, a NaN, which becomes level 0.
        let level = |&share: &f32| ((f64::from(share) - f64::from(lowest)) / range * 255.0).round() as u8;
        Some(Self { size: map.size(), lowest, highest, levels: shares.iter().map(level).collect() })
    }

    /// The bytes of a PNG file, 8-bit greyscale, with two `tEXt` chunks: [`Self::LOWEST`] and [`Self::HIGHEST`] with the two shares in
    /// decimal.
    ///
    /// # Panics
    /// If the length of `levels` does not fit `size`, or a side is 0. [`Self::new`] makes neither.
    #[must_use]
    pub fn to_png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.size.width, self.size.height);
        encoder.set_color(png::ColorType::Grayscale);
        [(Self::LOWEST, self.lowest), (Self::HIGHEST, self.highest)]
            .into_iter()
            .try_for_each(|(keyword, share)| encoder.add_text_chunk(keyword.to_owned(), share.to_string()))
            .and_then(|()| encoder.write_header())
            .and_then(|mut writer| writer.write_image_data(&self.levels))
            .expect("memory takes all bytes, the texts are ASCII, and the levels fit the size");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::cells::map;
    use super::*;
    use proptest::prelude::*;

    /// The shares that a reader of the PNG file recovers, with its size.
    fn shares_in(bytes: &[u8]) -> (Size, Vec<f64>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut levels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut levels).unwrap();
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Grayscale, png::BitDepth::Eight));
        let texts = &reader.info().uncompressed_latin1_text;
        let number = |keyword: &str| -> f64 {
            texts.iter().find(|text| text.keyword == keyword).unwrap().text.parse::<f32>().unwrap().into()
        };
        let (lowest, highest) = (number("Cellgate lowest share"), number("Cellgate highest share"));
        let share = |level: &u8| lowest + f64::from(*level) / 255.0 * (highest - lowest);
        (Size { height: info.height, width: info.width }, levels.iter().map(share).collect())
    }

    #[test]
    fn levels_are_linear_between_the_lowest_and_the_highest_share() {
        let picture = MapPicture::new(&map(2, &[-1.0, 1.5, 0.0, 4.1])).unwrap();
        assert_eq!((picture.lowest, picture.highest, picture.size), (-1.0, 4.1, Size { height: 2, width: 2 }));
        assert_eq!(picture.levels, [0, 125, 50, 255]);
    }

    #[test]
    fn equal_shares_are_kept_exactly() {
        let picture = MapPicture::new(&map(2, &[0.3, 0.3])).unwrap();
        assert_eq!(picture.levels, [0, 0]);
        assert_eq!(shares_in(&picture.to_png()).1, [f64::from(0.3_f32); 2]);
    }

    #[test]
    fn a_map_with_a_share_that_is_not_finite_has_no_picture() {
        for share in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(MapPicture::new(&map(2, &[0.0, share])), None);
        }
        assert_eq!(MapPicture::new(&map(1, &[])), None);
    }

    #[test]
    fn a_map_of_the_papers_size_takes_a_few_kb() {
        let shares: Vec<f32> = (0..125 * 63).map(|cell| (cell as f32 * 0.37).sin() * 0.002).collect();
        let bytes = MapPicture::new(&map(63, &shares)).unwrap().to_png();
        assert!(bytes.len() < 9_000, "{}", bytes.len());
    }

    proptest! {
        #[test]
        fn shares_survive_within_a_510th_of_their_range(
            (rows, columns, shares) in (1..20_usize, 1..20_usize).prop_flat_map(|(rows, columns)| {
                let share = prop_oneof![-2.0_f32..2.0, -1e-30_f32..1e-30, proptest::num::f32::NORMAL];
                (Just(rows), Just(columns), proptest::collection::vec(share, rows * columns))
            }),
        ) {
            let picture = MapPicture::new(&map(columns, &shares)).unwrap();
            let (size, found) = shares_in(&picture.to_png());
            prop_assert_eq!((size.height as usize, size.width as usize), (rows, columns));
            let range = f64::from(picture.highest) - f64::from(picture.lowest);
            for (found, share) in found.iter().zip(shares) {
                prop_assert!((found - f64::from(share)).abs() <= range * (1.0 / 510.0 + 1e-9), "{found} {share}");
            }
        }
    }
}
