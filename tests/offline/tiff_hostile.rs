//! Checks that broken and hostile files end in an error of the right kind, without a panic, in bounded memory and time.

use crate::tiff_builder::{Entry, Form, levels, random};
use cellgate_models::radiograph::{RadiographLimits, RadiographReader, ReadError, decode};
use std::path::Path;
use std::time::{Duration, Instant};

const WIDTH: usize = 13;
const HEIGHT: usize = 7;

/// Small files of many forms.
fn seeds() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for (is_bigtiff, is_little_endian) in [(false, true), (true, false)] {
        for compression in [1, 5, 8, 32773] {
            for (bits, predicted) in [(16, true), (16, false), (12, false)] {
                for tile in [None, Some((16, 16))] {
                    let form =
                        Form { is_bigtiff, is_little_endian, compression, bits, predicted, tile, ..Form::default() };
                    files.push(form.build(WIDTH, &levels(WIDTH * HEIGHT, bits)));
                }
            }
        }
    }
    let text = |text: &[u8]| Entry { tag: 270, kind: 2, count: text.len() as u64, bytes: text.to_vec() };
    let ome = br#"<OME UUID="1"><Image><Pixels SizeC="1" SizeZ="1" SizeT="2"><TiffData IFD="0"><UUID>1</UUID></TiffData></Pixels></Image></OME>"#;
    let entries = [
        text(b"ImageJ=1.54p\nimages=1\nslices=1\n\0"),
        text(b"{\"shape\": [1, 7, 13], \"axes\": \"ZYX\"}\0"),
        text(ome),
        Entry { tag: 33629, kind: 5, count: 1, bytes: vec![1; 8] },
        Entry { tag: 256, kind: 9, count: 1, bytes: vec![WIDTH as u8, 0, 0, 0] },
    ];
    for entry in entries {
        files.push(Form { entries: vec![entry], ..Form::default() }.build(WIDTH, &levels(WIDTH * HEIGHT, 16)));
    }
    for tags in [vec![(258, vec![12])], vec![(266, vec![2])], vec![(254, vec![2]), (330, vec![0])]] {
        files.push(Form { tags, ..Form::default() }.build(WIDTH, &levels(WIDTH * HEIGHT, 12)));
    }
    files.push(Form { without: vec![262, 279], ..Form::default() }.build(WIDTH, &levels(WIDTH * HEIGHT, 16)));
    files
}

fn error(bytes: &[u8]) -> ReadError {
    decode(bytes, Path::new("test.tif"), &RadiographLimits::default()).expect_err("a broken file")
}

#[test]
fn every_truncation_is_malformed() {
    for file in seeds() {
        for len in 0..file.len() {
            // The TIFF directory is at the end, so each truncation removes at least a piece of it.
            let error = error(&file[..len]);
            assert!(matches!(error, ReadError::Malformed { .. }), "{len} of {}: {error}", file.len());
        }
    }
}

#[test]
fn mutated_files_give_an_image_or_an_error() {
    let limits = RadiographLimits { max_pixels: 1 << 20, ..RadiographLimits::default() };
    let mut reader = RadiographReader::new(limits);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tif");
    let (seeds, mut state) = (seeds(), 7);
    let (mut images, mut refused) = (0, 0);
    for round in 0..100_000 {
        let mut file = seeds[random(&mut state) as usize % seeds.len()].clone();
        for _ in 0..=random(&mut state) % 4 {
            let at = random(&mut state) as usize % file.len();
            match random(&mut state) % 5 {
                0 => file[at] = random(&mut state) as u8,
                1 => file[at] ^= 1 << (random(&mut state) % 8),
                2 => file[at] = [0, 1, 0x7f, 0x80, 0xff][random(&mut state) as usize % 5],
                3 => file.truncate(at.max(1)),
                _ => {
                    let from = random(&mut state) as usize % file.len();
                    let len = (random(&mut state) as usize % 12).min(file.len() - at.max(from));
                    file.copy_within(from..from + len, at);
                }
            }
        }
        let outcome = reader.decode(&file, &path).cloned().map_err(|error| error.to_string());
        *if outcome.is_ok() { &mut images } else { &mut refused } += 1;
        // Writing files is slow.
        if round % 10 == 0 {
            std::fs::write(&path, &file).unwrap();
            assert_eq!(reader.read(&path).cloned().map_err(|error| error.to_string()), outcome);
        }
    }
    // Both outcomes are frequent, otherwise the mutations are too weak or too strong.
    assert!(images > 10_000 && refused > 10_000, "{images} images, {refused} refused");
}

