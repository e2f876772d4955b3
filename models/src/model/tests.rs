//! Tests models on disk: writing and reading them back, and each kind of damage.

mod manifest;

use super::samples::contents;
use super::*;
use crate::digest::Digest;
use crate::envelope::{Envelope, Measure, Measures, Range};
use crate::policy::{Calibration, OperatingPoint, Policy};
use crate::radiograph::{self, Radiograph};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A model in a temporary folder.
struct Written {
    _folder: tempfile::TempDir,
    path: PathBuf,
    digest: Digest,
}

fn written() -> Written {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let digest = write(&path, &contents(), Existing::Refuse).unwrap();
    Written { _folder: folder, path, digest }
}

fn open(path: &Path) -> Result<Model, ModelError> {
    Model::open(path, &ModelLimits::default())
}

fn manifest() -> Manifest {
    open(&written().path).unwrap().manifest().clone()
}

/// Applies `change` to the JSON of a valid manifest and parses the result.
fn parse_changed(change: impl FnOnce(&mut serde_json::Value)) -> Result<Manifest, ManifestError> {
    let mut json = serde_json::to_value(manifest()).unwrap();
    change(&mut json);
    Manifest::parse(&serde_json::to_vec(&json).unwrap(), &ModelLimits::default())
}

#[test]
fn what_is_written_is_read_back() {
    let (written, contents) = (written(), contents());
    let model = open(&written.path).unwrap();
    assert_eq!(model.digest(), written.digest);
    assert_eq!(model.digest(), Digest::of_file(&written.path.join(MANIFEST)).unwrap());
    assert_eq!(model.conversion(), &contents.conversion);
    assert_eq!(model.policy(), &contents.policy);
    assert_eq!(model.envelope(), &contents.envelope);
    assert_eq!(model.model_card(), contents.model_card);
    assert_eq!(model.manifest().training, contents.training);
    assert_eq!(model.manifest().metrics, contents.metrics);
    assert_eq!(model.manifest().created, contents.created);
    for precision in [Precision::F32, Precision::F16] {
        assert_eq!(model.network(precision), contents.networks.get(&precision).map(Vec::as_slice));
    }
    for (read, source) in model.golden().zip(&contents.golden) {
        assert_eq!(read.name(), format!("golden/{}", source.name));
        assert_eq!(read.expected(Precision::F16), source.expected.get(&Precision::F16).copied());
        assert_eq!((read.map(), read.features()), (&source.map, &source.features));
        let radiograph = read.radiograph(&radiograph::RadiographLimits::default()).unwrap();
        assert_eq!((radiograph.width(), radiograph.height()), (8, 5));
    }
    assert_eq!(model.golden().len(), 2);
}

#[test]
fn the_same_contents_give_the_same_digest() {
    assert_eq!(written().digest, written().digest);
}

#[test]
fn a_model_reached_by_a_link_is_read() {
    let written = written();
    let link = written.path.with_file_name("active");
    symlink(&written.path, &link).unwrap();
    assert_eq!(open(&link).unwrap().digest(), written.digest);
}

#[test]
fn each_member_altered_shortened_lengthened_or_missing_is_named() {
    for name in manifest().members.keys().map(MemberName::as_str) {
        let written = written();
        let path = written.path.join(name);
        let sound = fs::read(&path).unwrap();
        let mut altered = sound.clone();
        altered[sound.len() / 2] ^= 1;
        fs::write(&path, altered).unwrap();
        let error = open(&written.path).unwrap_err();
        assert!(matches!(&error, ModelError::Digest { path: at, .. } if *at == path), "{name}: {error}");

        for other in [&sound[..sound.len() - 1], &[&sound[..], b" "].concat(), b""] {
            fs::write(&path, other).unwrap();
            let error = open(&written.path).unwrap_err();
            assert!(matches!(&error, ModelError::Size { path: at, .. } if *at == path), "{name}: {error}");
        }

        fs::remove_file(&path).unwrap();
        let error = open(&written.path).unwrap_err();
        assert!(matches!(&error, ModelError::Missing { path: at } if *at == path), "{name}: {error}");

        fs::write(path.with_file_name("renamed"), &sound).unwrap();
        let error = open(&written.path).unwrap_err();
        assert!(matches!(&error, ModelError::Missing { path: at } if *at == path), "{name}: {error}");
    }
}

#[test]
fn an_unlisted_file_or_folder_is_named_but_the_reserved_signature_is_accepted() {
    let written = written();
    fs::write(written.path.join(SIGNATURE), b"of a later version").unwrap();
    assert_eq!(open(&written.path).unwrap().digest(), written.digest);
    for name in ["extra", "golden/extra.tif"] {
        let path = written.path.join(name);
        fs::write(&path, b"").unwrap();
        let error = open(&written.path).unwrap_err();
        assert!(matches!(&error, ModelError::Unlisted { path: at } if *at == path), "{error}");
        fs::remove_file(&path).unwrap();
    }
    let folder = written.path.join("empty");
    fs::create_dir(&folder).unwrap();
    let error = open(&written.path).unwrap_err();
    assert!(matches!(&error, ModelError::Unlisted { path: at } if *at == folder), "{error}");
}

