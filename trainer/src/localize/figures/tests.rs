use super::super::image::kinds;
use super::super::{FALSE_POSITIVE_LIMIT, baseline, pieces};
use super::*;

/// The size of the network's input and of all images: one row of four cells, whose centres are in the columns 0, 16, 32 and 48.
const SIZE: Size = Size { height: 1, width: 64 };

/// An image of 64 x 1 pixels with masks over ranges of columns: the first column, and the one after the last.
fn image(bundle: usize, label: Label, masks: &[(&str, &[(usize, usize)])]) -> MaskedImage {
    let mask = |(anomaly, ranges): &(&str, &[(usize, usize)])| {
        let mut pixels = vec![0; 64];
        ranges.iter().for_each(|&(begin, end)| pixels[begin..end].fill(255));
        Mask { anomaly: (*anomaly).to_owned(), pieces: pieces::pieces(64, &pixels) }
    };
    MaskedImage { bundle, label, size: SIZE, masks: masks.iter().map(mask).collect() }
}

fn map(shares: [f32; 4]) -> LogitMap {
    LogitMap::new(Size { height: 1, width: 4 }, shares.to_vec()).unwrap()
}

fn found(images: &[MaskedImage], maps: &[LogitMap]) -> Figures {
    figures(images, maps, SIZE, &kinds(images), &ProgressBar::hidden())
}

fn close(found: Option<f64>, expected: f64) {
    assert!((found.unwrap() - expected).abs() < 1e-9, "{found:?} {expected}");
}

#[test]
fn a_perfect_map_has_1() {
    // The values of the masked pixels are 12 to 16, those of all others are lower.
    let images = [
        image(0, Label::Abnormal, &[("bubbles", &[(12, 21)])]),
        image(1, Label::Abnormal, &[("lines", &[(28, 37)])]),
        image(1, Label::Normal, &[]),
    ];
    let maps = [map([0.0, 16.0, 0.0, 0.0]), map([0.0, 0.0, 16.0, 0.0]), map([0.0; 4])];
    let found = found(&images, &maps);
    assert_eq!(found.pointing, Rate::new(2, 2));
    close(found.aupro, 1.0);
    assert!(found.aupro95.unwrap().iter().all(|end| (end - 1.0).abs() < 1e-9), "{found:?}");
    assert_eq!(found.kinds.iter().map(|kind| kind.anomaly.as_str()).collect::<Vec<_>>(), ["bubbles", "lines"]);
    found.kinds.iter().for_each(|kind| close(kind.aupro, 1.0));
}

#[test]
fn figures_that_were_computed_by_hand() {
    // Values 16, 15 .. 1 in the columns 0 to 15 and 0 after them.
    let shares = map([16.0, 0.0, 0.0, 0.0]);
    // Two pieces of `lines`: the columns 0 to 3, and the columns 40 to 43. One of `bubbles`: the columns 4 and 5.
    let images = [image(0, Label::Abnormal, &[("lines", &[(0, 4), (40, 44)]), ("bubbles", &[(4, 6)])])];
    let found = found(&images, &[shares]);
    // 54 pixels are outside. The first piece and `bubbles` are found before all of them; their mean with the other piece is 2/3 from
    // the false positive rate 0 on. From the rate 10/54 (column 15) on, the curve is a line to (1, 1).
    let (knee, limit) = (10.0 / 54.0, FALSE_POSITIVE_LIMIT);
    let area = |low: f64| {
        let at_limit = low + (1.0 - low) * (limit - knee) / (1.0 - knee);
        (knee * low + (limit - knee) * (low + at_limit) / 2.0) / limit
    };
    close(found.aupro, area(2.0 / 3.0));
    let [bubbles, lines] = &found.kinds[..] else { panic!("{:?}", found.kinds) };
    close(bubbles.aupro, 1.0);
    close(lines.aupro, area(0.5));
    // The first cell covers the columns 0 to 8, so it touches both.
    assert_eq!((found.pointing, bubbles.pointing, lines.pointing), (Rate::new(1, 1), Rate::new(1, 1), Rate::new(1, 1)));
    assert_eq!(found.aupro95, None);
}