#[test]
fn dimensions_over_the_limit_are_refused() {
    let form = Form { tags: vec![(256, vec![1 << 20]), (257, vec![1 << 20])], ..Form::default() };
    assert!(matches!(error(&form.build(WIDTH, &levels(WIDTH, 16))), ReadError::Limit { .. }));
    let most = u64::from(u32::MAX);
    let form = Form { tags: vec![(256, vec![most]), (257, vec![most])], ..Form::default() };
    assert!(matches!(error(&form.build(WIDTH, &levels(WIDTH, 16))), ReadError::Limit { .. }));
}

#[test]
fn tiles_that_are_mostly_padding_are_refused() {
    let most = u64::from(u32::MAX);
    for tags in [vec![(322, vec![most]), (323, vec![most])], vec![(322, vec![most])], vec![(323, vec![1 << 27])]] {
        let form = Form { tile: Some((16, 16)), tags, ..Form::default() };
        let error = error(&form.build(WIDTH, &levels(WIDTH * HEIGHT, 16)));
        assert!(matches!(error, ReadError::Limit { .. }), "{error}");
    }
}

#[test]
fn short_data_for_many_pixels_is_refused_before_memory_is_allocated() {
    // The tags claim 8192 x 8192 pixels, 134217728 bytes. The strip has only the data of a small image.
    for compression in [1, 5, 8, 32773] {
        let tags = vec![(256, vec![8192]), (257, vec![8192]), (278, vec![8192])];
        let form = Form { compression, rows_per_strip: HEIGHT, tags, ..Form::default() };
        let error = error(&form.build(WIDTH, &levels(WIDTH * HEIGHT, 16)));
        assert!(matches!(&error, ReadError::Malformed { expected, .. } if expected.contains("134217728")), "{error}");
    }
}