#[test]
fn links_pipes_and_hidden_files_are_refused() {
    for name in [MANIFEST, "network.onnx", "golden/01.tif", SIGNATURE] {
        let written = written();
        let (path, away) = (written.path.join(name), written.path.with_file_name("away"));
        fs::write(&away, fs::read(&path).unwrap_or_default()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(&away, &path).unwrap();
        let error = open(&written.path).unwrap_err();
        assert!(matches!(&error, ModelError::Kind { path: at, .. } if *at == path), "{name}: {error}");
    }
    let written = written();
    let pipe = written.path.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let error = open(&written.path).unwrap_err();
    assert!(matches!(&error, ModelError::Kind { path: at, .. } if *at == pipe), "{error}");
    fs::remove_file(pipe).unwrap();
    fs::write(written.path.join(".hidden"), b"").unwrap();
    assert!(matches!(open(&written.path).unwrap_err(), ModelError::Name { .. }));
}

#[test]
fn a_path_that_is_not_a_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = open(folder.path()).unwrap_err();
    assert!(matches!(&empty, ModelError::Content { path, .. } if path.ends_with(MANIFEST)), "{empty}");
    fs::write(folder.path().join("run.json"), b"{}").unwrap();
    fs::write(folder.path().join("head.safetensors"), b"").unwrap();
    let run = open(folder.path()).unwrap_err();
    let texts = format!("empty folder: {empty}\ntraining run: {run}");
    insta::assert_snapshot!("not_a_model", texts.replace(&*folder.path().to_string_lossy(), "FOLDER"));
    assert!(matches!(open(&folder.path().join("nowhere")).unwrap_err(), ModelError::NoFolder { .. }));
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(open(&file).unwrap_err(), ModelError::Kind { .. }));
}

#[test]
fn each_limit_holds() {
    let written = written();
    let default = ModelLimits::default;
    // The model has 14 files and folders, at most 2 names deep. The larger network has 1000 bytes, and all members together
    // have more than 1600.
    for limits in [
        ModelLimits { max_manifest_bytes: 100, ..default() },
        ModelLimits { max_member_bytes: 999, ..default() },
        ModelLimits { max_total_bytes: 1600, ..default() },
        ModelLimits { max_entries: 13, ..default() },
        ModelLimits { max_depth: 1, ..default() },
    ] {
        assert!(Model::open(&written.path, &limits).is_err(), "{limits:?}");
    }
    let exact = ModelLimits { max_entries: 14, max_depth: 2, max_member_bytes: 1000, ..default() };
    assert!(Model::open(&written.path, &exact).is_ok());
    let long = vec![b' '; (default().max_manifest_bytes + 1) as usize];
    fs::write(written.path.join(MANIFEST), &long).unwrap();
    let error = open(&written.path).unwrap_err();
    assert!(matches!(error, ModelError::Manifest { source: ManifestError::TooLong { .. }, .. }), "{error}");
}

#[test]
fn contents_that_make_no_valid_model_are_refused_and_no_file_remains() {
    let error_after = |change: &dyn Fn(&mut Contents)| {
        let folder = tempfile::tempdir().unwrap();
        let mut contents = contents();
        change(&mut contents);
        let error = write(&folder.path().join("model"), &contents, Existing::Refuse).unwrap_err();
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "no file remains");
        error
    };
    let error = error_after(&|contents| contents.conversion.size = None);
    assert!(matches!(&error, ModelError::Content { path, .. } if path.ends_with(CONVERSION)), "{error}");
    insta::assert_snapshot!("conversion_without_size", error.to_string().rsplit('/').next().unwrap());
    let error = error_after(&|contents| contents.policy = policy([-2.0, 1.0], 1.0));
    assert!(matches!(error, ModelError::GoldenAtThreshold { precision: Precision::F32, .. }), "{error}");
    let error = error_after(&|contents| contents.policy = policy([-1.0, 1.0], 100.0));
    assert!(matches!(error, ModelError::Tolerance { precision: Precision::F32, .. }), "{error}");
    let error = error_after(&|contents| contents.created.clear());
    assert!(matches!(error, ModelError::Manifest { .. }), "{error}");
    let error = error_after(&|contents| contents.golden[1].name = "../01.tif".to_owned());
    assert!(matches!(error, ModelError::Name { .. }), "{error}");
    let error = error_after(&|contents| contents.golden[1].name = "01.tif".to_owned());
    assert!(
        matches!(&error, ModelError::Manifest { source: ManifestError::Field { field, .. }, .. }
            if field == "members.golden/01.tif"),
        "{error}"
    );
    let error = error_after(&|contents| contents.golden[1].name = "01.TIF".to_owned());
    assert!(
        matches!(&error, ModelError::Manifest { source: ManifestError::Field { field, .. }, .. }
            if field == "members.golden/01.map"),
        "{error}"
    );
}

