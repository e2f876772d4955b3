//! Checks that a file whose metadata claims more than one image is refused, with an error that names the tag. A file is read if its
//! metadata of the same kind claims one image.

use crate::tiff_builder::{Entry, Form, levels};
use cellgate_models::radiograph::{RadiographLimits, ReadError, decode};
use std::path::Path;
use std::time::{Duration, Instant};

const WIDTH: usize = 20;
const HEIGHT: usize = 12;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;
const UNDEFINED: u16 = 7;

/// The position of bytes after the image, in a file without compression.
const BEHIND: u64 = 8 + 2 * (WIDTH * HEIGHT) as u64;

fn read(file: &[u8]) -> Result<Vec<u16>, ReadError> {
    decode(file, Path::new("test.tif"), &RadiographLimits::default()).map(|image| image.levels().to_vec())
}

fn image() -> Vec<u16> {
    levels(WIDTH * HEIGHT, 16)
}

/// A second plane's bytes.
fn second_plane() -> Vec<u8> {
    image().iter().rev().flat_map(|level| level.to_le_bytes()).collect()
}

fn text(text: &str) -> Entry {
    let bytes = [text.as_bytes(), &[0]].concat();
    Entry { tag: 270, kind: ASCII, count: bytes.len() as u64, bytes }
}

fn bytes(tag: u16, bytes: Vec<u8>) -> Entry {
    Entry { tag, kind: UNDEFINED, count: bytes.len() as u64, bytes }
}

/// A tag of MetaMorph with `count` values.
fn per_plane(tag: u16, kind: u16, count: u64) -> Entry {
    Entry { tag, kind, count, bytes: vec![1; count as usize * if kind == RATIONAL { 8 } else { 4 }] }
}

/// `len` bytes, all 0 except the given values at the given positions.
fn at(len: usize, places: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, value) in places {
        bytes[*at..*at + value.len()].copy_from_slice(value);
    }
    bytes
}

/// Zeiss' structure with a depth and a number of time points. It begins with a fixed number and its length.
fn lsm(depth: u32, times: u32) -> Entry {
    let places: [(usize, &[u8]); 4] = [
        (0, &67_127_628_u32.to_le_bytes()),
        (4, &300_u32.to_le_bytes()),
        (16, &depth.to_le_bytes()),
        (24, &times.to_le_bytes()),
    ];
    bytes(34412, at(300, &places))
}

/// ImageJ's binary metadata with labels of slices.
fn ij_labels(count: u32) -> [Entry; 2] {
    let header = [b"JIJI", b"lbal".as_slice(), &count.to_le_bytes()].concat();
    let lengths = [12_u32.to_le_bytes(), 2_u32.to_le_bytes()].concat();
    [
        Entry { tag: 50838, kind: LONG, count: 2, bytes: lengths },
        bytes(50839, [header, b"a\0".repeat(count as usize)].concat()),
    ]
}

fn ome(sizes: [u32; 3], tiff_data: &str) -> Entry {
    let [c, z, t] = sizes;
    text(&format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="{WIDTH}" SizeY="{HEIGHT}" SizeC="{c}" SizeZ="{z}" SizeT="{t}">{tiff_data}</Pixels></Image></OME>"#
    ))
}

