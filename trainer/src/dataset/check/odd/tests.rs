use super::*;
use crate::dataset::images::occurring;
use cellgate_models::conversion::Histogram;
use cellgate_models::radiograph::Radiograph;
use proptest::prelude::*;

/// Width and height of the images.
const SIDE: usize = 48;

/// The levels of a part on a bright field, darker to the right. `thickness` is subtracted from the part's levels. `seed` is the
/// seed of the detector's noise. The noise adds 0 to 63 levels to each pixel and comes from a linear congruential generator with
/// Knuth's constants (MMIX).
fn part(thickness: u16, seed: u64) -> Vec<u16> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let levels = (0..SIDE * SIDE).map(|pixel| {
        let (row, column) = (pixel / SIDE, pixel % SIDE);
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = (state >> 58) as u16;
        let is_part = (8..40).contains(&row) && (8..40).contains(&column);
        noise + if is_part { 2200 - thickness - 4 * column as u16 } else { 2700 }
    });
    levels.collect()
}

fn look(levels: Vec<u16>) -> Look {
    let occurring = occurring(&Histogram::of(&levels));
    Look::of(&Radiograph::new(SIDE as u32, SIDE as u32, levels).unwrap(), &occurring)
}

fn image<'a>(name: &'a str, look: &'a Look) -> Image<'a> {
    Image { name, look, is_saturated: false }
}

/// The findings in a set of eleven good parts and `12.tif` with `levels`.
fn findings(levels: Vec<u16>) -> Vec<Finding> {
    let mut looks: Vec<Look> = (0..11).map(|index| look(part(20 * index, index.into()))).collect();
    looks.push(look(levels));
    let names: Vec<String> = (1..=12).map(|number| format!("{number}.tif")).collect();
    let images: Vec<_> = names.iter().zip(&looks).map(|(name, look)| image(name, look)).collect();
    of_looks(&images)
}

#[test]
fn each_mistake_is_reported_with_its_image() {
    let change = |change: &dyn Fn(u16) -> u16| part(100, 99).into_iter().map(change).collect::<Vec<_>>();
    // The upper half of the image has one level.
    let half = |level: u16| {
        let mut levels = part(100, 99);
        levels[..SIDE * SIDE / 2].fill(level);
        levels
    };
    // The lowest quarter of the image is almost black.
    let mut quarter = part(100, 99);
    quarter[SIDE * SIDE * 3 / 4..].iter_mut().enumerate().for_each(|(index, level)| *level = index as u16 % 7);
    let mut messages = String::new();
    for (levels, expected) in [
        (change(&|level| 65_535 - level), FindingKind::Inverted),
        (change(&|level| 16_383 - level), FindingKind::Inverted),
        (change(&|level| 4095 - level), FindingKind::Inverted),
        // A negative with the same levels as the other images.
        (change(&|level| 4800 - level), FindingKind::Inverted),
        (change(&u16::swap_bytes), FindingKind::ByteSwapped),
        (change(&|level| level * 16), FindingKind::Scaled),
        (change(&|level| level * 4), FindingKind::Scaled),
        (change(&|level| level / 8), FindingKind::Scaled),
        (half(0), FindingKind::PartlyBlank),
        (half(2400), FindingKind::PartlyBlank),
        (half(40_000), FindingKind::PartlyBlank),
        (quarter, FindingKind::PartlyBlank),
        (change(&|level| level + 3000), FindingKind::OtherLevels),
    ] {
        let [finding] = &findings(levels)[..] else { panic!("{expected:?}: expected exactly one finding") };
        assert_eq!((finding.kind, &finding.images[..]), (expected, &["12.tif".to_owned()][..]));
        messages += &format!("{}\n", finding.message);
    }
    insta::assert_snapshot!("mistakes", messages);
}

#[test]
fn three_images_are_too_few_to_compare() {
    let looks = [look(part(0, 1)), look(part(0, 2)), look(part(0, 3).into_iter().map(|level| 16 * level).collect())];
    let images: Vec<_> = looks.iter().map(|look| image("x", look)).collect();
    assert_eq!(of_looks(&images), []);
}

#[test]
fn two_exposures_in_one_data_set_are_not_reported() {
    let looks: Vec<Look> = (0..12)
        .map(|index| look(part(10 * index, index.into()).into_iter().map(|level| level * (1 + index % 2)).collect()))
        .collect();
    let images: Vec<_> = looks.iter().map(|look| image("x", look)).collect();
    assert_eq!(of_looks(&images), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn thicker_and_thinner_parts_are_not_reported(thickness in 0..500_u16, seed: u64) {
        prop_assert_eq!(findings(part(thickness, seed)), []);
    }
}