fn policy(thresholds: [f64; 2], slope: f64) -> Policy {
    Policy::without_reference(OperatingPoint::new(thresholds, Calibration { slope, intercept: 0.0 }).unwrap())
}

#[test]
fn only_a_model_is_replaced_and_only_on_demand() {
    let written = written();
    let mut other = contents();
    other.model_card.push_str("second edition\n");
    let error = write(&written.path, &other, Existing::Refuse).unwrap_err();
    assert!(matches!(error, ModelError::Exists { .. }), "{error}");
    assert_eq!(open(&written.path).unwrap().digest(), written.digest);
    let digest = write(&written.path, &other, Existing::Replace).unwrap();
    assert_ne!(digest, written.digest);
    // A model of an earlier format is replaced too.
    let manifest = fs::read_to_string(written.path.join(MANIFEST)).unwrap();
    fs::write(written.path.join(MANIFEST), manifest.replace("\"format\": 2", "\"format\": 1")).unwrap();
    assert!(matches!(open(&written.path), Err(ModelError::Manifest { .. })));
    assert_eq!(write(&written.path, &other, Existing::Replace).unwrap(), digest);
    assert_eq!(open(&written.path).unwrap().digest(), digest);

    let precious = written.path.with_file_name("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("thesis.tex"), b"").unwrap();
    let error = write(&precious, &other, Existing::Replace).unwrap_err();
    assert!(matches!(error, ModelError::Exists { .. }), "{error}");
    assert!(precious.join("thesis.tex").exists());
    let names: Vec<_> = fs::read_dir(written.path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no temporary folder remains: {names:?}");
}

/// An envelope of images whose median level is 21,000 to 31,000.
fn bright_envelope() -> Envelope {
    let range = |measure| match measure {
        Measure::LevelP50 => Range { low: 21_000, high: 31_000 },
        _ => measure.possible(),
    };
    Envelope::new(range).unwrap()
}

#[test]
fn error_texts() {
    let path = || PathBuf::from("model/FILE");
    let digest = |text: &str| Digest::of(text.as_bytes());
    let errors = [
        ModelError::NoFolder { path: path() },
        ModelError::Io { path: path(), source: std::io::Error::other("SYSTEM'S ERROR") },
        ModelError::Kind { path: path(), found: "a symbolic link", expected: "a regular file or folder" },
        ModelError::Name { folder: "model".into(), source: MemberName::new(".hidden").unwrap_err() },
        ModelError::Limit { path: path(), what: "files and folders", found: 257, expected: 256 },
        ModelError::Manifest { path: path(), source: ManifestError::TooLong { found: 1 << 21, expected: 1 << 20 } },
        ModelError::Manifest { path: path(), source: ManifestError::Malformed { message: "PARSER'S ERROR".into() } },
        ModelError::Manifest { path: path(), source: ManifestError::Format { found: 1, expected: FORMAT } },
        ModelError::Manifest {
            path: path(),
            source: parse_changed(|json| json["networks"] = [0; 0].into()).unwrap_err(),
        },
        ModelError::Missing { path: path() },
        ModelError::Unlisted { path: path() },
        ModelError::Size { path: path(), found: 5, expected: 7 },
        ModelError::Digest { path: path(), found: digest("a"), expected: digest("b") },
        ModelError::Content { path: path(), message: "WHAT IS WRONG".into() },
        ModelError::GoldenAtThreshold {
            member: "golden/01.tif".into(),
            precision: Precision::F32,
            logit: 0.3,
            tolerance: 0.001,
        },
        ModelError::Tolerance {
            member: "golden/01.tif".into(),
            precision: Precision::F16,
            tolerance: 0.5,
            of_score: 0.125,
        },
        ModelError::MapTolerance {
            member: "golden/01.tif".into(),
            precision: Precision::F32,
            map_tolerance: 0.5,
            largest_share: 1.5,
        },
        ModelError::MapSum {
            member: "golden/01.tif".into(),
            precision: Precision::F32,
            sum: 0.25,
            logit: 0.5,
            tolerance: 0.01,
        },
        ModelError::FeaturesTolerance {
            member: "golden/01.tif".into(),
            precision: Precision::F16,
            features_tolerance: 2.5,
            largest_distance: 9.75,
        },
        ModelError::GoldenAtDistance {
            member: "golden/01.tif".into(),
            precision: Precision::F32,
            distance: 9.744_56,
            largest_distance: 9.75,
            tolerance: 0.01,
        },
        ModelError::Manifest {
            path: path(),
            source: parse_changed(|json| drop(json["members"].as_object_mut().unwrap().remove(ENVELOPE))).unwrap_err(),
        },
        ModelError::GoldenOutsideEnvelope {
            member: "golden/01.tif".into(),
            outside: bright_envelope().outside(&Measures::of(&Radiograph::new(1, 1, vec![812]).unwrap())).unwrap(),
        },
        ModelError::Exists { path: path(), hint: "" },
    ];
    let texts: String = errors.iter().map(|error| format!("{error}\n")).collect();
    insta::assert_snapshot!("errors", texts);
}