#[test]
fn many_strips_on_the_same_bytes_are_stopped_by_the_clock() {
    // Each of 4,096 strips refers to the same megabyte of PackBits. It unpacks to nothing (128 is a no-op), except for its last two
    // bytes, which unpack to the strip's pixel.
    let (strips, len) = (4096_u64, 1 << 20);
    let form = Form { compression: 32773, ..Form::default() };
    let mut file = vec![b'I', b'I', 42, 0, 0, 0, 0, 0];
    let at = file.len() as u64;
    file.resize(file.len() + len, 128);
    file.extend([0xff, 1]);
    let tags = [
        (256, vec![1]),
        (257, vec![strips]),
        (258, vec![16]),
        (259, vec![32773]),
        (262, vec![1]),
        (273, vec![at; strips as usize]),
        (278, vec![1]),
        (279, vec![len as u64 + 2; strips as usize]),
    ];
    form.append_directory(&mut file, &tags);
    let limits = RadiographLimits { max_time: Duration::from_millis(50), ..RadiographLimits::default() };
    let start = Instant::now();
    let error = decode(&file, Path::new("test.tif"), &limits).unwrap_err();
    assert!(matches!(error, ReadError::Limit { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

/// A file whose first page names itself as the next page.
pub(crate) fn with_a_cycle() -> Vec<u8> {
    let mut file = Form::default().build(WIDTH, &levels(WIDTH * HEIGHT, 16));
    let (end, first) = (file.len(), file[4..8].to_vec());
    file[end - 4..].copy_from_slice(&first);
    file
}

#[test]
fn a_cycle_of_pages_is_malformed() {
    let file = with_a_cycle();
    assert!(matches!(error(&file), ReadError::Malformed { .. }));
}

#[test]
fn value_counts_beyond_the_file_are_malformed() {
    for is_bigtiff in [false, true] {
        let form = Form { is_bigtiff, ..Form::default() };
        let file = form.build(WIDTH, &levels(WIDTH * HEIGHT, 16));
        let entry = [form.number(273, 2), form.number(if is_bigtiff { 16 } else { 4 }, 2)].concat();
        let at = file.windows(4).position(|bytes| bytes == entry).unwrap() + 4;
        let width = if is_bigtiff { 8 } else { 4 };
        for count in [u64::MAX, u64::MAX / 8, 1 << 31, 0] {
            let mut file = file.clone();
            file[at..at + width].copy_from_slice(&form.number(count, width));
            assert!(matches!(error(&file), ReadError::Malformed { .. }));
        }
        // The strip offsets as ASCII text of 2^32 - 1 characters. The crate `tiff` prints a message to stderr for such a text; our
        // reader must only return an error.
        let mut file = file.clone();
        file[at - 2..at].copy_from_slice(&form.number(2, 2));
        file[at..at + width].copy_from_slice(&form.number(u64::from(u32::MAX), width));
        assert!(matches!(error(&file), ReadError::Malformed { .. }));
    }
}

#[test]
fn files_over_the_limit_and_odd_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tif");
    let file = seeds().remove(0);
    std::fs::write(&path, &file).unwrap();
    let len = file.len() as u64;
    let mut reader = RadiographReader::new(RadiographLimits { max_file_bytes: len, ..RadiographLimits::default() });
    assert!(reader.read(&path).is_ok());
    let mut reader = RadiographReader::new(RadiographLimits { max_file_bytes: len - 1, ..RadiographLimits::default() });
    assert!(matches!(reader.read(&path), Err(ReadError::Limit { .. })));
    assert!(matches!(reader.decode(&file, &path), Err(ReadError::Limit { .. })));
    let mut reader = RadiographReader::new(RadiographLimits {
        max_pixels: (WIDTH * HEIGHT) as u64 - 1,
        ..RadiographLimits::default()
    });
    assert!(matches!(reader.read(&path), Err(ReadError::Limit { .. })));
    let mut reader = RadiographReader::new(RadiographLimits::default());
    assert!(matches!(reader.read(folder.path()), Err(ReadError::Io { .. })));
    assert!(matches!(reader.read(&folder.path().join("none.tif")), Err(ReadError::Io { .. })));
    // A device file with endless data.
    assert!(matches!(reader.read(Path::new("/dev/zero")), Err(ReadError::Io { .. })));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(reader.read(&path), Err(ReadError::Malformed { .. })));
}

#[test]
fn a_reader_keeps_nothing_of_earlier_images_and_errors() {
    let mut reader = RadiographReader::new(RadiographLimits::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tif");
    // Uncompressed images, which the reader leaves in the file's buffer, alternate with compressed ones.
    for (width, height, compression) in [(40, 30, 8), (3, 2, 1), (50, 60, 1), (1, 1, 8), (40, 30, 1), (40, 30, 8)] {
        let expected = levels(width * height, 16);
        let file = Form { compression, ..Form::default() }.build(width, &expected);
        std::fs::write(&path, &file).unwrap();
        assert!(reader.decode(&file[..file.len() / 2], &path).is_err());
        for from_file in [true, false, true, true] {
            let image = if from_file { reader.read(&path) } else { reader.decode(&file, &path) }.unwrap();
            assert_eq!((image.width() as usize, image.height() as usize), (width, height));
            assert_eq!(image.levels(), expected);
        }
    }
}

#[test]
#[ignore = "writes files for the fuzz target into the folder CELLGATE_FUZZ_SEEDS"]
fn write_seeds() {
    let folder = std::path::PathBuf::from(std::env::var_os("CELLGATE_FUZZ_SEEDS").expect("CELLGATE_FUZZ_SEEDS"));
    std::fs::create_dir_all(&folder).unwrap();
    for (index, file) in seeds().iter().enumerate() {
        std::fs::write(folder.join(format!("{index}.tif")), file).unwrap();
    }
}
