//! Checks that reading each accepted kind of TIFF returns the levels that were written, and that each other kind is refused.

use crate::tiff_builder::{Form, levels};
use cellgate_models::radiograph::{Radiograph, RadiographLimits, ReadError, decode, read, write};
use std::io::Write;

const WIDTH: usize = 37;
const HEIGHT: usize = 21;

/// Decodes the bytes, and reads a file with them. Checks that both give the same.
fn decoded(bytes: &[u8]) -> Result<Radiograph, ReadError> {
    let mut file = tempfile::NamedTempFile::with_suffix(".tif").expect("a temporary file");
    file.write_all(bytes).expect("a written file");
    let image = decode(bytes, file.path(), &RadiographLimits::default());
    match (&image, read(file.path(), &RadiographLimits::default())) {
        (Ok(image), Ok(from_file)) => assert_eq!(from_file.levels(), image.levels()),
        (Err(error), Err(from_file)) => assert_eq!(from_file.to_string(), error.to_string()),
        (image, from_file) => panic!("bytes give {image:?}, a file with them {from_file:?}"),
    }
    image
}

/// All accepted forms: each combination of container and byte order, strips or tiles, compression, white is zero or not, and bits
/// per sample or predictor.
fn forms() -> impl Iterator<Item = Form> {
    let containers = [(false, false), (false, true), (true, false), (true, true)];
    // Size of a tile, or rows per strip.
    let chunks = [(None, 1), (None, 4), (None, HEIGHT), (Some((16, 16)), 0), (Some((48, 32)), 0), (Some((5, 7)), 0)];
    containers.into_iter().flat_map(move |(is_bigtiff, is_little_endian)| {
        chunks.into_iter().flat_map(move |(tile, rows_per_strip)| {
            [1, 5, 8, 32946, 32773].into_iter().flat_map(move |compression| {
                [false, true].into_iter().flat_map(move |white_is_zero| {
                    let form = Form {
                        is_bigtiff,
                        is_little_endian,
                        tile,
                        rows_per_strip,
                        compression,
                        white_is_zero,
                        ..Form::default()
                    };
                    let predicted = Form { predicted: true, ..form.clone() };
                    let packed = (9..=16).map(move |bits| Form { bits, ..form.clone() });
                    packed.chain([predicted])
                })
            })
        })
    })
}

#[test]
fn all_forms_give_the_levels_that_were_written() {
    let mut count = 0;
    for form in forms() {
        let expected = levels(WIDTH * HEIGHT, form.bits);
        let image = decoded(&form.build(WIDTH, &expected)).unwrap_or_else(|error| panic!("{form:?}: {error}"));
        assert_eq!((image.width(), image.height()), (WIDTH as u32, HEIGHT as u32), "{form:?}");
        assert_eq!(image.levels(), expected, "{form:?}");
        count += 1;
    }
    // 4 containers with byte orders, 6 sizes of strips or tiles, 5 compressions, 2 meanings of zero, and 8 numbers of bits or the
    // predictor.
    assert_eq!(count, 4 * 6 * 5 * 2 * 9);
}

#[test]
fn sixteen_bits_are_read_as_the_tiff_crate_reads_them() {
    // LZW tiles are left out: tiff 0.11.3 refuses many valid ones ("no lzw end code found"), since weezl misreports a full output.
    let readable = |form: &Form| form.bits == 16 && !(form.tile.is_some() && form.compression == 5);
    for form in forms().filter(readable) {
        let bytes = form.build(WIDTH, &levels(WIDTH * HEIGHT, 16));
        let mut theirs = tiff::decoder::Decoder::new(std::io::Cursor::new(&bytes)).unwrap();
        let tiff::decoder::DecodingResult::U16(theirs) =
            theirs.read_image().unwrap_or_else(|error| panic!("{form:?}: {error}"))
        else {
            panic!("{form:?}: no 16-bit levels");
        };
        assert_eq!(decoded(&bytes).unwrap().levels(), theirs, "{form:?}");
    }
}

#[test]
fn rows_wider_than_a_piece_are_read() {
    // The reader decompresses a row in pieces (PIECE_SAMPLES in models/src/radiograph/decode.rs).
    for width in [32_767, 32_768, 32_769, 100_003] {
        for (bits, predicted) in [(16, true), (12, false), (9, false)] {
            for tile in [None, Some((width / 2 + 1, 1)), Some((width + 50_000, 1))] {
                let form = Form { bits, predicted, tile, compression: 5, ..Form::default() };
                let expected = levels(width * 2, bits);
                assert_eq!(decoded(&form.build(width, &expected)).unwrap().levels(), expected, "{width} {form:?}");
            }
        }
    }
}

