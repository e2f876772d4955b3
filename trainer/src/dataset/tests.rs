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

/// Line, column and text of the error for a manifest with the content `text`. The folder's path is replaced by FOLDER.
fn manifest_error(text: &str) -> (u64, String, String) {
    let root = folder(&[("manifest.csv", text)]);
    let error = Listing::read(root.path()).unwrap_err();
    let message = error.to_string().replace(root.path().to_str().unwrap(), "FOLDER");
    let DatasetError::Manifest { line, column, .. } = error else { panic!("{text:?}: {error}") };
    (line, column, message)
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
fn the_digest_depends_on_content_but_not_on_the_order_of_lines() {
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
    // Computed with Python's hashlib from the documented fields. With another digest, `crossval` could not continue earlier
    // results.
    assert_eq!(first.to_string(), "e916358a106ee9d034895154450830d6154211a2c73970db35e1572e734a9b58");
}

#[test]
fn a_selection_of_parts_has_its_own_digest_in_any_order() {
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
fn random_bundles_have_the_sizes_of_the_real_ones_and_depend_on_the_seed() {
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
    assert!(moved > 3, "only {moved} of ten parts of the small bundle moved to the large one");
    assert_ne!(random.digest, dataset.digest);
    assert_eq!(random.digest, dataset.with_random_bundles(1).digest);
    assert_ne!(random.digest, dataset.with_random_bundles(2).digest);
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_accepted() {
    let root = folder(&[("manifest.csv", "\u{feff}image,bundle,label\r\na.tif,1,normal\r\n")]);
    assert_eq!(Listing::read(root.path()).unwrap().entries[0].image, "a.tif");
}

#[test]
fn manifest_errors_contain_line_column_found_and_expected() {
    let mut messages = String::new();
    for (text, line, column) in [
        ("", 1, "image"),
        ("image,label\na,normal\n", 1, "bundle"),
        ("image;bundle;label\n", 1, "image"),
        ("image,bundle,label,label\n", 1, "label"),
        ("image,bundle,label\n", 1, "image"),
        ("image,bundle,label\na,1\n", 2, "*"),
        ("image,bundle,label\na,1,normal\n\nb,1,Good\n", 4, "label"),
        ("image,bundle,label\r\na,1,normal\r\n\r\nb,1,Good\r\n", 4, "label"),
        ("image,bundle,label,x\na,1,normal,\"1\n2\"\nb,1,Good,\n", 4, "label"),
        ("image,bundle,label\na,1,\n", 2, "label"),
        ("image,bundle,label\na,,normal\n", 2, "bundle"),
        ("image,bundle,label\n,1,normal\n", 2, "image"),
        ("image,bundle,label\n../a.tif,1,normal\n", 2, "image"),
        ("image,bundle,label\na,1,normal\nb,1,normal\na,2,normal\n", 4, "image"),
        ("image,bundle,label,anomalies\na,1,normal,x;;y\n", 2, "anomalies"),
        ("image,bundle,label,expert_1\na,1,normal,maybe\n", 2, "expert_1"),
    ] {
        let error = manifest_error(text);
        assert_eq!((error.0, error.1.as_str()), (line, column), "{text:?}: {}", error.2);
        messages += &format!("{text:?}\n  {}\n", error.2);
    }
    insta::assert_snapshot!("manifest_errors", messages);
}

#[test]
fn paths_that_leave_the_folder_or_are_not_in_normal_form_are_refused() {
    for image in ["/etc/passwd", "../a.tif", "a/../b.tif", "./a.tif", "a//b.tif", "a/./b.tif", "a\\b.tif", "a/"] {
        let (line, column, message) = manifest_error(&format!("image,bundle,label\n{image},1,normal\n"));
        assert!((line, column.as_str()) == (2, "image") && message.contains(image), "{message}");
    }
}

#[test]
fn a_manifest_that_is_not_utf8_is_an_error_with_line_and_column() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("manifest.csv"), b"image,bundle,label\na,\xff,normal\n").unwrap();
    let error = Listing::read(root.path()).unwrap_err();
    assert!(matches!(&error, DatasetError::Manifest { line: 2, column, .. } if column == "#2"), "{error}");
}

#[test]
fn the_texts_of_errors_are_as_in_the_snapshot() {
    let path = || PathBuf::from("data");
    let images = |count: usize| (1..=count).map(|number| format!("b1/normal/{number}.tif"));
    let left_out = |count: usize| {
        images(count)
            .map(|path| LeftOut { path, reason: LeftOutReason::DanglingLink { target: "../x".into() } })
            .collect()
    };
    let io = || std::io::Error::other("the system's error");
    let unreadable = |others: usize| DatasetError::Images {
        root: path(),
        images: 20,
        first: "b1/normal/0.tif".into(),
        source: io(),
        others: images(others).collect(),
    };
    let errors = [
        DatasetError::Io { path: path(), source: io() },
        DatasetError::Denied { path: path() },
        DatasetError::Layout { path: path(), found: "a folder `defect`".into(), expected: folders::EXPECTED.into() },
        DatasetError::Manifest {
            path: "data/manifest.csv".into(),
            line: 2,
            column: "label".into(),
            found: "`fine`".into(),
            expected: "`normal` or `abnormal`".into(),
        },
        DatasetError::SameName { root: path(), first: "\u{fc}.tif".into(), second: "u\u{308}.tif".into() },
        DatasetError::LeftOut { root: path(), images: 20, left_out: left_out(1) },
        DatasetError::LeftOut { root: path(), images: 20, left_out: left_out(7) },
        unreadable(0),
        unreadable(1),
        unreadable(7),
    ];
    insta::assert_snapshot!("errors", errors.map(|error| format!("{error}\n")).concat());
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
    assert_eq!(listing.skipped, ["README", "b2/abnormal/notes.txt"]);
}

#[test]
fn folders_with_other_names_are_refused_not_skipped() {
    let root = folder(&[("b1/normal/1.tif", ""), ("b1/defect/2.tif", "")]);
    let error = Listing::read(root.path()).unwrap_err();
    let DatasetError::Layout { path, found, .. } = error else { panic!("{error}") };
    assert!(path.ends_with("b1") && found.contains("`defect`"), "{} {found}", path.display());
}

#[test]
fn an_empty_folder_a_missing_one_and_a_file_are_errors() {
    let root = folder(&[("file", "")]);
    let mut messages = String::new();
    for path in [root.path().to_owned(), root.path().join("absent"), root.path().join("file")] {
        let error = Dataset::open(&path).unwrap_err();
        assert!(matches!(&error, DatasetError::Layout { path: found, .. } if *found == path), "{error}");
        messages += &format!("{error}\n").replace(root.path().to_str().unwrap(), "FOLDER");
    }
    insta::assert_snapshot!("no_data_set", messages);
}

#[test]
fn missing_images_are_all_in_the_error() {
    let root = folder(&[("manifest.csv", MANIFEST), ("im/2.tif", "two")]);
    let error = Dataset::open(root.path()).unwrap_err();
    let DatasetError::Images { images, first, source, others, .. } = error else { panic!("{error}") };
    assert_eq!((images, first.as_str(), source.kind()), (3, "im/1.tif", std::io::ErrorKind::NotFound));
    assert_eq!(others, ["im/3.tif"]);
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
    // A data set whose names on disk have the manifest's Unicode form has the same digest.
    let as_written = [format!("{composed}/1.tif"), format!("{decomposed}/2.tif")];
    let as_written = folder(&[("manifest.csv", &manifest), (&as_written[0], "one"), (&as_written[1], "two")]);
    assert_eq!(Dataset::open(as_written.path()).unwrap().digest, dataset.digest);
}

#[test]
fn a_manifest_that_lists_one_image_in_two_unicode_forms_is_an_error() {
    let (line, column, message) = manifest_error("image,bundle,label\n\u{fc}.tif,1,normal\nu\u{308}.tif,2,normal\n");
    assert_eq!((line, column.as_str()), (3, "image"), "{message}");
}

#[test]
fn a_dangling_link_as_manifest_is_an_error() {
    let root = folder(&[("b1/normal/1.tif", "")]);
    std::os::unix::fs::symlink("gone.csv", root.path().join("manifest.csv")).unwrap();
    assert!(matches!(Listing::read(root.path()), Err(DatasetError::Io { .. })));
}

#[test]
fn a_dangling_link_is_reported_with_its_target() {
    let root = folder(&[("b1/normal/1.tif", "one")]);
    std::os::unix::fs::symlink("../.git/annex/x", root.path().join("b1/normal/2.tif")).unwrap();
    let error = Dataset::open(root.path()).unwrap_err();
    let DatasetError::Images { images: 2, first, source, others, .. } = error else { panic!("{error}") };
    assert_eq!((first.as_str(), others.len(), source.kind()), ("b1/normal/2.tif", 0, std::io::ErrorKind::NotFound));
    assert!(source.to_string().contains("../.git/annex/x"), "{source}");
}
