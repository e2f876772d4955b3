use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

/// The start of a TIFF.
const TIFF: &[u8] = b"II*\0\x08\0\0\0";

/// A folder with a normal and an abnormal image in each of two bundles, and `files`, each with its path and content.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let good =
        ["b1/normal/1.tif", "b1/abnormal/2.tif", "b2/normal/3.tif", "b2/abnormal/4.tif"].map(|path| (path, TIFF));
    for (path, content) in good.iter().chain(files) {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

/// Paths and reasons of the images in the folder that are left out.
fn left_out(root: &Path) -> Vec<(String, LeftOutReason)> {
    read(root).unwrap().left_out.into_iter().map(|left_out| (left_out.path, left_out.reason)).collect()
}

#[test]
fn each_image_in_another_place_is_left_out() {
    let root = folder(&[
        ("b1/normal/2026-11-28/late/5.TIF", TIFF),
        ("b1/normal/2026-11-28/6.tiff", TIFF),
        ("b1/normal/2026-11-28/notes.txt", b"-"),
        ("b1/7.tif", TIFF),
        ("8.Tiff", TIFF),
        ("b2/normal/9", b"MM\0*"),
        ("b2/normal/10.tif.bak", b"II+\0"),
        ("b2/normal/11.png", b"\x89PNG\r\n\x1a\n"),
        ("b2/normal/12.tif.gz", b"\x1f\x8b\x08"),
    ]);
    let expected = [
        ("8.Tiff", LeftOutReason::NoBundle),
        ("b1/7.tif", LeftOutReason::NoLabel),
        ("b1/normal/2026-11-28/6.tiff", LeftOutReason::Deeper),
        ("b1/normal/2026-11-28/late/5.TIF", LeftOutReason::Deeper),
        ("b2/normal/9", LeftOutReason::OtherName),
        ("b2/normal/10.tif.bak", LeftOutReason::OtherName),
        ("b2/normal/11.png", LeftOutReason::OtherFormat("a PNG")),
        ("b2/normal/12.tif.gz", LeftOutReason::OtherFormat("an archive")),
    ];
    assert_eq!(left_out(root.path()), expected.map(|(path, reason)| (path.to_owned(), reason)));
    assert_eq!(read(root.path()).unwrap().entries.len(), 4);
}

#[test]
fn files_that_are_not_images_are_skipped() {
    let root = folder(&[
        ("b1/normal/notes.txt", b"-"),
        ("b1/normal/.trash/5.tif", TIFF),
        ("b1/normal/._1.tif", b"\0\x05\x16\x07"),
        ("b1/normal/.6.tif", TIFF),
        ("b1/normal/thumbs/1.png", b"\x89PNG"),
        ("b1/set-up.jpg", b"\xff\xd8\xff\xe0"),
        ("README", b"-"),
        (".git/x", b"-"),
    ]);
    fs::create_dir(root.path().join("b2/normal/empty")).unwrap();
    let found = read(root.path()).unwrap();
    assert_eq!(found.left_out, []);
    let skipped =
        ["README", "b1/normal/.6.tif", "b1/normal/notes.txt", "b1/normal/thumbs", "b1/set-up.jpg", "b2/normal/empty"];
    assert_eq!(found.skipped, skipped);
}

#[test]
fn each_image_of_a_hidden_bundle_is_left_out() {
    let root = folder(&[
        (".5 mg/normal/5.tif", TIFF),
        (".5 mg/abnormal/6.TIFF", TIFF),
        (".5 mg/abnormal/._6.TIFF", b"\0\x05\x16\x07"),
        (".5 mg/notes.txt", b"-"),
        (".Trash/7.tif", TIFF),
        (".Trash/b3/normal/8.tif", TIFF),
    ]);
    let expected = [".5 mg/abnormal/6.TIFF", ".5 mg/normal/5.tif"];
    assert_eq!(left_out(root.path()), expected.map(|path| (path.to_owned(), LeftOutReason::HiddenBundle)));
    let error = super::super::Listing::read(root.path()).unwrap_err();
    assert!(matches!(&error, DatasetError::LeftOut { images: 4, left_out, .. } if left_out.len() == 2), "{error}");
}

#[test]
fn a_folder_without_permission_is_an_error_of_its_own() {
    use std::io::ErrorKind;
    let error = |kind: ErrorKind| DatasetError::io(Path::new("b1/normal"), kind.into());
    assert!(
        matches!(error(ErrorKind::PermissionDenied), DatasetError::Denied { path } if path == Path::new("b1/normal"))
    );
    assert!(matches!(error(ErrorKind::NotADirectory), DatasetError::Io { .. }));
}

#[test]
fn links_are_followed_and_dangling_ones_reported() {
    let root = folder(&[]);
    let path = |name: &str| root.path().join(name);
    symlink(path("b1/normal/1.tif"), path("b2/normal/link.tif")).unwrap();
    symlink(path("b1"), path("b3")).unwrap();
    for name in ["b4", "b1/label", "b1/normal/day", "b1/normal/5.tif"] {
        symlink("../gone", path(name)).unwrap();
    }
    symlink("6", path("b1/normal/6")).unwrap();
    fs::create_dir_all(path("b2/normal/day/deep")).unwrap();
    symlink("../..", path("b2/normal/day/deep/round")).unwrap();
    let found = read(root.path()).unwrap();
    // A dangling link with an image's name is listed as an image.
    let images: Vec<_> =
        found.entries.iter().map(|entry| entry.image.as_str()).filter(|image| !image.contains("b3")).collect();
    let good = ["b1/abnormal/2.tif", "b1/normal/1.tif", "b1/normal/5.tif", "b2/abnormal/4.tif", "b2/normal/3.tif"];
    assert_eq!(images, [&good[..], &["b2/normal/link.tif"]].concat());
    assert!(found.entries.iter().any(|entry| entry.image == "b3/normal/1.tif" && entry.bundle == "b3"));
    let dangling = |target: &str| LeftOutReason::DanglingLink { target: target.into() };
    let expected = [
        ("b1/label", dangling("../gone")),
        ("b1/normal/6", dangling("6")),
        ("b1/normal/day", dangling("../gone")),
        ("b2/normal/day/deep/round", LeftOutReason::NotSearched),
        ("b4", dangling("../gone")),
    ];
    let left_out = left_out(root.path()).into_iter().filter(|(path, _)| !path.starts_with("b3"));
    assert_eq!(left_out.collect::<Vec<_>>(), expected.map(|(path, reason)| (path.to_owned(), reason)));
}

#[test]
fn pipes_are_never_opened() {
    let root = folder(&[]);
    for name in ["b1/normal/pipe", "b1/normal/pipe.tif"] {
        assert!(Command::new("mkfifo").arg(root.path().join(name)).status().unwrap().success());
    }
    let found = read(root.path()).unwrap();
    assert_eq!((found.entries.len(), found.skipped.as_slice()), (5, ["b1/normal/pipe".to_owned()].as_slice()));
    let error = super::super::Dataset::open(root.path()).unwrap_err();
    let DatasetError::Images { first, source, .. } = error else { panic!("{error}") };
    assert_eq!((first.as_str(), source.kind()), ("b1/normal/pipe.tif", std::io::ErrorKind::InvalidInput));
}

#[test]
fn two_unicode_forms_of_a_name_are_one_bundle() {
    let (composed, decomposed) = ("B\u{fc}ndel 1", "Bu\u{308}ndel 1");
    let image = |bundle: &str, name: &str| format!("{bundle}/normal/{name}.tif");
    let root = folder(&[(&image(composed, "5"), TIFF), (&image(decomposed, "6"), TIFF)]);
    let found = read(root.path()).unwrap();
    let of_bundle: Vec<_> =
        found.entries.iter().filter(|entry| entry.bundle == composed).map(|entry| &*entry.image).collect();
    assert_eq!(of_bundle, [image(decomposed, "6"), image(composed, "5")]);
    assert_eq!(found.two_forms, [composed]);
    // If both folders hold the same file name, tables could not distinguish the two images.
    fs::write(root.path().join(image(decomposed, "5")), TIFF).unwrap();
    let error = super::super::Listing::survey(root.path()).unwrap_err();
    assert!(matches!(error, DatasetError::SameName { .. }) && error.to_string().contains(r"u\u{308}"), "{error}");
}

#[test]
fn a_data_set_that_would_lose_images_is_an_error() {
    let root = folder(&[("b1/normal/x/5.tif", TIFF), ("b1/normal/x/6.tif", TIFF)]);
    let error = super::super::Listing::read(root.path()).unwrap_err();
    let DatasetError::LeftOut { images: 4, left_out, .. } = error else { panic!("{error}") };
    let expected = ["b1/normal/x/5.tif", "b1/normal/x/6.tif"];
    let expected = expected.map(|path| LeftOut { path: path.into(), reason: LeftOutReason::Deeper });
    assert_eq!(left_out, expected);
}
