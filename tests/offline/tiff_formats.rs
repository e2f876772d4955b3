//! Each kind of TIFF that is read gives the levels that were put in, each other kind is refused by its name.

use crate::tiff_builder::{Form, levels};
use cellgate_models::radiograph::{Radiograph, RadiographLimits, ReadError, decode, read, write};
use std::io::Write;

const WIDTH: usize = 37;
const HEIGHT: usize = 21;

/// What the bytes and a file with them give, which is the same.
fn decoded(bytes: &[u8]) -> Result<Radiograph, ReadError> {
    let mut file = tempfile::NamedTempFile::with_suffix(".tif").expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    let image = decode(bytes, file.path(), &RadiographLimits::default());
    match (&image, read(file.path(), &RadiographLimits::default())) {
        (Ok(image), Ok(from_file)) => assert_eq!(from_file.levels(), image.levels()),
        (Err(error), Err(from_file)) => assert_eq!(from_file.to_string(), error.to_string()),
        (image, from_file) => panic!("bytes give {image:?}, a file with them {from_file:?}"),
    }
    image
}

fn forms() -> impl Iterator<Item = Form> {
    let containers = [(false, false), (false, true), (true, false), (true, true)];
    let chunks = [(None, 1), (None, 4), (None, HEIGHT), (Some((16, 16)), 0), (Some((48, 32)), 0), (Some((5, 7)), 0)];
    containers.into_iter().flat_map(move |(big, little)| {
        chunks.into_iter().flat_map(move |(tile, rows_per_strip)| {
            [1, 5, 8, 32946, 32773].into_iter().flat_map(move |compression| {
                [false, true].into_iter().flat_map(move |white_is_zero| {
                    let form =
                        Form { big, little, tile, rows_per_strip, compression, white_is_zero, ..Form::default() };
                    let predicted = Form { predicted: true, ..form.clone() };
                    let packed = (9..=16).map(move |bits| Form { bits, ..form.clone() });
                    packed.chain([predicted])
                })
            })
        })
    })
}

#[test]
fn all_forms_give_the_levels_put_in() {
    let mut count = 0;
    for form in forms() {
        let expected = levels(WIDTH * HEIGHT, form.bits);
        let image = decoded(&form.build(WIDTH, &expected)).unwrap_or_else(|error| panic!("{form:?}: {error}"));
        assert_eq!((image.width(), image.height()), (WIDTH as u32, HEIGHT as u32), "{form:?}");
        assert_eq!(image.levels(), expected, "{form:?}");
        count += 1;
    }
    assert_eq!(count, 4 * 6 * 5 * 2 * 9);
}

#[test]
fn sixteen_bits_are_read_as_the_tiff_crate_reads_them() {
    // Without LZW tiles: tiff 0.11.3 refuses many valid ones ("no lzw end code found"), as weezl misreports a full output.
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
    // A piece holds 32,768 samples.
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
fn levels_that_do_not_follow_one_another_are_put_together() {
    let (width, height) = (5, 6);
    let expected = levels(width * height, 16);
    let strip_bytes = 2 * 2 * width as u64;
    // Where the three strips of two rows begin: one after the other, at an odd byte, with gaps, the last one first, one
    // upon the other.
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
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tif");
    for (width, height) in [(1, 1), (3, 1000), (1000, 3), (1219, 200)] {
        let image = Radiograph::new(width, height, levels((width * height) as usize, 16)).unwrap();
        write(&path, &image).unwrap();
        assert_eq!(read(&path, &RadiographLimits::default()).unwrap(), image);
    }
}

/// What stands in the error after "found".
fn refusal(tags: &[(u16, u64)]) -> String {
    let tags = tags.iter().map(|(tag, value)| (*tag, vec![*value])).collect();
    let form = Form { tags, ..Form::default() };
    let error = decoded(&form.build(WIDTH, &levels(WIDTH * HEIGHT, 16))).expect_err("another kind of file");
    assert!(error.to_string().contains(".tif: unsupported: found "), "{error}");
    match error {
        ReadError::Unsupported { found, .. } => found,
        other => panic!("{other}"),
    }
}

#[test]
fn other_kinds_are_refused_by_name() {
    for (tags, found) in [
        (vec![(277, 3), (262, 2)], "3 samples a pixel (RGB)"),
        (vec![(277, 4), (262, 5)], "4 samples a pixel (CMYK)"),
        (vec![(277, 2)], "2 samples a pixel (grey and alpha or other extra samples)"),
        (vec![(262, 3)], "photometric interpretation 3 (palette)"),
        (vec![(258, 8)], "unsigned 8-bit samples"),
        (vec![(258, 1)], "unsigned 1-bit samples"),
        (vec![(258, 17)], "unsigned 17-bit samples"),
        (vec![(258, 32), (339, 3)], "floating-point 32-bit samples"),
        (vec![(339, 2)], "signed 16-bit samples"),
        (vec![(259, 7)], "compression 7 (JPEG)"),
        (vec![(259, 4)], "compression 4 (fax)"),
        (vec![(259, 50000)], "compression 50000 (ZSTD)"),
        (vec![(259, 999)], "compression 999 (unknown)"),
        (vec![(317, 3)], "the floating-point predictor"),
        (vec![(258, 12), (317, 2)], "the horizontal predictor on packed samples of 12 bits"),
        (vec![(266, 2), (259, 5)], "fill order 2 (each byte's bits reversed)"),
    ] {
        assert_eq!(refusal(&tags), found, "{tags:?}");
    }
}

#[test]
fn several_pages_are_counted_and_refused() {
    let form = Form::default();
    let mut file = form.build(WIDTH, &levels(WIDTH * HEIGHT, 16));
    for pages in 2..5 {
        // The last page's pointer to the next one is the file's end.
        let (end, at) = (file.len(), file.len() as u64);
        file[end - 4..].copy_from_slice(&form.number(at, 4));
        form.append_directory(&mut file, &[(256, vec![1])]);
        let error = decoded(&file).unwrap_err();
        assert!(
            matches!(&error, ReadError::Unsupported { found, .. } if *found == format!("{pages} pages")),
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