#[test]
fn strips_in_any_order_and_with_gaps_are_assembled() {
    let (width, height) = (5, 6);
    let expected = levels(width * height, 16);
    let strip_bytes = 2 * 2 * width as u64;
    // The starts of the three strips of two rows: consecutive, at an odd byte, with gaps, the first strip last, and all at the
    // same place.
    for starts in [[8, 28, 48], [9, 29, 49], [8, 30, 52], [48, 8, 28], [8, 8, 8]] {
        let mut form = Form { rows_per_strip: 2, ..Form::default() };
        let mut file = b"II*\0\0\0\0\0".to_vec();
        file.resize(80, 0xee);
        for (start, levels) in starts.into_iter().zip(expected.chunks(2 * width)) {
            let bytes: Vec<u8> = levels.iter().flat_map(|level| level.to_le_bytes()).collect();
            file[start..start + bytes.len()].copy_from_slice(&bytes);
        }
        let starts64 = starts.map(|start| start as u64).to_vec();
        form.tags = vec![(256, vec![width as u64]), (257, vec![height as u64]), (258, vec![16]), (262, vec![1])];
        form.tags.extend([(273, starts64), (278, vec![2]), (279, vec![strip_bytes; 3])]);
        form.append_directory(&mut file, &form.tags);
        let image = decoded(&file).unwrap();
        let expected = if starts == [8, 8, 8] { expected[4 * width..].repeat(3) } else { expected.clone() };
        assert_eq!(image.levels(), expected, "{starts:?}");
    }
}

#[test]
fn written_images_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tif");
    for (width, height) in [(1, 1), (3, 1000), (1000, 3), (1219, 200)] {
        let image = Radiograph::new(width, height, levels((width * height) as usize, 16)).unwrap();
        write(&path, &image).unwrap();
        assert_eq!(read(&path, &RadiographLimits::default()).unwrap(), image);
    }
}

/// Files of kinds that are not read, each by its tags. The snapshot of `tiff_errors` has the texts.
pub(crate) fn other_kinds() -> impl Iterator<Item = (String, Vec<u8>)> {
    let kinds: [&[(u16, u64)]; 20] = [
        &[(277, 3), (262, 2)],
        &[(277, 4), (262, 5)],
        &[(277, 2)],
        &[(262, 3)],
        &[(262, 4)],
        &[(262, 34892)],
        &[(258, 8)],
        &[(258, 1)],
        &[(258, 17)],
        &[(258, 32), (339, 3)],
        &[(339, 2)],
        &[(339, 6)],
        &[(259, 7)],
        &[(259, 4)],
        &[(259, 34712)],
        &[(259, 50000)],
        &[(259, 999)],
        &[(317, 3)],
        &[(258, 12), (317, 2)],
        &[(266, 2), (259, 5)],
    ];
    kinds.into_iter().map(|tags| {
        let name: Vec<_> = tags.iter().map(|(tag, value)| format!("tag {tag} = {value}")).collect();
        let tags = tags.iter().map(|(tag, value)| (*tag, vec![*value])).collect();
        let form = Form { tags, ..Form::default() };
        (name.join(", "), form.build(WIDTH, &levels(WIDTH * HEIGHT, 16)))
    })
}

#[test]
fn other_kinds_are_refused() {
    for (name, bytes) in other_kinds() {
        let error = decoded(&bytes).expect_err(&name);
        assert!(matches!(error, ReadError::Unsupported { .. }), "{name}: {error}");
    }
}

/// A file of this many pages.
pub(crate) fn with_pages(pages: usize) -> Vec<u8> {
    let form = Form::default();
    let mut file = form.build(WIDTH, &levels(WIDTH * HEIGHT, 16));
    for _ in 1..pages {
        // The pointer to the next page is at the end of the file.
        let (end, at) = (file.len(), file.len() as u64);
        file[end - 4..].copy_from_slice(&form.number(at, 4));
        form.append_directory(&mut file, &[(256, vec![1])]);
    }
    file
}

#[test]
fn several_pages_are_counted_and_refused() {
    for pages in 2..5 {
        let error = decoded(&with_pages(pages)).unwrap_err();
        assert!(
            matches!(&error, ReadError::Unsupported { found, .. } if found.contains(&pages.to_string())),
            "{pages}: {error}"
        );
    }
}

#[test]
fn orientation_is_not_applied() {
    let expected = levels(WIDTH * HEIGHT, 16);
    let form = Form { tags: vec![(274, vec![6])], ..Form::default() };
    assert_eq!(decoded(&form.build(WIDTH, &expected)).unwrap().levels(), expected);
}

#[test]
fn sixteen_bits_declared_as_twelve_are_refused_and_not_misread() {
    for compression in [1, 5, 8, 32773] {
        let form = Form { compression, tags: vec![(258, vec![12])], ..Form::default() };
        let error = decoded(&form.build(WIDTH, &levels(WIDTH * HEIGHT, 16))).unwrap_err();
        assert!(matches!(error, ReadError::Malformed { .. }), "{error}");
    }
}
