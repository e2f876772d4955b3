//! Compares the texts of all the reader's errors with one snapshot. The snapshot has the name and the error of each file.

use crate::tiff_builder::{Entry, Form, levels};
use crate::{tiff_formats, tiff_hidden, tiff_hostile, tiff_planes};
use cellgate_models::radiograph::{RadiographLimits, ReadError, decode, read};
use std::path::Path;
use std::time::Duration;

const WIDTH: usize = 20;
const HEIGHT: usize = 12;
const TEXT: u16 = 2;
const SLONG: u16 = 9;

fn built(form: &Form) -> Vec<u8> {
    form.build(WIDTH, &levels(WIDTH * HEIGHT, form.bits))
}

/// A file with the tag `tag` replaced by one value.
fn with(tag: u16, value: u64) -> Vec<u8> {
    built(&Form { tags: vec![(tag, vec![value])], ..Form::default() })
}

fn without(tag: u16) -> Vec<u8> {
    built(&Form { without: vec![tag], ..Form::default() })
}

/// A file whose width (tag 256) has this type, number of values and bytes.
fn with_entry(kind: u16, count: u64, bytes: [u8; 4]) -> Vec<u8> {
    built(&Form { entries: vec![Entry { tag: 256, kind, count, bytes: bytes.into() }], ..Form::default() })
}

/// The number of bytes of an uncompressed image.
const PIXELS: usize = 2 * WIDTH * HEIGHT;

fn not_a_tiff() -> Vec<(&'static str, Vec<u8>)> {
    let sound = built(&Form::default());
    vec![
        ("an empty file", Vec::new()),
        ("a JPEG", b"\xff\xd8\xff\xe0\0\x10JFIF\0".to_vec()),
        ("a PNG", b"\x89PNG\r\n\x1a\n".to_vec()),
        ("a text", b"a text, not an image".to_vec()),
        ("a header alone", sound[..8].to_vec()),
        ("a header that names no page", b"II*\0\0\0\0\0".to_vec()),
        ("half of a file", sound[..sound.len() / 2].to_vec()),
        ("the last byte missing", sound[..sound.len() - 1].to_vec()),
        ("too many entries", [b"II*\0\x08\0\0\0", [0xff; 2].as_slice(), &[0; 100]].concat()),
        ("a cycle of pages", tiff_hostile::with_a_cycle()),
    ]
}

fn bad_tags() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("without width", without(256)),
        ("a width of 0", with(256, 0)),
        ("a width as text", with_entry(TEXT, 3, *b"20\0\0")),
        ("a width of an unknown type", with_entry(99, 1, [20, 0, 0, 0])),
        ("a width without a value", with_entry(SLONG, 0, [0; 4])),
        ("a negative width", with_entry(SLONG, 1, [0xff; 4])),
        ("a width beyond the file", with_entry(SLONG, 1 << 28, [0; 4])),
        ("predictor 9", with(317, 9)),
        ("fill order 0", with(266, 0)),
        (
            "fill order 3 of compressed levels",
            built(&Form { compression: 5, tags: vec![(266, vec![3])], ..Form::default() }),
        ),
    ]
}

