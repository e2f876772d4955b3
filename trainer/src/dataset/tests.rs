use super::*;
use std::fs;

/// A folder with `files`, each with its path and content.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

/// The error that a manifest of `text` gives, without the folder's name.
fn manifest_error(text: &str) -> String {
    let root = folder(&[("manifest.csv", text)]);
    let error = Listing::read(root.path()).unwrap_err().to_string();
    error.replace(root.path().join("manifest.csv").to_str().unwrap(), "M")
}

const MANIFEST: &str = "\
operator,image,bundle,label,anomalies,expert_b,expert_a
Kim,im/2.tif,bundle 10,normal,,normal,normal
Kim,im/1.tif,bundle 2,abnormal, bubbles ; lines,abnormal,
\"Kim, Lee\",im/3.tif,bundle 10, normal,,normal,abnormal
";

#[test]
fn a_manifest_is_read_in_its_order() {
    let root = folder(&[("manifest.csv", MANIFEST), ("im/1.tif", "one"), ("im/2.tif", "two"), ("im/3.tif", "three")]);
    let dataset = Dataset::open(root.path()).unwrap();
    let images: Vec<_> = dataset.parts.iter().map(|part| part.image.as_str()).collect();
    assert_eq!(images, ["im/2.tif", "im/1.tif", "im/3.tif"]);
    let part = &dataset.parts[1];
    assert_eq!(part.path, root.path().join("im/1.tif"));
    assert_eq!(part.digest, Digest::of(b"one"));
    assert_eq!(part.anomalies, ["bubbles", "lines"]);
    assert_eq!(part.experts, [("expert_b".to_owned(), Label::Abnormal)]);
    assert_eq!(dataset.labels(), [Label::Normal, Label::Abnormal, Label::Normal]);
    let bundles = dataset.bundles();
    assert_eq!(bundles.iter().map(|bundle| bundle.name.as_str()).collect::<Vec<_>>(), ["bundle 2", "bundle 10"]);
    assert_eq!((bundles[1].parts.as_slice(), bundles[1].normal, bundles[1].abnormal), ([0, 2].as_slice(), 2, 0));
    assert!(bundles[1].has_one_class());
}

#[test]
fn the_digest_follows_content_but_not_the_order_of_lines() {
    let images = [("im/1.tif", "one"), ("im/2.tif", "two"), ("im/3.tif", "three")];
    let digest = |manifest: &str, images: &[(&str, &str)]| {
        let root = folder(images);
        fs::write(root.path().join("manifest.csv"), manifest).unwrap();
        Dataset::open(root.path()).unwrap().digest
    };
    let first = digest(MANIFEST, &images);
    let mut lines: Vec<_> = MANIFEST.lines().collect();
    lines.swap(1, 3);
    assert_eq!(digest(&lines.join("\n"), &images), first);
    assert_ne!(digest(&MANIFEST.replace("bundle 2", "bundle 3"), &images), first);
    assert_ne!(digest(&MANIFEST.replace(", normal,", ",abnormal,"), &images), first);
    assert_ne!(digest(MANIFEST, &[("im/1.tif", "one"), ("im/2.tif", "two"), ("im/3.tif", "3")]), first);
    // Computed with Python's hashlib from the documented fields; a change would invalidate results and caches.
    assert_eq!(first.to_string(), "e916358a106ee9d034895154450830d6154211a2c73970db35e1572e734a9b58");
}

#[test]
fn some_of_the_parts_have_a_digest_of_their_own_in_any_order() {
    let root = folder(&[("manifest.csv", MANIFEST), ("im/1.tif", "one"), ("im/2.tif", "two"), ("im/3.tif", "three")]);
    let dataset = Dataset::open(root.path()).unwrap();
    let select = |indices: &[usize]| {
        Dataset::from_parts(dataset.root.clone(), indices.iter().map(|&index| dataset.parts[index].clone()).collect())
    };
    let selection = select(&[2, 1]);
    assert_ne!(selection.digest, dataset.digest);
    assert_eq!(select(&[2, 0, 1]).digest, dataset.digest);
    let summary = selection.summary();
    assert_eq!((summary.images, summary.bundles, summary.normal, summary.abnormal), (2, 2, 1, 1));
}

