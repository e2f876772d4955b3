use super::*;
use crate::dataset::{Entry, LeftOut, LeftOutReason};
use cellgate_models::radiograph::Radiograph;
use std::path::PathBuf;

/// A listing with one entry a line: image, bundle, label.
fn listing(lines: &[(&str, &str, Label)]) -> Listing {
    let entry = |(image, bundle, label): &(&str, &str, Label)| Entry {
        image: (*image).to_owned(),
        bundle: (*bundle).to_owned(),
        label: *label,
        anomalies: Vec::new(),
        experts: Vec::new(),
    };
    Listing { entries: lines.iter().map(entry).collect(), ..Listing::default() }
}

/// Facts of an image of 100 x 50 pixels whose content and file are named by numbers.
fn image(content: u16, file: u8) -> Result<ImageFacts, ReadError> {
    let mut levels = vec![2000; 5000];
    levels[..2500].fill(1000 + content);
    Ok(ImageFacts::of(&Radiograph::new(50, 100, levels).unwrap(), Digest::of(&[file])))
}

fn unreadable() -> Result<ImageFacts, ReadError> {
    Err(ReadError::Io { path: "x.tif".into(), source: std::io::ErrorKind::NotFound.into() })
}

fn kinds(report: &CheckReport) -> Vec<FindingKind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

use Label::{Abnormal, Normal};

const SOUND: [(&str, &str, Label); 6] = [
    ("1", "b1", Normal),
    ("2", "b1", Abnormal),
    ("3", "b2", Normal),
    ("4", "b2", Abnormal),
    ("5", "b3", Normal),
    ("6", "b3", Abnormal),
];

/// `images` and two sound ones more, for [`SOUND`].
fn with_b3(images: [Result<ImageFacts, ReadError>; 4]) -> Vec<Result<ImageFacts, ReadError>> {
    images.into_iter().chain([image(15, 15), image(16, 16)]).collect()
}

#[test]
fn a_sound_set_has_no_findings_and_the_digest_of_open() {
    let listing = listing(&SOUND);
    let images = with_b3([image(1, 1), image(2, 2), image(3, 3), image(4, 4)]);
    let report = CheckReport::new(&listing, &images);
    assert_eq!(report.findings, []);
    assert_eq!((report.all.images, report.all.normal, report.all.abnormal), (6, 3, 3));
    assert_eq!(report.all.height, Some(Range { min: 100.0, mean: 100.0, max: 100.0 }));
    assert_eq!(report.all.bounds, Some(Bounds::new(1000, 2000).unwrap()));
    assert_eq!(report.bundles[1].darkest.unwrap().mean, 1003.5);
    let parts =
        listing.entries.iter().zip([1, 2, 3, 4, 15, 16]).map(|(entry, file)| listing.part(entry, Digest::of(&[file])));
    assert_eq!(report.digest, Some(Dataset::from_parts(PathBuf::new(), parts.collect()).digest));
}

#[test]
fn the_same_image_is_a_leak_across_bundles_or_labels_and_else_a_duplicate() {
    let set = listing(&SOUND);
    let found = |images: [_; 4]| {
        let report = CheckReport::new(&set, &with_b3(images));
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        (report.findings[0].kind, report.findings[0].message.clone())
    };
    let (kind, message) = found([image(1, 1), image(2, 2), image(1, 1), image(4, 4)]);
    assert_eq!(kind, FindingKind::Leak);
    assert_eq!(message, "the same file across bundles: 1 (`b1`, normal), 3 (`b2`, normal)");
    let (kind, message) = found([image(1, 1), image(1, 9), image(3, 3), image(4, 4)]);
    assert_eq!(kind, FindingKind::Leak);
    assert!(message.starts_with("the same pixels in different files with different labels: 1 "), "{message}");

    let twice = listing(&[
        ("1", "b1", Normal),
        ("2", "b1", Normal),
        ("3", "b1", Abnormal),
        ("4", "b2", Abnormal),
        ("5", "b2", Normal),
        ("6", "b3", Normal),
        ("7", "b3", Abnormal),
    ]);
    let images = [image(1, 1), image(1, 1), image(3, 3), image(4, 4), image(5, 5), image(6, 6), image(7, 7)];
    let report = CheckReport::new(&twice, &images);
    assert_eq!((kinds(&report), report.count(Severity::Error)), (vec![FindingKind::Duplicate], 0));
}

#[test]
fn unreadable_flat_saturated_and_odd_images_are_named() {
    let levels =
        |width, height, levels| Ok(ImageFacts::of(&Radiograph::new(width, height, levels).unwrap(), Digest::of(b"")));
    let mut saturated = [[1007; 2500], [2000; 2500]].concat();
    saturated[4990..].fill(4095);
    let images = [
        unreadable(),
        levels(50, 100, vec![7; 5000]),
        levels(50, 100, saturated),
        levels(60, 100, [[1007; 3000], [2000; 3000]].concat()),
    ];
    let report = CheckReport::new(&listing(&SOUND), &with_b3(images));
    assert_eq!(
        kinds(&report),
        [FindingKind::Unreadable, FindingKind::Flat, FindingKind::Saturated, FindingKind::OddSize]
    );
    assert_eq!(report.count(Severity::Error), 1);
    assert!(report.findings[3].message.contains("100 x 60 pixels (height x width), the median is 100 x 50"));
    assert_eq!((report.digest, report.bundles[0].unreadable), (None, 1));
}