/// The metadata of a series of `count` files, of which this is the first.
fn series(count: u32) -> String {
    (1..=count)
        .map(|n| format!(r#"<TiffData FirstT="{n}" IFD="0" PlaneCount="1"><UUID FileName="t{n}.ome.tif">urn:uuid:{n}</UUID></TiffData>"#))
        .collect()
}

fn with(entries: impl IntoIterator<Item = Entry>) -> Form {
    Form { entries: entries.into_iter().collect(), ..Form::default() }
}

/// Forms that each claim several planes in one way, with the tag of the claim.
pub(crate) fn stacks() -> Vec<(u16, Form)> {
    let shape =
        |planes: &str| text(&format!(r#"{{"axes": "TZYX", "fill": NaN, "shape": [{planes}{HEIGHT}, {WIDTH}]}}"#));
    // Byte 260 of NIH Image's header is the number of slices.
    let nih = at(512, &[(260, &2_u16.to_le_bytes())]);
    let texts = [
        text("ImageJ=1.54p\nimages=2\nslices=2\nloop=false\n"),
        text("ImageJ=1.54p\nimages=1\nslices=2\n"),
        text("ImageJ=1.11a\nimages=2\nframes=2\nhyperstack=true\nmode=grayscale\n"),
        text("ImageJ=1.11a\r\nchannels=2\r\nmode=composite\r\n"),
        text("SCIFIO=0.37\naxes=X,Y,Z\nimages=2\n"),
        text("part 7\0ImageJ=1.54p\nimages=2\n"),
        shape("2, "),
        shape("1, 2, "),
        shape("2, 1, "),
        text(&format!(r#"{{"shape": [2, {HEIGHT}, {WIDTH}, 1]}}"#)),
        text(&format!("shape=(2, {HEIGHT}, {WIDTH})")),
        ome([1, 2, 1], r#"<TiffData IFD="0" PlaneCount="2"/>"#),
        ome([1, 1, 2], ""),
        ome([2, 1, 1], "<TiffData/>"),
    ];
    let mut stacks: Vec<(u16, Form)> = texts.map(|text| (270, with([text]))).into();
    stacks.push((270, with([text("part 7"), text("ImageJ=1.54p\nimages=2\n")])));
    for kind in [SHORT, LONG] {
        let depth = |tag| Entry { tag, kind, count: 1, bytes: vec![2, 0, 0, 0] };
        stacks.extend([(32997, with([depth(32997)])), (32998, with([depth(32998)]))]);
    }
    for (tag, kind) in [(33628, RATIONAL), (33629, RATIONAL), (33630, RATIONAL), (33631, LONG)] {
        stacks.push((tag, with([per_plane(tag, kind, 2)])));
    }
    let stk = [per_plane(33628, LONG, 5), per_plane(33629, RATIONAL, 2), per_plane(33630, RATIONAL, 2)];
    stacks.extend([(33629, with(stk)), (33628, with([per_plane(33628, LONG, 5)]))]);
    stacks.extend([(34412, with([lsm(2, 1)])), (34412, with([lsm(1, 3)])), (43314, with([bytes(43314, nih)]))]);
    stacks.push((50839, with(ij_labels(2))));
    stacks
}

#[test]
fn a_file_that_claims_several_planes_is_refused_and_the_error_names_the_tag() {
    for (tag, form) in stacks() {
        let form = Form { behind: second_plane(), ..form };
        let error = read(&form.build(WIDTH, &image())).expect_err("more than one plane");
        let ReadError::Unsupported { found, .. } = &error else { panic!("{form:?}: {error}") };
        assert!(found.contains(&format!("tag {tag} (")), "{form:?}: {error}");
    }
}

#[test]
fn a_claim_counts_even_without_room_for_the_other_planes() {
    // Two claims count only with room: OME-XML, whose other planes may be in other files, and tag 33628 alone, which gives no
    // number of planes.
    let only_with_room = |form: &Form| {
        form.entries.iter().any(|entry| entry.tag == 33628 && entry.count == 5 && form.entries.len() == 1)
            || form.entries.iter().any(|entry| entry.bytes.starts_with(b"<?xml"))
    };
    for (_, form) in stacks() {
        let outcome = read(&form.build(WIDTH, &image()));
        assert_eq!(outcome.is_ok(), only_with_room(&form), "{form:?}: {outcome:?}");
    }
}

#[test]
fn one_plane_with_such_metadata_is_read() {
    let shape = |shape: &str| text(&format!(r#"{{"shape": [{shape}], "axes": "YX", "roi": {{"shape": [2, 3, 4]}}}}"#));
    let nih = at(512, &[(260, &1_u16.to_le_bytes())]);
    let entries = [
        vec![text("ImageJ=1.54p\nimages=1\nslices=1\nframes=1\nchannels=1\nhyperstack=true\n")],
        vec![text("ImageJ=1.54p\nmin=1694.0\nmax=2578.0\n")],
        vec![text("X-ray, images=2, frames=16 averaged\nframes=16\nimages=2")],
        vec![shape(&format!("{HEIGHT}, {WIDTH}"))],
        vec![shape(&format!("1, {HEIGHT}, {WIDTH}"))],
        vec![shape(&format!("1, 1, {HEIGHT}, {WIDTH}, 1"))],
        vec![shape(&format!("{HEIGHT}, {WIDTH}, 1"))],
        vec![text(r#"{"shape": "round", "planes": 2}"#)],
        vec![ome([1, 1, 1], r#"<TiffData IFD="0" PlaneCount="1"/>"#)],
        vec![ome([1, 1, 1], "")],
        vec![Entry { tag: 32997, kind: SHORT, count: 1, bytes: vec![1, 0, 0, 0] }],
        vec![per_plane(33628, LONG, 5), per_plane(33629, RATIONAL, 1), per_plane(33631, LONG, 1)],
        vec![lsm(1, 1)],
        vec![bytes(43314, nih)],
        ij_labels(1).into(),
    ];
    for entries in entries {
        // A few extra bytes are not another plane.
        for behind in [Vec::new(), vec![7; 200]] {
            let form = Form { behind, ..with(entries.clone()) };
            let found = read(&form.build(WIDTH, &image())).unwrap_or_else(|error| panic!("{form:?}: {error}"));
            assert_eq!(found, image(), "{form:?}");
        }
    }
}

#[test]
fn pages_of_an_ome_series_are_read() {
    for compression in [1, 5, 8, 32773] {
        // The second text does not mention the UUID of this file.
        for text in [ome([1, 1, 3], &series(3)), ome([1, 3, 1], &series(3).replace("urn:uuid:1<", "urn:uuid:9<"))] {
            for behind in [Vec::new(), vec![7; 200]] {
                let form = Form { compression, behind, ..with([text.clone()]) };
                assert_eq!(read(&form.build(WIDTH, &image())).expect("one plane of three"), image(), "{form:?}");
            }
        }
        // Without file names, the other planes may be in this file if there are enough bytes.
        let mut form = Form { compression, ..with([ome([1, 1, 3], "")]) };
        assert_eq!(read(&form.build(WIDTH, &image())).expect("one plane of three"), image());
        form.behind = second_plane();
        assert!(matches!(read(&form.build(WIDTH, &image())), Err(ReadError::Unsupported { .. })));
    }
}

#[test]
fn several_images_in_micro_managers_list_are_refused() {
    // After the header: a fixed number, the position of the list, and the list, which begins with a fixed number and the number of
    // images.
    for (count, is_read) in [(1_u32, true), (2, false)] {
        let numbers = [54_773_648_u32, 16, 3_453_623, count];
        let list: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let mut file = [b"II*\0\0\0\0\0".as_slice(), &list].concat();
        let offset = file.len() as u64;
        file.extend(image().iter().flat_map(|level| level.to_le_bytes()));
        let tags = [(256, WIDTH as u64), (257, HEIGHT as u64), (258, 16), (262, 1), (273, offset)];
        let tags: Vec<_> = tags.into_iter().map(|(tag, value)| (tag, vec![value])).collect();
        Form::default().append_directory(&mut file, &tags);
        let outcome = read(&file);
        assert_eq!(outcome.is_ok(), is_read, "{outcome:?}");
        assert!(is_read || matches!(outcome, Err(ReadError::Unsupported { .. })));
    }
}

#[test]
fn a_description_that_cannot_be_read_is_refused() {
    let beyond = Form { entries: vec![Entry { count: 1 << 30, ..text("ImageJ=1.54p\n") }], ..Form::default() };
    let no_number = with([text("ImageJ=1.54p\nimages=two\n")]);
    let cut_off = with([text("{\"shape\": [2, 12")]);
    for form in [beyond, no_number, cut_off] {
        let error = read(&form.build(WIDTH, &image())).expect_err("an unknown number of planes");
        assert!(matches!(error, ReadError::Malformed { .. }), "{form:?}: {error}");
    }
}

#[test]
fn unreadable_ome_sizes_are_refused_if_there_is_room_for_a_plane() {
    let [good, float, word] = ["1", "2.0", "two"].map(|size| {
        let mut entry = ome([1, 7, 1], "");
        let text = String::from_utf8(entry.bytes).expect("a text").replace("SizeZ=\"7\"", &format!("SizeZ=\"{size}\""));
        entry.bytes = text.into_bytes();
        entry.count = entry.bytes.len() as u64;
        // Unreferenced bytes of a quarter of the image, as from a truncated plane.
        Form { behind: vec![7; WIDTH * HEIGHT / 2 + 10], ..with([entry]) }
    });
    assert!(read(&good.build(WIDTH, &image())).is_ok());
    for form in [float, word] {
        let outcome = read(&form.build(WIDTH, &image()));
        assert!(outcome.is_err(), "{outcome:?}");
    }
}

#[test]
fn a_strip_that_holds_a_second_image_is_refused() {
    let one = 2 * WIDTH * HEIGHT;
    let followed_by = |behind: Vec<u8>| Form {
        rows_per_strip: HEIGHT,
        tags: vec![(279, vec![(one + behind.len()) as u64])],
        behind,
        ..Form::default()
    };
    assert!(read(&followed_by(vec![0; 100]).build(WIDTH, &image())).is_ok(), "padding");
    let outcome = read(&followed_by(second_plane()).build(WIDTH, &image()));
    assert!(matches!(outcome, Err(ReadError::Unsupported { .. })), "{outcome:?}");
}

#[test]
fn long_descriptions_are_stopped_by_limits() {
    let long = 4 << 20;
    for start in ["ImageJ=1\n", "{", "{\"a\": \"", "<OME><a b='", "<OME><a>", "<!--", "["] {
        for filling in ["\n", "[", "\"", "\\", "<", "a='", "<a>", "&", "\0{", "\"shape\":["] {
            let text = text(&[start, &filling.repeat((long - 64) / filling.len())].concat());
            let file = with([text]).build(WIDTH, &image());
            let limits = RadiographLimits { max_time: Duration::from_millis(100), ..RadiographLimits::default() };
            let begin = Instant::now();
            let outcome = decode(&file, Path::new("test.tif"), &limits);
            assert!(begin.elapsed() < Duration::from_secs(3), "{start}{filling}: {:?}", begin.elapsed());
            let refused = matches!(outcome, Err(ReadError::Limit { .. } | ReadError::Malformed { .. }));
            assert!(outcome.is_ok() || refused, "{start}{filling}: {outcome:?}");
        }
    }
    let file = with([text(&"x".repeat(16 << 20))]).build(WIDTH, &image());
    assert!(matches!(read(&file), Err(ReadError::Limit { .. })));
}

/// The bytes of a directory with these tags, one value each.
fn directory(tags: &[(u16, u64)]) -> Vec<u8> {
    // A header whose pointer is already set, so that `append_directory` does not set it.
    let mut file = b"II*\0\x01\0\0\0".to_vec();
    Form::default()
        .append_directory(&mut file, &tags.iter().map(|(tag, value)| (*tag, vec![*value])).collect::<Vec<_>>());
    file.split_off(8)
}

const fn size(width: usize, height: usize) -> [(u16, u64); 2] {
    [(256, width as u64), (257, height as u64)]
}

#[test]
fn a_page_that_is_not_the_image_is_refused() {
    for (tag, value, is_read) in [
        (254, 0, true),
        (254, 1, false),
        // One page of several; the other pages are not in this file.
        (254, 2, true),
        (254, 3, false),
        (254, 4, false),
        (254, 5, false),
        (254, 8, false),
        (254, 16, false),
        (254, 65_537, false),
        (255, 1, true),
        (255, 2, false),
        (255, 3, true),
    ] {
        let form = Form { tags: vec![(tag, vec![value])], ..Form::default() };
        let outcome = read(&form.build(WIDTH, &image()));
        assert_eq!(outcome.is_ok(), is_read, "{tag}: {value}: {outcome:?}");
        if let Err(error) = outcome {
            let ReadError::Unsupported { found, .. } = &error else { panic!("{error}") };
            assert!(found.contains(&format!("tag {tag} (")), "{error}");
        }
    }
}

#[test]
fn sub_images_that_are_not_thumbnails_are_refused() {
    let (small, full) = (size(WIDTH / 2, HEIGHT / 2), size(WIDTH, HEIGHT));
    let (large, pixel) = (size(WIDTH * 2, HEIGHT * 2), size(1, 1));
    for (size, subfile_type, is_read) in [
        (small, Some((254, 1)), true),
        (pixel, Some((254, 1)), true),
        (small, Some((255, 2)), true),
        (small, None, false),
        (small, Some((254, 0)), false),
        (small, Some((254, 4)), false),
        (full, None, false),
        (full, Some((254, 1)), false),
        (size(WIDTH, HEIGHT - 1), Some((254, 1)), false),
        (large, None, false),
        (large, Some((254, 1)), false),
    ] {
        let tags = [Vec::from_iter(subfile_type), size.to_vec()].concat();
        // Tag 330 has type LONG or IFD, and a first position that is 0.
        for kind in [LONG, 13] {
            let positions = [0_u32.to_le_bytes(), (BEHIND as u32).to_le_bytes()].concat();
            let entry = Entry { tag: 330, kind, count: 2, bytes: positions };
            let form = Form { behind: directory(&tags), ..with([entry]) };
            let outcome = read(&form.build(WIDTH, &image()));
            assert_eq!(outcome.is_ok(), is_read, "{tags:?}: {outcome:?}");
            assert!(is_read || matches!(outcome, Err(ReadError::Unsupported { .. })), "{tags:?}: {outcome:?}");
        }
    }
}

#[test]
fn images_in_sub_ifds_of_thumbnails_are_found() {
    let small = size(2, 2);
    let thumbnail = directory(&[(254, 1), small[0], small[1], (330, BEHIND + 100)]);
    let hidden = directory(&[size(WIDTH, HEIGHT)[0], size(WIDTH, HEIGHT)[1]]);
    let behind = at(200, &[(0, &thumbnail), (100, &hidden)]);
    let form = Form { tags: vec![(330, vec![BEHIND])], behind, ..Form::default() };
    assert!(matches!(read(&form.build(WIDTH, &image())), Err(ReadError::Unsupported { .. })));
    // A thumbnail whose tag 330 names the thumbnail itself.
    let circle = directory(&[(254, 1), small[0], small[1], (330, BEHIND)]);
    let form = Form { tags: vec![(330, vec![BEHIND])], behind: circle, ..Form::default() };
    assert_eq!(read(&form.build(WIDTH, &image())).expect("one image"), image());
    // Too many positions, and a position beyond the file.
    let form = Form { tags: vec![(330, vec![BEHIND; 100_000])], ..Form::default() };
    assert!(matches!(read(&form.build(WIDTH, &image())), Err(ReadError::Limit { .. })));
    let form = Form { tags: vec![(330, vec![u64::from(u32::MAX)])], ..Form::default() };
    assert!(matches!(read(&form.build(WIDTH, &image())), Err(ReadError::Malformed { .. })));
}

/// A file with these further pages, each with its size and NewSubfileType.
fn with_pages(pages: &[([(u16, u64); 2], u64)]) -> Vec<u8> {
    let form = Form::default();
    let mut file = form.build(WIDTH, &image());
    for (size, kind) in pages {
        // The pointer to the next page is at the end of the file.
        let end = file.len();
        file[end - 4..].copy_from_slice(&form.number(end as u64, 4));
        file.extend(directory(&[(254, *kind), size[0], size[1]]));
    }
    file
}

/// Files of this module that are refused, except [`stacks`].
pub(crate) fn refused() -> Vec<(String, Vec<u8>)> {
    let (small, full) = (size(WIDTH / 2, HEIGHT / 2), size(WIDTH, HEIGHT));
    let further = with_pages(&[(small, 1), (full, 0), (small, 1)]);
    let mut files = vec![("a second page, and two thumbnails".to_owned(), further)];
    let mut add = |name: &str, form: &Form| files.push((name.to_owned(), form.build(WIDTH, &image())));
    for (tag, value) in [(254, 1), (254, 4), (254, 8), (255, 2)] {
        add(&format!("tag {tag} = {value}"), &Form { tags: vec![(tag, vec![value])], ..Form::default() });
    }
    let sub_image = Form { tags: vec![(330, vec![BEHIND])], behind: directory(&full), ..Form::default() };
    add("a second image in a SubIFD", &sub_image);
    add("too many SubIFDs", &Form { tags: vec![(330, vec![BEHIND; 100_000])], ..Form::default() });
    let second = second_plane();
    let length = vec![2 * (WIDTH * HEIGHT) as u64 + second.len() as u64];
    let strip = Form { rows_per_strip: HEIGHT, tags: vec![(279, length)], behind: second.clone(), ..Form::default() };
    add("two images in one strip", &strip);
    add("a second image without a directory", &Form { behind: second, ..Form::default() });
    for text in [text("ImageJ=1.54p\nimages=two\n"), text("{\"shape\": [2, 12"), text(&"x".repeat(16 << 20))] {
        let name = String::from_utf8_lossy(&text.bytes[..16.min(text.bytes.len() - 1)]).escape_debug().to_string();
        add(&format!("the description {name}"), &with([text]));
    }
    let beyond = Entry { count: 1 << 30, ..text("ImageJ=1.54p\n") };
    add("a description beyond the file", &with([beyond]));
    let mut broken = ome([1, 7, 1], "");
    broken.bytes = String::from_utf8(broken.bytes).expect("a text").replace("\"7\"", "\"two\"").into_bytes();
    broken.count = broken.bytes.len() as u64;
    add("OME-XML with an unreadable size", &Form { behind: second_plane(), ..with([broken]) });
    files
}

#[test]
fn thumbnails_as_further_pages_are_skipped() {
    let (small, full) = (size(WIDTH / 2, HEIGHT / 2), size(WIDTH, HEIGHT));
    for (pages, is_one) in [
        (vec![(small, 1)], true),
        (vec![(small, 1), (small, 1)], true),
        (vec![(small, 0)], false),
        (vec![(small, 4)], false),
        (vec![(full, 1)], false),
        (vec![(size(WIDTH, HEIGHT - 1), 1)], false),
        (vec![(small, 1), (full, 0), (small, 1)], false),
    ] {
        match (read(&with_pages(&pages)), is_one) {
            (Ok(levels), true) => assert_eq!(levels, image()),
            (Err(ReadError::Unsupported { .. }), false) => {}
            (outcome, _) => panic!("{pages:?}: {outcome:?}"),
        }
    }
}