#[test]
fn random_bundles_have_the_sizes_of_the_real_ones_and_follow_the_seed() {
    let parts: Vec<String> =
        (0..60).map(|part| format!("{part}.tif,{},normal", if part < 50 { "a" } else { "b" })).collect();
    let names: Vec<String> = (0..60).map(|part| format!("{part}.tif")).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    let manifest = format!("image,bundle,label\n{}\n", parts.join("\n"));
    files.push(("manifest.csv", &manifest));
    let root = folder(&files);
    let dataset = Dataset::open(root.path()).unwrap();
    let random = dataset.with_random_bundles(1);
    let sizes: Vec<_> = random.bundles().into_iter().map(|bundle| (bundle.name, bundle.parts.len())).collect();
    assert_eq!(sizes, [("random 1".to_owned(), 50), ("random 2".to_owned(), 10)]);
    let moved = random.parts[50..].iter().filter(|part| part.bundle == "random 1").count();
    assert!(moved > 3, "{moved} of ten parts of the small bundle went to the large one");
    assert_ne!(random.digest, dataset.digest);
    assert_eq!(random.digest, dataset.with_random_bundles(1).digest);
    assert_ne!(random.digest, dataset.with_random_bundles(2).digest);
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_taken() {
    let root = folder(&[("manifest.csv", "\u{feff}image,bundle,label\r\na.tif,1,normal\r\n")]);
    assert_eq!(Listing::read(root.path()).unwrap().entries[0].image, "a.tif");
}

#[test]
fn manifest_errors_name_line_column_found_and_expected() {
    for (text, expected) in [
        ("", "M, line 1, column `image`: found the columns ``, expected at least `image`, `bundle` and `label`"),
        ("image,label\na,normal\n", "M, line 1, column `bundle`: found the columns `image,label`, expected at least"),
        (
            "image;bundle;label\n",
            "M, line 1, column `image`: found the columns `image;bundle;label`, expected columns sep",
        ),
        ("image,bundle,label,label\n", "M, line 1, column `label`: found the name again as column 4, expected each"),
        ("image,bundle,label\n", "M, line 1, column `image`: found no images, expected at least one line"),
        ("image,bundle,label\na,1\n", "M, line 2, column `*`: found 2 columns, expected 3 columns, as in line 1"),
        ("image,bundle,label\na,1,normal\n\nb,1,Good\n", "M, line 4, column `label`: found `Good`, expected `normal`"),
        ("image,bundle,label\r\na,1,normal\r\n\r\nb,1,Good\r\n", "M, line 4, column `label`: found `Good`, expected"),
        ("image,bundle,label,x\na,1,normal,\"1\n2\"\nb,1,Good,\n", "M, line 4, column `label`: found `Good`, expected"),
        ("image,bundle,label\na,1,\n", "M, line 2, column `label`: found ``, expected `normal` or `abnormal`"),
        ("image,bundle,label\na,,normal\n", "M, line 2, column `bundle`: found nothing, expected the bundle's name"),
        ("image,bundle,label\n,1,normal\n", "M, line 2, column `image`: found nothing, expected a path"),
        ("image,bundle,label\na,1,normal\nb,1,normal\na,2,normal\n", "M, line 4, column `image`: found `a` a second"),
        ("image,bundle,label,anomalies\na,1,normal,x;;y\n", "M, line 2, column `anomalies`: found `x;;y`, expected"),
        ("image,bundle,label,expert_1\na,1,normal,maybe\n", "M, line 2, column `expert_1`: found `maybe`, expected"),
    ] {
        let error = manifest_error(text);
        assert!(error.starts_with(expected), "{text:?}\n  gives {error}");
    }
}

#[test]
fn paths_that_leave_the_folder_or_have_two_spellings_are_refused() {
    for image in ["/etc/passwd", "../a.tif", "a/../b.tif", "./a.tif", "a//b.tif", "a/./b.tif", "a\\b.tif", "a/"] {
        let error = manifest_error(&format!("image,bundle,label\n{image},1,normal\n"));
        assert!(error.contains("line 2, column `image`") && error.contains("relative"), "{image}: {error}");
    }
}

#[test]
fn a_manifest_that_is_no_utf8_is_an_error_with_its_line() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("manifest.csv"), b"image,bundle,label\na,\xff,normal\n").unwrap();
    let error = Listing::read(root.path()).unwrap_err().to_string();
    assert!(error.contains("line 2, column `#2`: found bytes that are no UTF-8"), "{error}");
}

