//! Checks that planes which few readers look for are found: planes that rare texts and tags claim, or that show only as unreferenced
//! bytes.

use crate::tiff_builder::{Entry, Form, levels};
use cellgate_models::radiograph::{RadiographLimits, ReadError, decode};
use std::path::Path;

const WIDTH: usize = 40;
const HEIGHT: usize = 30;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const UNDEFINED: u16 = 7;

fn read(file: &[u8]) -> Result<Vec<u16>, ReadError> {
    decode(file, Path::new("test.tif"), &RadiographLimits::default()).map(|image| image.levels().to_vec())
}

fn image() -> Vec<u16> {
    levels(WIDTH * HEIGHT, 16)
}

fn bytes_of(levels: &[u16]) -> Vec<u8> {
    levels.iter().flat_map(|level| level.to_le_bytes()).collect()
}

fn text(tag: u16, text: &str) -> Entry {
    let bytes = [text.as_bytes(), &[0]].concat();
    Entry { tag, kind: ASCII, count: bytes.len() as u64, bytes }
}

fn with(entries: impl IntoIterator<Item = Entry>) -> Form {
    Form { entries: entries.into_iter().collect(), ..Form::default() }
}

/// What the reader should do with a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    Image,
    Malformed,
    Unsupported,
}
use Expected::{Image, Malformed, Unsupported};

/// Builds a file of each form and checks the reader's outcome. The snapshot of `tiff_errors` has the texts.
fn check(forms: impl IntoIterator<Item = (Form, Expected)>) {
    for (form, expected) in forms {
        match (read(&form.build(WIDTH, &image())), expected) {
            (Ok(levels), Image) => assert_eq!(levels, image()),
            (Err(ReadError::Unsupported { .. }), Unsupported) | (Err(ReadError::Malformed { .. }), Malformed) => {}
            (outcome, _) => panic!("{form:?}: {expected:?}: {outcome:?}"),
        }
    }
}

/// All files of this module that are refused, each with the bytes of its rare metadata as its name.
pub(crate) fn refused() -> impl Iterator<Item = (String, Vec<u8>)> {
    let forms = texts().into_iter().chain(ij_metadata_forms()).chain(page_numbers());
    forms.filter(|(_, expected)| *expected != Image).map(|(form, _)| {
        let names = form.entries.iter().map(|entry| {
            let values = entry.bytes.trim_ascii_end().escape_ascii().to_string();
            format!("tag {}: {}", entry.tag, values.trim_end_matches("\\x00").replace("  ", ""))
        });
        (Vec::from_iter(names).join(", "), form.build(WIDTH, &image()))
    })
}