#[test]
fn the_pointing_game_counts_images_with_the_kind_only() {
    let images = [
        image(0, Label::Abnormal, &[("lines", &[(30, 31)]), ("bubbles", &[(0, 1)])]),
        image(0, Label::Abnormal, &[("lines", &[(0, 1)])]),
        image(0, Label::Abnormal, &[("lines", &[]), ("bubbles", &[(60, 61)])]),
        image(0, Label::Normal, &[("lines", &[(30, 31)])]),
    ];
    let found = found(&images, &vec![map([0.0, 0.0, 1.0, 0.0]); 4]);
    let kinds: Vec<_> = found.kinds.iter().map(|kind| (kind.anomaly.as_str(), kind.pointing)).collect();
    assert_eq!(kinds, [("bubbles", Rate::new(0, 2)), ("lines", Rate::new(1, 2))]);
    assert_eq!(found.pointing, Rate::new(1, 3));
}

#[test]
fn the_kinds_have_their_numbers_of_images_and_pieces() {
    let images = [
        image(0, Label::Abnormal, &[("lines", &[(1, 2), (5, 6)]), ("bubbles", &[(0, 1)]), ("lines", &[(9, 10)])]),
        image(0, Label::Abnormal, &[("lines", &[(0, 1)]), ("smudges", &[])]),
        image(0, Label::Normal, &[("smudges", &[(3, 4)])]),
    ];
    let kind = |name: &str, images, pieces| Kind { anomaly: name.to_owned(), images, pieces };
    assert_eq!(kinds(&images), [kind("bubbles", 1, 1), kind("lines", 2, 4)]);
}

#[test]
fn masks_of_normal_images_are_neither_pieces_nor_false_positives() {
    let weak = [image(0, Label::Abnormal, &[("lines", &[(0, 4)])]), image(0, Label::Normal, &[("lines", &[(0, 16)])])];
    let shares = vec![map([16.0, 0.0, 0.0, 0.0]); 2];
    close(found(&weak, &shares).aupro, 1.0);
    let none = [image(0, Label::Abnormal, &[("lines", &[(0, 4)])]), image(0, Label::Normal, &[])];
    // The values of four pixels of the normal image equal those of the piece.
    let rate = 4.0 / 124.0;
    close(found(&none, &shares).aupro, (rate / 2.0 + FALSE_POSITIVE_LIMIT - rate) / FALSE_POSITIVE_LIMIT);
}

#[test]
fn a_random_map_has_about_half_of_the_limit() {
    let size = Size { height: 64, width: 64 };
    let cells = LogitMap::size_for(size);
    let image = |index: usize| {
        let mut pixels = vec![0; size.pixels()];
        let first = 64 * (index * 7 % 60) + index * 5 % 60;
        [0, 1, 64, 65].iter().for_each(|pixel| pixels[first + pixel] = 255);
        let masks = vec![Mask { anomaly: "bubbles".to_owned(), pieces: pieces::pieces(64, &pixels) }];
        MaskedImage { bundle: index % 4, label: Label::Abnormal, size, masks }
    };
    let images: Vec<_> = (0..300).map(image).collect();
    let bar = ProgressBar::hidden();
    let found = figures(&images, &baseline::random(cells, images.len()), size, &kinds(&images), &bar);
    let [low, high] = found.aupro95.unwrap();
    assert!((found.aupro.unwrap() - 0.15).abs() < 0.03, "{found:?}");
    assert!(low < found.aupro.unwrap() && found.aupro.unwrap() < high && high - low < 0.15, "{found:?}");
}

#[test]
fn of_equal_shares_the_first_is_the_highest() {
    assert_eq!([map([1.0, 3.0, 3.0, 2.0]), map([-2.0, -1.0, -3.0, -1.0])].map(|map| highest(&map)), [1, 1]);
}