#[test]
fn folders_are_read_in_natural_order() {
    let root = folder(&[
        ("b10/normal/1.tif", ""),
        ("b2/abnormal/10.tif", ""),
        ("b2/abnormal/9.TIFF", ""),
        ("b2/abnormal/notes.txt", ""),
        ("b2/normal/a.tif", ""),
        (".cache/x/1.tif", ""),
        ("README", ""),
    ]);
    let listing = Listing::read(root.path()).unwrap();
    let images: Vec<_> = listing.entries.iter().map(|entry| entry.image.as_str()).collect();
    assert_eq!(images, ["b2/abnormal/9.TIFF", "b2/abnormal/10.tif", "b2/normal/a.tif", "b10/normal/1.tif"]);
    assert_eq!(listing.entries[0].label, Label::Abnormal);
    assert_eq!(listing.passed_by, ["README", "b2/abnormal/notes.txt"]);
}

#[test]
fn folders_of_other_names_are_refused_rather_than_passed_by() {
    let root = folder(&[("b1/normal/1.tif", ""), ("b1/defect/2.tif", "")]);
    let error = Listing::read(root.path()).unwrap_err().to_string();
    assert!(error.contains("b1: found a folder `defect`, expected"), "{error}");
}

#[test]
fn an_empty_folder_a_missing_one_and_a_file_are_errors() {
    let root = folder(&[("file", "")]);
    let error = Dataset::open(root.path()).unwrap_err().to_string();
    assert!(error.contains("found neither, expected manifest.csv or folders"), "{error}");
    let error = Dataset::open(&root.path().join("absent")).unwrap_err().to_string();
    assert!(error.contains("absent: found no such folder, expected a data set's folder"), "{error}");
    assert!(matches!(Dataset::open(&root.path().join("file")), Err(DatasetError::Layout { .. })));
}

#[test]
fn missing_images_are_counted_and_the_first_is_named() {
    let root = folder(&[("manifest.csv", MANIFEST), ("im/2.tif", "two")]);
    let error = Dataset::open(root.path()).unwrap_err().to_string();
    assert!(error.contains("2 of 3 images can't be read, the first is im/1.tif: No such file"), "{error}");
}

#[test]
fn bundles_and_images_of_a_manifest_are_found_in_either_unicode_form() {
    let (composed, decomposed) = ("B\u{fc}ndel", "Bu\u{308}ndel");
    let manifest =
        format!("image,bundle,label\n{composed}/1.tif,{composed},normal\n{decomposed}/2.tif,{decomposed},normal\n");
    let (one, two) = (format!("{decomposed}/1.tif"), format!("{composed}/2.tif"));
    let on_disk = folder(&[("manifest.csv", &manifest), (&one, "one"), (&two, "two")]);
    let listing = Listing::read(on_disk.path()).unwrap();
    assert_eq!(listing.two_forms, [composed]);
    let dataset = Dataset::of_listing(listing).unwrap();
    assert_eq!(dataset.parts[0].image, one);
    assert_eq!(dataset.bundles().len(), 1);
    // The same set on a disk that has the names as the manifest writes them.
    let as_written = [format!("{composed}/1.tif"), format!("{decomposed}/2.tif")];
    let as_written = folder(&[("manifest.csv", &manifest), (&as_written[0], "one"), (&as_written[1], "two")]);
    assert_eq!(Dataset::open(as_written.path()).unwrap().digest, dataset.digest);
}

#[test]
fn the_same_image_in_two_unicode_forms_is_listed_twice() {
    let error = manifest_error("image,bundle,label\n\u{fc}.tif,1,normal\nu\u{308}.tif,2,normal\n");
    assert!(error.starts_with("M, line 3, column `image`: found ") && error.contains("in line 2 already"), "{error}");
}

#[test]
fn a_link_to_a_manifest_that_is_gone_is_an_error() {
    let root = folder(&[("b1/normal/1.tif", "")]);
    std::os::unix::fs::symlink("gone.csv", root.path().join("manifest.csv")).unwrap();
    assert!(matches!(Listing::read(root.path()), Err(DatasetError::Io { .. })));
}

#[test]
fn a_link_to_nothing_is_named_with_where_it_leads() {
    let root = folder(&[("b1/normal/1.tif", "one")]);
    std::os::unix::fs::symlink("../.git/annex/x", root.path().join("b1/normal/2.tif")).unwrap();
    let error = Dataset::open(root.path()).unwrap_err();
    let expected =
        "1 of 2 images can't be read, the first is b1/normal/2.tif: found a link to ../.git/annex/x, which does not";
    assert!(error.to_string().contains(expected), "{error}");
}