/// Files with texts of SCIFIO, FITS and Micro-Manager.
fn texts() -> Vec<(Form, Expected)> {
    let fits = |planes: u32| {
        let cards = ["SIMPLE  = T".to_owned(), "NAXIS   = 3".to_owned(), format!("NAXIS3  = {planes} / planes")];
        text(270, &cards.map(|card| format!("{card:<80}")).concat())
    };
    let summary = |planes: u32| format!(r#"{{"Summary": {{"MicroManagerVersion": "1.4", "Slices": {planes}}}}}"#);
    vec![
        (with([text(270, "SCIFIO=0.37\naxes=X,Y,Z\nlengths=40,30,5\n")]), Unsupported),
        (with([text(270, "SCIFIO=0.37\naxes=X,Y,Z\nlengths=40,30\n")]), Malformed),
        (with([text(270, "SCIFIO=0.37\naxes=X,Y\nlengths=40,30\n")]), Image),
        (with([fits(5)]), Unsupported),
        (with([fits(1)]), Image),
        (with([text(270, &summary(3))]), Unsupported),
        (with([text(270, &summary(1))]), Image),
        (with([text(270, r#"{"scanner": "X", "Frames": 16}"#)]), Image),
        (with([text(51123, r#"{"Frames": 4, "Frame": 0}"#)]), Unsupported),
        (with([text(51123, r#"{"FrameIndex": 4, "Slices": 1}"#)]), Image),
        (with([Entry { count: 1 << 30, ..text(51123, "{}   ") }]), Malformed),
    ]
}

#[test]
fn planes_that_texts_of_scifio_fits_and_micro_manager_claim_are_refused() {
    check(texts());
}

/// ImageJ's binary metadata with `labels` labels and these lengths.
fn ij_metadata(labels: u32, lengths: Option<&[u32]>) -> Form {
    let header = [b"JIJI", b"lbal".as_slice(), &labels.to_le_bytes()].concat();
    let bytes = [header, b"a\0".repeat(labels as usize)].concat();
    let lengths = lengths.map(|lengths| Entry {
        tag: 50838,
        kind: LONG,
        count: lengths.len() as u64,
        bytes: lengths.iter().flat_map(|length| length.to_le_bytes()).collect(),
    });
    with([Entry { tag: 50839, kind: UNDEFINED, count: bytes.len() as u64, bytes }].into_iter().chain(lengths))
}

fn ij_metadata_forms() -> Vec<(Form, Expected)> {
    // Right lengths are those of the header, 12 bytes, and of each label, 2 bytes.
    vec![
        (ij_metadata(1, Some(&[12, 2])), Image),
        (ij_metadata(2, Some(&[12, 2, 2])), Unsupported),
        (ij_metadata(2, None), Malformed),
        (ij_metadata(2, Some(&[4])), Malformed),
        (ij_metadata(1, Some(&[12, 5])), Malformed),
        (ij_metadata(2, Some(&[4, 2, 2])), Malformed),
        (ij_metadata(2, Some(&[0, 2])), Malformed),
        (ij_metadata(2, Some(&[1 << 20, 2])), Malformed),
    ]
}

#[test]
fn inconsistent_metadata_of_imagej_is_refused() {
    check(ij_metadata_forms());
}

/// Files with a page number: the index of the page, and the total number of pages (0 if unknown).
fn page_numbers() -> Vec<(Form, Expected)> {
    let number = |index: u16, total: u16| {
        let bytes = [index.to_le_bytes(), total.to_le_bytes()].concat();
        with([Entry { tag: 297, kind: SHORT, count: 2, bytes }])
    };
    vec![(number(0, 1), Image), (number(0, 0), Image), (number(0, 2), Unsupported), (number(1, 3), Unsupported)]
}

#[test]
fn a_page_number_that_claims_several_pages_is_refused() {
    check(page_numbers());
}

/// Another plane may be compressed better than the first one.
#[test]
fn a_plane_that_ome_names_is_found_however_well_it_is_compressed() {
    let side = 600;
    let xml = format!(
        r#"<OME><Image ID="Image:0"><Pixels ID="Pixels:0" SizeX="{side}" SizeY="{side}" SizeC="1" SizeZ="2" SizeT="1"/></Image></OME>"#
    );
    for compression in [5, 8, 32773] {
        let form = |behind| Form { compression, rows_per_strip: side, behind, ..with([text(270, &xml)]) };
        let flat = Form { compression, rows_per_strip: side, ..Form::default() }.build(side, &vec![0; side * side]);
        let image = levels(side * side, 16);
        assert!(flat.len() < form(Vec::new()).build(side, &image).len() / 5, "less than a fifth of the first");
        assert!(read(&form(Vec::new()).build(side, &image)).is_ok());
        let outcome = read(&form(flat).build(side, &image));
        assert!(matches!(outcome, Err(ReadError::Unsupported { .. })), "{compression}: {outcome:?}");
    }
}

/// A writer that is killed before it writes the directory of a second image leaves this image unreferenced.
#[test]
fn an_unreferenced_image_is_refused() {
    for compression in [1, 5, 8, 32773] {
        let form = Form { compression, ..Form::default() };
        let alone = form.build(WIDTH, &image());
        let second = alone[8..].to_vec();
        check([
            (Form { behind: second.clone(), ..form.clone() }, Unsupported),
            (Form { behind: vec![7; alone.len() / 4], ..form.clone() }, Image),
        ]);
        let killed = [alone.clone(), second].concat();
        let outcome = read(&killed);
        assert!(matches!(outcome, Err(ReadError::Unsupported { .. })), "{compression}: {outcome:?}");
    }
}

/// The bytes of thumbnails, previews and long texts do not count as unreferenced.
#[test]
fn referenced_bytes_do_not_count_as_another_image() {
    let long = text(270, &"scanner ".repeat(1000));
    let profile = Entry { tag: 34675, kind: UNDEFINED, count: 5000, bytes: vec![7; 5000] };
    let behind = bytes_of(&image());
    let preview = Form { tags: vec![(513, vec![100]), (514, vec![behind.len() as u64])], ..Form::default() };
    check([(with([long, profile]), Image), (Form { behind: behind.clone(), ..preview }, Image)]);
    // Two thumbnails of a quarter of the pixels each, in the chain of pages.
    let mut file = Form { behind: behind[..behind.len() / 2].to_vec(), ..Form::default() }.build(WIDTH, &image());
    assert!(read(&file).is_err());
    for index in 0..2 {
        let end = file.len();
        file[end - 4..].copy_from_slice(&(end as u32).to_le_bytes());
        let place = 8 + 2 * (WIDTH * HEIGHT + index * WIDTH * HEIGHT / 4) as u64;
        let length = (WIDTH * HEIGHT / 2) as u64;
        let (width, height) = (WIDTH as u64 / 2, HEIGHT as u64 / 2);
        let tags = [(254, 1), (256, width), (257, height), (258, 16), (273, place), (279, length)];
        let mut directory = b"II*\0\x01\0\0\0".to_vec();
        Form::default().append_directory(&mut directory, &tags.map(|(tag, value)| (tag, vec![value])));
        file.extend(&directory[8..]);
    }
    assert_eq!(read(&file).expect("one image and its thumbnails"), image());
}
