use super::*;
use crate::dataset::{Entry, LeftOut, LeftOutReason};
use cellgate_models::radiograph::Radiograph;
use std::path::PathBuf;

/// A listing of images, each with its bundle and label.
fn listing(lines: &[(&str, &str, Label)]) -> Listing {
    let entry = |(image, bundle, label): &(&str, &str, Label)| Entry {
        image: (*image).to_owned(),
        bundle: (*bundle).to_owned(),
        label: *label,
        anomalies: Vec::new(),
        masks: None,
        experts: Vec::new(),
    };
    Listing { entries: lines.iter().map(entry).collect(), ..Listing::default() }
}

/// Facts of an image of 100 x 50 pixels. Images with the same `content` have the same pixels, and with the same `file` the same
/// file.
fn image(content: u16, file: u8) -> Result<ImageFacts, ReadError> {
    let mut levels = vec![2000; 5000];
    levels[..2500].fill(1000 + content);
    Ok(ImageFacts::of(&Radiograph::new(50, 100, levels).unwrap(), Digest::of(&[file])))
}

fn unreadable() -> Result<ImageFacts, ReadError> {
    Err(ReadError::Io { path: "x.tif".into(), source: std::io::Error::other("the system's error") })
}

fn kinds(report: &CheckReport) -> Vec<FindingKind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

use Label::{Abnormal, Normal};

const GOOD: [(&str, &str, Label); 6] = [
    ("1", "b1", Normal),
    ("2", "b1", Abnormal),
    ("3", "b2", Normal),
    ("4", "b2", Abnormal),
    ("5", "b3", Normal),
    ("6", "b3", Abnormal),
];

/// The images of the listing [`GOOD`]: the four `images` in the bundles b1 and b2, then two good images in bundle b3.
fn with_b3(images: [Result<ImageFacts, ReadError>; 4]) -> Vec<Result<ImageFacts, ReadError>> {
    images.into_iter().chain([image(15, 15), image(16, 16)]).collect()
}

