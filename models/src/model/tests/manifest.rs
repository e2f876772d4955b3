//! Tests the rules of the manifest.

use super::super::{Expectation, Manifest, ManifestError, ModelLimits};
use super::{manifest, parse_changed};
use proptest::prelude::*;

#[test]
fn another_version_is_distinguished_from_a_malformed_manifest() {
    let error = parse_changed(|json| {
        json["format"] = 3.into();
        json["new in version 3"] = true.into();
    });
    assert_eq!(error.unwrap_err(), ManifestError::Format { found: 3, expected: 2 });
}

#[test]
fn each_invalid_field_is_named() {
    type Change = fn(&mut serde_json::Value);
    let changes: &[(&str, Change)] = &[
        ("product", |json| json["product"] = "other".into()),
        ("created", |json| json["created"] = "yesterday".into()),
        ("members.network.onnx", |json| json["members"]["network.onnx"]["bytes"] = u64::MAX.into()),
        ("members.manifest.sig", |json| json["members"]["manifest.sig"] = json["members"]["policy.json"].clone()),
        ("members.manifest.json", |json| json["members"]["manifest.json"] = json["members"]["policy.json"].clone()),
        ("members.extra", |json| json["members"]["extra"] = json["members"]["policy.json"].clone()),
        ("members", |json| drop(json["members"].as_object_mut().unwrap().remove("MODEL_CARD.md"))),
        ("networks", |json| json["networks"] = serde_json::json!([])),
        ("networks", |json| json["networks"][1]["precision"] = "f32".into()),
        ("networks", |json| json["networks"][0]["member"] = "absent.onnx".into()),
        ("members.network.f16.onnx", |json| json["networks"][0]["member"] = "network.f16.onnx".into()),
        ("golden", |json| json["golden"] = serde_json::json!([])),
        ("golden.golden/absent.tif", |json| json["golden"][0]["member"] = "golden/absent.tif".into()),
        ("golden.goldenest.tif", |json| json["golden"][0]["member"] = "goldenest.tif".into()),
        ("golden.golden/01.tif.map", |json| json["golden"][0]["map"] = "golden/absent.map".into()),
        ("golden.golden/01.tif.map", |json| json["golden"][0]["map"] = "policy.json".into()),
        ("members.golden/01.tif", |json| json["golden"][0]["map"] = "golden/01.tif".into()),
        ("members.golden/02.map", |json| json["golden"][0]["map"] = "golden/02.map".into()),
        ("golden.golden/01.tif.features", |json| json["golden"][0]["features"] = "golden/absent.features".into()),
        ("golden.golden/01.tif.features", |json| json["golden"][0]["features"] = "policy.json".into()),
        ("members.golden/01.map", |json| json["golden"][0]["features"] = "golden/01.map".into()),
        ("golden.golden/01.tif.f32.tolerance", |json| json["golden"][0]["expected"]["f32"]["tolerance"] = 0.into()),
        ("golden.golden/01.tif.f16.tolerance", |json| json["golden"][0]["expected"]["f16"]["tolerance"] = (-1).into()),
        ("golden.golden/01.tif.f32.map_tolerance", |json| {
            json["golden"][0]["expected"]["f32"]["map_tolerance"] = 0.into();
        }),
        ("golden.golden/01.tif.f16.features_tolerance", |json| {
            json["golden"][0]["expected"]["f16"]["features_tolerance"] = 0.into();
        }),
        ("golden.golden/01.tif", |json| {
            json["golden"][0]["expected"].as_object_mut().unwrap().remove("f16");
        }),
    ];
    for (name, change) in changes {
        match parse_changed(change).unwrap_err() {
            ManifestError::Field { field, .. } => assert_eq!(field, *name),
            error => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn manifests_with_forbidden_names_unknown_fields_or_duplicates_are_malformed() {
    let mut texts = String::new();
    let mut malformed = |bytes: &[u8], case: &str| match Manifest::parse(bytes, &ModelLimits::default()) {
        Err(error @ ManifestError::Malformed { .. }) => texts += &format!("{case}: {error}\n"),
        other => panic!("{case}: {other:?}"),
    };
    let text = String::from_utf8(manifest().to_bytes()).unwrap();
    for name in ["../escape", "/etc/passwd", "a/../../b", ".hidden"] {
        malformed(text.replace("\"network.onnx\"", &format!("\"{name}\"")).as_bytes(), name);
    }
    malformed(text.replacen("\"seed\"", "\"speed\"", 1).as_bytes(), "unknown field");
    malformed(text.replacen("\"format\": 2,", "\"format\": 2, \"format\": 2,", 1).as_bytes(), "duplicate field");
    malformed(text.replace("\"conversion.json\"", "\"policy.json\"").as_bytes(), "duplicate member");
    malformed(text.replacen("\"f16\": {", "\"f32\": {", 1).as_bytes(), "duplicate precision");
    malformed(text.replacen("\"map\": \"golden/01.map\",", "", 1).as_bytes(), "no map");
    malformed(text.replacen("\"map_tolerance\"", "\"map tolerance\"", 1).as_bytes(), "no map_tolerance");
    let without = text.replacen("\"features\": \"golden/01.features\",", "", 1);
    malformed(without.as_bytes(), "no features");
    malformed("[".repeat(100_000).as_bytes(), "deep nesting");
    malformed(b"", "no bytes");
    insta::assert_snapshot!("malformed_manifests", texts);
}

#[test]
fn only_times_by_rfc_3339_are_accepted() {
    let parse = |time: &str| parse_changed(|json| json["created"] = time.into());
    for time in ["2026-11-23T09:30:00Z", "2026-11-23T09:30:60.125+01:00", "1999-12-31T23:59:59-23:59"] {
        assert!(parse(time).is_ok(), "{time}");
    }
    for time in [
        "2026-11-23",
        "2026-11-23T09:30:00",
        "2026-13-23T09:30:00Z",
        "2026-00-23T09:30:00Z",
        "2026-11-23T24:30:00Z",
        "2026-11-23T09:30:00.Z",
        "2026-11-23T09:30:00+24:00",
        "2026-11-23 09:30:00Z",
        "2026-11-23T09:30:00Zé",
        "é026-11-23T09:30:00Z",
    ] {
        assert!(parse(time).is_err(), "{time}");
    }
}

#[test]
fn an_expectation_agrees_within_its_tolerance_and_never_with_a_nan() {
    let expectation = Expectation { logit: 0.5, tolerance: 0.125, map_tolerance: 0.25, features_tolerance: 0.5 };
    assert!([0.375, 0.5, 0.625].into_iter().all(|logit| expectation.agrees(logit)));
    assert!([0.374, 0.626, f32::NAN, f32::INFINITY].into_iter().all(|logit| !expectation.agrees(logit)));
    assert!([0.0, 0.25].into_iter().all(|difference| expectation.map_agrees(difference)));
    assert!([0.251, f32::NAN, f32::INFINITY].into_iter().all(|difference| !expectation.map_agrees(difference)));
    assert!([0.0, 0.5].into_iter().all(|distance| expectation.features_agree(distance)));
    assert!([0.501, f64::NAN, f64::INFINITY].into_iter().all(|distance| !expectation.features_agree(distance)));
}

proptest! {
    #[test]
    fn a_mutated_manifest_is_refused_or_is_read_back_unchanged(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..8),
    ) {
        thread_local!(static SOUND: Vec<u8> = manifest().to_bytes());
        let mut bytes = SOUND.with(Clone::clone);
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        // A mutation of a text such as the trainer's version gives a valid manifest.
        if let Ok(manifest) = Manifest::parse(&bytes, &ModelLimits::default()) {
            prop_assert_eq!(Manifest::parse(&manifest.to_bytes(), &ModelLimits::default()).unwrap(), manifest);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes: Vec<u8>) {
        prop_assert!(Manifest::parse(&bytes, &ModelLimits::default()).is_err());
    }
}