#[test]
fn missing_classes_and_bundles_are_named() {
    let one_class = CheckReport::new(&listing(&[("1", "b", Normal), ("2", "c", Normal)]), &[image(1, 1), image(2, 2)]);
    assert_eq!(kinds(&one_class), [FindingKind::OneClass]);
    let one_bundle = CheckReport::new(&listing(&SOUND[..2]), &[image(1, 1), image(2, 2)]);
    assert_eq!((kinds(&one_bundle), one_bundle.count(Severity::Error)), (vec![FindingKind::OneBundle], 0));
    let partly = CheckReport::new(&listing(&SOUND[..3]), &[image(1, 1), image(2, 2), image(3, 3)]);
    assert_eq!(kinds(&partly), [FindingKind::FewBundles, FindingKind::OneClassBundle]);
    assert!(partly.findings[1].message.starts_with("`b2`: the only image is normal"));
}

#[test]
fn bundles_too_few_for_the_default_recipe_are_counted() {
    let kinds_of = |lines: &[(&str, &str, Label)]| {
        let images: Vec<_> = (0..lines.len()).map(|index| image(index as u16, index as u8)).collect();
        let report = CheckReport::new(&listing(lines), &images);
        (kinds(&report), report.findings.first().map(|finding| finding.message.clone()).unwrap_or_default())
    };
    let (kinds, message) = kinds_of(&SOUND[..4]);
    assert_eq!(kinds, [FindingKind::FewBundles]);
    assert!(message.starts_with("found both classes in 2 of 2 bundles, expected three"), "{message}");
    // Bundles of one class each do too, where there are enough: no operating point lacks a class.
    let one_class = [("a", Normal), ("b", Normal), ("c", Normal), ("d", Abnormal), ("e", Abnormal), ("f", Abnormal)];
    let one_class = one_class.map(|(bundle, label)| (bundle, bundle, label));
    assert_eq!(kinds_of(&one_class).0, [FindingKind::OneClassBundle; 6]);
}

#[test]
fn names_that_look_alike_are_an_error() {
    let mut lines = SOUND;
    (lines[0].1, lines[2].1, lines[4].1) = ("bundle 1", "Bundle\u{200b} 01", "bundle 2");
    (lines[1].1, lines[3].1, lines[5].1) = ("bundle 1", "Bundle\u{200b} 01", "bundle 2");
    let report = CheckReport::new(&listing(&lines), &with_b3([image(1, 1), image(2, 2), image(3, 3), image(4, 4)]));
    assert_eq!((kinds(&report), report.count(Severity::Error)), (vec![FindingKind::SimilarNames], 1));
    let message = &report.findings[0].message;
    // What has no width is written out.
    assert!(
        message.contains(r#""Bundle\u{200b} 01", "bundle 1": 2 bundles"#) && !message.contains("bundle 2"),
        "{message}"
    );
}

#[test]
fn images_that_are_left_out_are_counted_one_by_one() {
    let mut set = listing(&SOUND);
    let left_out = |path: &str| LeftOut { path: path.to_owned(), reason: LeftOutReason::Deeper };
    set.left_out = vec![left_out("b1/normal/x/1.tif"), left_out("b1/normal/x/2.tif")];
    let report = CheckReport::new(&set, &with_b3([image(1, 1), image(2, 2), image(3, 3), image(4, 4)]));
    assert_eq!((kinds(&report), report.digest), (vec![FindingKind::LeftOut; 2], None));
    assert_eq!(report.findings[1].images, ["b1/normal/x/2.tif"]);
}

#[test]
fn files_that_are_passed_by_are_counted() {
    let mut set = listing(&SOUND);
    set.passed_by = vec!["b1/1.tif".into(), "b1/normal/foto.jpg".into()];
    let report = CheckReport::new(&set, &with_b3([image(1, 1), image(2, 2), image(3, 3), image(4, 4)]));
    assert_eq!(kinds(&report), [FindingKind::PassedBy]);
    assert!(report.findings[0].message.starts_with("2 files are passed by, such as b1/1.tif"));
}

#[test]
fn many_findings_of_a_kind_are_counted_in_the_text() {
    let lines: Vec<_> = (0..30).map(|index| ("x", "b", if index == 0 { Abnormal } else { Normal })).collect();
    let images: Vec<_> = (0..30).map(|_| unreadable()).collect();
    let text = CheckReport::new(&listing(&lines), &images).to_string();
    assert!(text.contains("error: and 20 more of this kind (--json lists all)"), "{text}");
    assert!(text.ends_with("30 errors, 1 warning\n"), "{text}");
}