#[test]
fn a_good_set_has_no_findings_and_the_digest_of_its_parts() {
    let listing = listing(&GOOD);
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
fn the_same_image_is_a_leak_across_bundles_or_labels_else_a_duplicate() {
    let set = listing(&GOOD);
    let found = |images: [_; 4]| {
        let report = CheckReport::new(&set, &with_b3(images));
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        (report.findings[0].kind, report.findings[0].images.join(" "))
    };
    let across_bundles = found([image(1, 1), image(2, 2), image(1, 1), image(4, 4)]);
    assert_eq!(across_bundles, (FindingKind::Leak, "1 3".to_owned()));
    let with_two_labels_in_two_files = found([image(1, 1), image(1, 9), image(3, 3), image(4, 4)]);
    assert_eq!(with_two_labels_in_two_files, (FindingKind::Leak, "1 2".to_owned()));

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
fn unreadable_flat_saturated_and_odd_images_are_reported() {
    let levels =
        |width, height, levels| Ok(ImageFacts::of(&Radiograph::new(width, height, levels).unwrap(), Digest::of(b"")));
    // 10 of 5000 pixels are saturated, above the limit of 0.1 %.
    let mut saturated = [[1007; 2500], [2000; 2500]].concat();
    saturated[4990..].fill(4095);
    let images = [
        unreadable(),
        levels(50, 100, vec![7; 5000]),
        levels(50, 100, saturated),
        levels(60, 100, [[1007; 3000], [2000; 3000]].concat()),
    ];
    let report = CheckReport::new(&listing(&GOOD), &with_b3(images));
    assert_eq!(
        kinds(&report),
        [
            FindingKind::Unreadable,
            FindingKind::Flat,
            FindingKind::Saturated,
            FindingKind::OddSize,
            FindingKind::OutsideEnvelope,
            FindingKind::OutsideEnvelope
        ]
    );
    assert_eq!(report.count(Severity::Error), 1);
    let images: Vec<_> = report.findings.iter().map(|finding| finding.images.concat()).collect();
    assert_eq!(images, ["1", "2", "3", "4", "2", "4"]);
    assert_eq!((report.digest, report.bundles[0].unreadable), (None, 1));
}

#[test]
fn missing_classes_and_bundles_are_reported() {
    let one_class = CheckReport::new(&listing(&[("1", "b", Normal), ("2", "c", Normal)]), &[image(1, 1), image(2, 2)]);
    assert_eq!(kinds(&one_class), [FindingKind::OneClass]);
    let one_bundle = CheckReport::new(&listing(&GOOD[..2]), &[image(1, 1), image(2, 2)]);
    assert_eq!((kinds(&one_bundle), one_bundle.count(Severity::Error)), (vec![FindingKind::OneBundle], 0));
    let partly = CheckReport::new(&listing(&GOOD[..3]), &[image(1, 1), image(2, 2), image(3, 3)]);
    assert_eq!(kinds(&partly), [FindingKind::FewBundles, FindingKind::OneClassBundle]);
    insta::assert_snapshot!("balance", format!("{one_class}\n{one_bundle}\n{partly}"));
}

#[test]
fn too_few_bundles_for_the_default_recipe_are_reported() {
    let kinds_of = |lines: &[(&str, &str, Label)]| {
        let images: Vec<_> = (0..lines.len()).map(|index| image(index as u16, index as u8)).collect();
        kinds(&CheckReport::new(&listing(lines), &images))
    };
    assert_eq!(kinds_of(&GOOD[..4]), [FindingKind::FewBundles]);
    // Bundles of one class suffice if three of them are normal and three abnormal.
    let one_class = [("a", Normal), ("b", Normal), ("c", Normal), ("d", Abnormal), ("e", Abnormal), ("f", Abnormal)];
    let one_class = one_class.map(|(bundle, label)| (bundle, bundle, label));
    assert_eq!(kinds_of(&one_class), [FindingKind::OneClassBundle; 6]);
    // Two abnormal bundles do not suffice.
    assert_eq!(kinds_of(&one_class[..5])[0], FindingKind::FewBundles);
}

#[test]
fn names_that_look_alike_are_an_error() {
    let mut lines = GOOD;
    (lines[0].1, lines[2].1, lines[4].1) = ("bundle 1", "Bundle\u{200b} 01", "bundle 2");
    (lines[1].1, lines[3].1, lines[5].1) = ("bundle 1", "Bundle\u{200b} 01", "bundle 2");
    let report = CheckReport::new(&listing(&lines), &with_b3([image(1, 1), image(2, 2), image(3, 3), image(4, 4)]));
    assert_eq!((kinds(&report), report.count(Severity::Error)), (vec![FindingKind::SimilarNames], 1));
    // The character without width is written as its Unicode number.
    let message = &report.findings[0].message;
    assert!(message.contains(r#""Bundle\u{200b} 01", "bundle 1""#) && !message.contains("bundle 2"), "{message}");
}

#[test]
fn each_image_that_is_left_out_is_a_finding() {
    let mut set = listing(&GOOD);
    let left_out = |path: &str| LeftOut { path: path.to_owned(), reason: LeftOutReason::Deeper };
    set.left_out = vec![left_out("b1/normal/x/1.tif"), left_out("b1/normal/x/2.tif")];
    let report = CheckReport::new(&set, &with_b3([image(1, 1), image(2, 2), image(3, 3), image(4, 4)]));
    assert_eq!((kinds(&report), report.digest), (vec![FindingKind::LeftOut; 2], None));
    assert_eq!(report.findings[1].images, ["b1/normal/x/2.tif"]);
}

#[test]
fn skipped_files_are_one_finding() {
    let mut set = listing(&GOOD);
    set.skipped = vec!["b1/1.tif".into(), "b1/normal/foto.jpg".into()];
    let report = CheckReport::new(&set, &with_b3([image(1, 1), image(2, 2), image(3, 3), image(4, 4)]));
    assert_eq!(kinds(&report), [FindingKind::PassedBy]);
}

#[test]
fn the_text_counts_many_findings_of_a_kind() {
    let lines: Vec<_> = (0..30).map(|index| ("x", "b", if index == 0 { Abnormal } else { Normal })).collect();
    let images: Vec<_> = (0..30).map(|_| unreadable()).collect();
    insta::assert_snapshot!("many_findings", CheckReport::new(&listing(&lines), &images));
}

/// A data set with almost every kind of finding.
fn bad_set() -> (Listing, Vec<Result<ImageFacts, ReadError>>) {
    let image_of = |width, height, levels| {
        Ok(ImageFacts::of(&Radiograph::new(width, height, levels).unwrap(), Digest::of(&[width as u8])))
    };
    let mut saturated = [[1007; 2500], [2000; 2500]].concat();
    saturated[4990..].fill(4095);
    let images = vec![
        unreadable(),
        image_of(50, 100, vec![7; 5000]),
        image_of(50, 100, saturated),
        image_of(60, 100, [[1007; 3000], [2000; 3000]].concat()),
        image(5, 5),
        image(5, 5),
        image(5, 6),
        image(8, 8),
        image(8, 8),
    ];
    let mut set = listing(&[
        ("unreadable.tif", "bundle 1", Normal),
        ("flat.tif", "bundle 1", Abnormal),
        ("saturated.tif", "bundle 2", Normal),
        ("odd size.tif", "bundle 2", Abnormal),
        ("one.tif", "bundle 3", Normal),
        ("same file.tif", "Bundle 3", Normal),
        ("same pixels.tif", "bundle 3", Abnormal),
        ("twice.tif", "bundle 4", Normal),
        ("twice too.tif", "bundle 4", Normal),
    ]);
    let experts = |labels: [Label; 3]| ["expert_a", "expert_b", "expert_c"].map(str::to_owned).into_iter().zip(labels);
    set.entries[2].experts = experts([Abnormal, Abnormal, Normal]).collect();
    set.entries[3].experts = experts([Abnormal, Abnormal, Abnormal]).collect();
    set.entries[4].experts = experts([Normal, Normal, Abnormal]).collect();
    let left_out = |path: &str, reason| LeftOut { path: path.to_owned(), reason };
    set.left_out = vec![
        left_out("bundle 1/normal/x/1.tif", LeftOutReason::Deeper),
        left_out("2.tif", LeftOutReason::NoBundle),
        left_out("bundle 1/3.tif", LeftOutReason::NoLabel),
        left_out(".5 mg/normal/4.tif", LeftOutReason::HiddenBundle),
        left_out("bundle 1/normal/5", LeftOutReason::OtherName),
        left_out("bundle 1/normal/6.png", LeftOutReason::OtherFormat("a PNG")),
        left_out("bundle 1/normal/7", LeftOutReason::DanglingLink { target: "../gone".into() }),
        left_out("bundle 1/normal/8", LeftOutReason::NotSearched),
    ];
    set.skipped = vec!["README".into(), "bundle 1/notes.txt".into()];
    set.two_forms = vec!["bundle 2".into()];
    (set, images)
}

#[test]
fn the_report_of_a_bad_set_is_as_in_the_snapshot() {
    let (set, images) = bad_set();
    insta::assert_snapshot!("report", CheckReport::new(&set, &images));
}

#[test]
fn the_report_of_a_good_set_is_as_in_the_snapshot() {
    let images = with_b3([image(1, 1), image(2, 2), image(3, 3), image(4, 4)]);
    insta::assert_snapshot!("report_without_findings", CheckReport::new(&listing(&GOOD), &images));
}

/// Six bundles of two images with levels around 1,000 and 2,000. The second image of the last bundle has half of its levels.
#[test]
fn an_image_outside_of_the_envelope_of_the_other_bundles_is_a_warning() {
    let names: Vec<(String, String)> = (0..12).map(|index| (index.to_string(), format!("b{}", index / 2))).collect();
    let label = |index: usize| if index.is_multiple_of(2) { Normal } else { Abnormal };
    let lines: Vec<_> =
        names.iter().enumerate().map(|(i, (image, bundle))| (&image[..], &bundle[..], label(i))).collect();
    let image = |index: usize| {
        let level = 2000 + 7 * (index as u16 % 5);
        let level = if index == 11 { level / 2 } else { level };
        let levels = (0..5000).map(|pixel| if pixel < 2500 { level / 2 } else { level }).collect();
        Ok(ImageFacts::of(&Radiograph::new(50, 100, levels).unwrap(), Digest::of(&[index as u8])))
    };
    let images: Vec<_> = (0..12).map(image).collect();
    let report = CheckReport::new(&listing(&lines), &images);
    let found: Vec<_> = report.findings.iter().filter(|finding| finding.kind == FindingKind::OutsideEnvelope).collect();
    let [finding] = &found[..] else { panic!("{:?}", report.findings) };
    assert_eq!((finding.severity, &finding.images[..]), (Severity::Warning, &["11".to_owned()][..]));
    assert!(finding.message.starts_with("11: found median level 501, expected "), "{}", finding.message);
    assert!(finding.message.contains("as in the images of the other bundles: check"), "{}", finding.message);
    let envelope = report.envelope.as_ref().unwrap();
    assert_eq!((envelope.images, envelope.outside, envelope.measures["level_p50"]), (12, 1, 1));
    assert_eq!((envelope.measures["height"], envelope.measures.len()), (0, 8));
    assert!(report.to_string().contains("1 of 12 images are outside of the envelope of the other bundles"));

    let two = CheckReport::new(&listing(&lines[..4]), &images[..4]);
    assert_eq!(two.envelope, None);
    assert!(two.to_string().contains("no envelope: it needs readable images of at least 3 bundles"));
}