fn bad_chunks() -> Vec<(&'static str, Vec<u8>)> {
    let one = Form { rows_per_strip: HEIGHT, ..Form::default() };
    // 12 rows in strips of 3.
    let strips = 4;
    let tiles = [(322, vec![16]), (323, vec![16]), (324, vec![8]), (325, vec![512])];
    let mut broken = built(&Form { compression: 8, ..one.clone() });
    broken[12] ^= 0xff;
    // The bytes 0x78 0x9c begin the data of each strip. The byte before them ends the checksum of the previous strip.
    let mut checksum = built(&Form { compression: 8, rows_per_strip: 1, ..Form::default() });
    let end = checksum.windows(2).position(|bytes| bytes == [0x78, 0x9c]).expect("deflate data");
    let next = checksum[end + 2..].windows(2).position(|bytes| bytes == [0x78, 0x9c]).expect("a second strip");
    checksum[end + 1 + next] ^= 1;
    vec![
        ("strips and tiles", built(&Form { tags: tiles.into(), ..Form::default() })),
        ("neither strips nor tiles", without(273)),
        ("one strip's position", with(273, 8)),
        ("lengths of some strips", with(279, 480)),
        ("strips beyond the file", built(&Form { tags: vec![(273, vec![1 << 30; strips])], ..Form::default() })),
        ("strips of 0 rows", with(278, 0)),
        ("short strips", built(&Form { tags: vec![(279, vec![7; strips])], ..Form::default() })),
        ("a missing length, and missing rows", {
            let tags = vec![(257, vec![HEIGHT as u64 + 1]), (278, vec![HEIGHT as u64 + 1])];
            built(&Form { without: vec![279], tags, ..one.clone() })
        }),
        ("broken deflate data", broken),
        ("a wrong checksum of deflate", checksum),
        ("16 bits declared as 12", built(&Form { tags: vec![(258, vec![12])], ..one.clone() })),
        ("compressed 16 bits declared as 12", built(&Form { compression: 5, tags: vec![(258, vec![12])], ..one })),
    ]
}

/// Files over a limit, with that limit.
fn over_limits() -> Vec<(&'static str, Vec<u8>, RadiographLimits)> {
    let default = RadiographLimits::default;
    let sound = built(&Form::default());
    let tiles = Form { tile: Some((16, 16)), tags: vec![(322, vec![1 << 30])], ..Form::default() };
    vec![
        ("a long file", sound.clone(), RadiographLimits { max_file_bytes: 100, ..default() }),
        ("many pixels", sound.clone(), RadiographLimits { max_pixels: 100, ..default() }),
        ("large tiles", built(&tiles), default()),
        ("no time", sound, RadiographLimits { max_time: Duration::ZERO, ..default() }),
    ]
}

#[test]
fn all_errors_of_the_reader_match_the_snapshot() {
    let mut texts = String::new();
    let mut add = |name: &str, bytes: &[u8], limits: &RadiographLimits| {
        let error = decode(bytes, Path::new("image.tif"), limits).map(drop).expect_err(name);
        texts += &format!("{name}\n    {}\n", error.without_path());
    };
    let limits = RadiographLimits::default();
    for (name, bytes) in not_a_tiff().into_iter().chain(bad_tags()).chain(bad_chunks()) {
        add(name, &bytes, &limits);
    }
    let stacks = tiff_planes::stacks().into_iter().enumerate();
    let stacks = stacks.map(|(index, (tag, form))| {
        // The file gets bytes for a second plane, since some claims count only if there are such bytes.
        let form = Form { behind: vec![7; PIXELS], ..form };
        (format!("stack {index}, by tag {tag}"), built(&form))
    });
    let named = tiff_formats::other_kinds().chain([("three pages".to_owned(), tiff_formats::with_pages(3))]);
    for (name, bytes) in named.chain(tiff_planes::refused()).chain(stacks).chain(tiff_hidden::refused()) {
        add(&name, &bytes, &limits);
    }
    for (name, bytes, limits) in over_limits() {
        add(name, &bytes, &limits);
    }
    insta::with_settings!({filters => vec![(r"data \(deflate [^)]*\)", "data (ERROR OF THE LIBRARY)")]}, {
        insta::assert_snapshot!("errors", texts);
    });
}

#[test]
fn an_error_names_the_file() {
    let error = decode(b"", Path::new("folder/image.tif"), &RadiographLimits::default()).unwrap_err();
    assert_eq!(error.to_string(), format!("folder/image.tif: {}", error.without_path()));
    let folder = tempfile::tempdir().unwrap();
    let error = read(folder.path(), &RadiographLimits::default()).unwrap_err();
    assert!(matches!(&error, ReadError::Io { path, .. } if path == folder.path()), "{error}");
    insta::assert_snapshot!("folder", error.without_path());
}
