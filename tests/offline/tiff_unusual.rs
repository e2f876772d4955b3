//! Checks that unusual files are read if their levels are unambiguous, and refused otherwise.

use crate::tiff_builder::{Entry, Form, levels};
use cellgate_models::radiograph::{RadiographLimits, ReadError, decode};
use std::path::Path;

const WIDTH: usize = 37;
const HEIGHT: usize = 21;

fn read(file: &[u8]) -> Result<Vec<u16>, ReadError> {
    decode(file, Path::new("test.tif"), &RadiographLimits::default()).map(|image| image.levels().to_vec())
}

/// The same form in both byte orders, as TIFF and as BigTIFF.
fn containers(form: Form) -> impl Iterator<Item = Form> {
    [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .map(move |(is_bigtiff, is_little_endian)| Form { is_bigtiff, is_little_endian, ..form.clone() })
}

#[track_caller]
fn is_read(form: &Form) {
    for form in containers(form.clone()) {
        let expected = levels(WIDTH * HEIGHT, form.bits);
        let found = read(&form.build(WIDTH, &expected)).unwrap_or_else(|error| panic!("{form:?}: {error}"));
        assert_eq!(found, expected, "{form:?}");
    }
}

#[track_caller]
fn is_malformed(form: &Form) {
    for form in containers(form.clone()) {
        let outcome = read(&form.build(WIDTH, &levels(WIDTH * HEIGHT, form.bits)));
        assert!(matches!(outcome, Err(ReadError::Malformed { .. })), "{form:?}: {outcome:?}");
    }
}

/// Strips, and tiles of 16 x 16 pixels. The test image has six of these tiles.
const STRIPS_AND_TILES: [Option<(usize, usize)>; 2] = [None, Some((16, 16))];

#[test]
fn lengths_of_chunks_that_are_missing_or_zero_follow_from_the_size() {
    for rows_per_strip in [HEIGHT, 4] {
        for tile in STRIPS_AND_TILES {
            let chunks = if tile.is_some() { 6 } else { HEIGHT.div_ceil(rows_per_strip) };
            let tag = if tile.is_some() { 325 } else { 279 };
            let form = Form { rows_per_strip, tile, ..Form::default() };
            is_read(&Form { without: vec![tag], ..form.clone() });
            is_read(&Form { tags: vec![(tag, vec![0; chunks])], ..form.clone() });
            if chunks > 1 {
                // Only one of the lengths is 0.
                let some = (0..chunks as u64).map(|index| if index == 0 { 0 } else { 512 }).collect();
                is_malformed(&Form { tags: vec![(tag, some)], ..form.clone() });
            }
            for other in [Form { compression: 8, ..form.clone() }, Form { compression: 5, ..form.clone() }] {
                is_malformed(&Form { without: vec![tag], ..other.clone() });
                is_malformed(&Form { tags: vec![(tag, vec![0; chunks])], ..other });
            }
            // Without a length, packed samples can't be distinguished from two bytes each.
            is_malformed(&Form { bits: 12, without: vec![tag], ..form });
        }
    }
}

#[test]
fn one_strip_of_no_rows_is_the_whole_image() {
    let whole = Form { rows_per_strip: HEIGHT, tags: vec![(278, vec![0])], ..Form::default() };
    is_read(&whole);
    is_read(&Form { without: vec![279], ..whole.clone() });
    is_malformed(&Form { rows_per_strip: 4, ..whole.clone() });
    // Other readers refuse these files too.
    is_malformed(&Form { compression: 8, ..whole.clone() });
    is_malformed(&Form { bits: 12, ..whole });
}

#[test]
fn a_truncated_image_without_a_length_is_malformed() {
    let form = Form { rows_per_strip: HEIGHT, without: vec![279], ..Form::default() };
    // The first file's last rows would overlap the TIFF directory. The second file's image has the offset 0.
    is_malformed(&Form { tags: vec![(257, vec![HEIGHT as u64 + 1]), (278, vec![HEIGHT as u64 + 1])], ..form.clone() });
    is_malformed(&Form { tags: vec![(273, vec![0])], ..form });
}

#[test]
fn levels_are_read_as_stored_without_a_photometric_interpretation() {
    is_read(&Form { without: vec![262], ..Form::default() });
    is_read(&Form { without: vec![262], bits: 12, ..Form::default() });
    let three = Form { without: vec![262], tags: vec![(277, vec![3])], ..Form::default() };
    assert!(matches!(read(&three.build(WIDTH, &levels(WIDTH * HEIGHT, 16))), Err(ReadError::Unsupported { .. })));
}

#[test]
fn undefined_samples_are_unsigned() {
    is_read(&Form { tags: vec![(339, vec![4])], ..Form::default() });
    is_read(&Form { tags: vec![(339, vec![4])], bits: 12, compression: 5, ..Form::default() });
}

#[test]
fn reversed_bits_are_reversed_again() {
    for white_is_zero in [false, true] {
        for tile in STRIPS_AND_TILES {
            for form in containers(Form { tags: vec![(266, vec![2])], white_is_zero, tile, ..Form::default() }) {
                let expected = levels(WIDTH * HEIGHT, 16);
                let mut file = form.build(WIDTH, &expected);
                // The image lies between header and directory.
                let start = if form.is_bigtiff { 16 } else { 8 };
                let len = if tile.is_some() { 6 * 16 * 16 * 2 } else { 2 * WIDTH * HEIGHT };
                file[start..start + len].iter_mut().for_each(|byte| *byte = byte.reverse_bits());
                assert_eq!(read(&file).unwrap_or_else(|error| panic!("{form:?}: {error}")), expected, "{form:?}");
            }
        }
    }
    for form in [
        Form { compression: 5, ..Form::default() },
        Form { compression: 8, ..Form::default() },
        Form { predicted: true, ..Form::default() },
        Form { bits: 12, ..Form::default() },
    ] {
        let form = Form { tags: vec![(266, vec![2])], ..form };
        let outcome = read(&form.build(WIDTH, &levels(WIDTH * HEIGHT, form.bits)));
        assert!(matches!(outcome, Err(ReadError::Unsupported { .. })), "{form:?}: {outcome:?}");
    }
}

#[test]
fn signed_sizes_are_read_and_negative_ones_refused() {
    // SSHORT, SLONG and SLONG8.
    for (kind, width) in [(8, 2), (9, 4), (17, 8)] {
        for form in containers(Form { rows_per_strip: HEIGHT, ..Form::default() }) {
            let data = if form.is_bigtiff { 16 } else { 8 };
            let bytes = 2 * (WIDTH * HEIGHT) as i64;
            let tags = [(256, WIDTH as i64), (257, HEIGHT as i64), (273, data), (278, HEIGHT as i64), (279, bytes)];
            let entry =
                |(tag, value): (u16, i64)| Entry { tag, kind, count: 1, bytes: form.number(value as u64, width) };
            let expected = levels(WIDTH * HEIGHT, 16);
            let signed = Form { entries: tags.map(entry).into(), ..form.clone() };
            assert_eq!(read(&signed.build(WIDTH, &expected)).expect("sizes above zero"), expected, "{signed:?}");
            for (tag, value) in tags {
                let negative = Form { entries: vec![entry((tag, -value))], ..form.clone() };
                let outcome = read(&negative.build(WIDTH, &expected));
                assert!(matches!(outcome, Err(ReadError::Malformed { .. })), "{negative:?}: {outcome:?}");
            }
        }
    }
}

#[test]
fn fewer_bits_in_samples_of_two_bytes_are_read() {
    for bits in 9..16 {
        for (rows_per_strip, tile) in [(HEIGHT, None), (4, None), (0, Some((16, 16)))] {
            for form in containers(Form { tags: vec![(258, vec![bits])], rows_per_strip, tile, ..Form::default() }) {
                let mut expected = levels(WIDTH * HEIGHT, bits as u32);
                let found = read(&form.build(WIDTH, &expected)).unwrap_or_else(|error| panic!("{form:?}: {error}"));
                assert_eq!(found, expected, "{form:?}");
                // A level that needs more bits than declared, as if it were shifted to the left or in the other byte order.
                expected[WIDTH * HEIGHT - 1] = 1 << bits;
                let outcome = read(&form.build(WIDTH, &expected));
                assert!(matches!(outcome, Err(ReadError::Malformed { .. })), "{form:?}: {outcome:?}");
            }
        }
    }
}

#[test]
fn fewer_bits_with_white_as_zero_are_inverted_within_their_bits() {
    let levels = levels(WIDTH * HEIGHT, 12);
    let stored: Vec<u16> = levels.iter().map(|level| 4095 - level).collect();
    let form = Form { tags: vec![(258, vec![12]), (262, vec![0])], ..Form::default() };
    assert_eq!(read(&form.build(WIDTH, &stored)).expect("12 bits"), levels);
}

#[test]
fn an_ambiguous_byte_count_is_read_as_packed() {
    // 7 samples of 15 bits take 14 bytes, packed or at two bytes each. They are read as packed.
    for form in containers(Form { bits: 15, ..Form::default() }) {
        let expected = levels(7 * 5, 15);
        assert_eq!(read(&form.build(7, &expected)).expect("packed"), expected, "{form:?}");
    }
}
