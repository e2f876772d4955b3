//! A small valid model for the tests.

use super::{
    Contents, DatasetCounts, DatasetRecord, Expectation, GoldenSource, Precision, RecipeRecord, TrainingRecord,
};
use crate::conversion::{Bounds, ConversionSpec, Method, Size};
use crate::digest::Digest;
use crate::engine::{LogitMap, WhitenedFeatures};
use crate::envelope::{Envelope, Measure};
use crate::policy::{Calibration, OperatingPoint, Policy};
use crate::radiograph::{self, Radiograph};
use std::collections::BTreeMap;

/// The conversion's size, with 2 x 3 cells.
const SIZE: Size = Size { height: 20, width: 36 };

/// A model with two networks of arbitrary bytes: reading a model does not parse networks.
pub(super) fn contents() -> Contents {
    let expected = |logit: f32| {
        BTreeMap::from([
            (Precision::F32, Expectation { logit, tolerance: 1e-3, map_tolerance: 1e-3, features_tolerance: 1e-3 }),
            (
                Precision::F16,
                Expectation { logit: logit + 0.001, tolerance: 0.02, map_tolerance: 0.05, features_tolerance: 0.05 },
            ),
        ])
    };
    Contents {
        created: "2026-11-23T09:30:00Z".to_owned(),
        networks: BTreeMap::from([(Precision::F32, vec![32; 1000]), (Precision::F16, vec![16; 500])]),
        conversion: ConversionSpec::new(Method::Global).with_bounds(Bounds::new(1700, 2800).unwrap()).with_size(SIZE),
        policy: Policy::without_reference(OperatingPoint::new([-1.0, 1.0], Calibration::IDENTITY).unwrap()),
        envelope: Envelope::new(Measure::possible).unwrap(),
        model_card: "# A model\n".to_owned(),
        training: TrainingRecord {
            trainer: "0.1.0".to_owned(),
            dataset: DatasetRecord {
                digest: Digest::of(b"data set"),
                counts: DatasetCounts { images: 714, bundles: 12, normal: 562, abnormal: 152 },
            },
            recipe: RecipeRecord { name: "paper".to_owned(), config: serde_json::json!({"epochs": 50}) },
            seed: u64::MAX,
            backbone: Digest::of(b"backbone"),
        },
        metrics: serde_json::json!({"balanced_accuracy": 0.8518}).as_object().unwrap().clone(),
        golden: [("01.tif", -2.0, 1700), ("02.tif", 2.0, 2800)]
            .map(|(name, logit, level)| GoldenSource {
                name: name.to_owned(),
                tiff: tiff(level),
                map: map(logit),
                features: WhitenedFeatures::new(std::array::from_fn(|index| (index % 2) as f32)),
                expected: expected(logit),
            })
            .to_vec(),
    }
}

/// A map of 2 x 3 cells whose shares sum to `logit` and have both signs.
pub(super) fn map(logit: f32) -> LogitMap {
    let shares = [0.5, -0.25, 0.0, 0.25, 0.25, 0.25].map(|fraction| fraction * logit);
    LogitMap::new(LogitMap::size_for(SIZE), shares.to_vec()).unwrap()
}

/// The bytes of a TIFF of 8 x 5 pixels of one level.
fn tiff(level: u16) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    radiograph::write(file.path(), &Radiograph::new(8, 5, vec![level; 40]).unwrap()).unwrap();
    std::fs::read(file.path()).unwrap()
}
