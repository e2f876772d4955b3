//! Reads and writes `results.json` and `predictions.csv`. The files are written atomically, and every number is read back
//! exactly as it was.

use super::{Prediction, Results};
use crate::files;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the results file.
pub const RESULTS_FILE: &str = "results.json";
/// Name of the predictions file.
pub const PREDICTIONS_FILE: &str = "predictions.csv";
/// The columns of `predictions.csv`.
const PREDICTION_COLUMNS: [&str; 10] =
    ["image", "bundle", "label", "method", "score", "reference", "draw", "raw_logit", "offset", "distance"];

/// Error of reading or writing a file of the results.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The file can't be read or written.
    #[error("{} can't be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file has other content than expected.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The content found, or the parser's error with its position in the file.
        found: String,
        /// The content expected.
        expected: &'static str,
    },
}

impl Results {
    /// Writes `results.json` into `folder`.
    ///
    /// # Errors
    /// [`ResultsError::Io`]: the file can't be written.
    pub fn write(&self, folder: &Path) -> Result<(), ResultsError> {
        let path = folder.join(RESULTS_FILE);
        serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .and_then(|mut json| {
                json.push(b'\n');
                files::write(&path, &json)
            })
            .map_err(|source| ResultsError::Io { path, source })
    }

    /// Reads `results.json` from `folder`.
    ///
    /// # Errors
    /// [`ResultsError`]: the file can't be read or is malformed.
    pub fn read(folder: &Path) -> Result<Self, ResultsError> {
        let path = folder.join(RESULTS_FILE);
        match std::fs::read(&path) {
            Err(source) => Err(ResultsError::Io { path, source }),
            Ok(json) => serde_json::from_slice(&json).map_err(|error| ResultsError::Malformed {
                path,
                found: error.to_string(),
                expected: "the results of `crossval`",
            }),
        }
    }
}

impl Prediction {
    /// Writes `predictions.csv` into `folder`. Scores have the fewest digits that give the same number when read back.
    ///
    /// # Errors
    /// [`ResultsError::Io`]: the file can't be written.
    pub fn write_all(predictions: &[Self], folder: &Path) -> Result<(), ResultsError> {
        let path = folder.join(PREDICTIONS_FILE);
        // The header is written explicitly. By itself, the CSV writer writes the header with the first row, so a file without rows
        // would lack the header.
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        writer
            .write_record(PREDICTION_COLUMNS)
            .and_then(|()| predictions.iter().try_for_each(|row| writer.serialize(row)))
            .map_err(io::Error::from)
            .and_then(|()| writer.into_inner().map_err(|error| io::Error::other(error.to_string())))
            .and_then(|bytes| files::write(&path, &bytes))
            .map_err(|source| ResultsError::Io { path, source })
    }

    /// Reads `predictions.csv` from `folder`.
    ///
    /// # Errors
    /// [`ResultsError`]: the file can't be read, or is malformed. The error for a malformed row names its line number.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, ResultsError> {
        let path = folder.join(PREDICTIONS_FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(ResultsError::Io { path, source }),
        };
        let malformed = |found: String, expected| ResultsError::Malformed { path: path.clone(), found, expected };
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let header = "the columns image,bundle,label,method,score,reference,draw,raw_logit,offset,distance; run crossval again with \
                      this version";
        let found = reader.headers().map_err(|error| malformed(error.to_string(), header))?;
        if *found != PREDICTION_COLUMNS[..] {
            return Err(malformed(format!("the columns {}", found.iter().collect::<Vec<_>>().join(",")), header));
        }
        reader
            .deserialize()
            .collect::<Result<_, _>>()
            .map_err(|error| malformed(error.to_string(), "an image, a bundle, normal or abnormal, a method, a score, reference parts, a draw, a logit, an offset, a distance"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label;
    use crate::results::{BundleResults, Confusion, DatasetSummary, MethodResults, Overall};
    use cellgate_models::digest::Digest;
    use proptest::prelude::*;

    fn prediction(score: f64, bundle: &str) -> Prediction {
        Prediction {
            image: format!("{bundle}/a,\"b\".tif"),
            bundle: bundle.into(),
            label: Label::Abnormal,
            method: "global".into(),
            score,
            reference: Prediction::NO_REFERENCE.into(),
            draw: 0,
            raw_logit: -1.5,
            offset: 0.0,
            distance: 2.5,
        }
    }

    fn results(figure: f64) -> Results {
        let confusion = Confusion { tp: 1, fp: 2, tn: 3, fn_: 4 };
        Results {
            dataset: DatasetSummary { images: 10, bundles: 1, normal: 5, abnormal: 5, digest: Digest::of(b"x") },
            config: serde_json::json!({"seed": 1}),
            methods: vec![MethodResults {
                method: "global".into(),
                overall: Overall {
                    confusion,
                    balanced_accuracy: Some(figure),
                    interval95: Some([figure, 1.0]),
                    auroc: None,
                    auroc_interval95: None,
                },
                bundles: vec![BundleResults {
                    bundle: "b1".into(),
                    confusion,
                    balanced_accuracy: None,
                    threshold: figure,
                }],
                references: Vec::new(),
                unlike_training: None,
                left_out_kinds: Vec::new(),
            }],
        }
    }

    #[test]
    fn results_json_has_the_documented_names() {
        let folder = tempfile::tempdir().unwrap();
        results(0.5).write(folder.path()).unwrap();
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("results.json")).unwrap()).unwrap();
        assert_eq!(json["dataset"]["abnormal"], 5);
        let overall = &json["methods"][0]["overall"];
        for (name, expected) in [("tp", 1.0), ("fp", 2.0), ("tn", 3.0), ("fn", 4.0), ("balanced_accuracy", 0.5)] {
            assert_eq!(overall[name].as_f64(), Some(expected), "{name}");
        }
        assert_eq!(overall["interval95"], serde_json::json!([0.5, 1.0]));
        assert!(overall["auroc"].is_null());
        let bundle = &json["methods"][0]["bundles"][0];
        assert!(bundle["bundle"] == "b1" && bundle["balanced_accuracy"].is_null() && bundle["fn"] == 4);
    }

    #[test]
    fn predictions_csv_has_the_documented_header() {
        let folder = tempfile::tempdir().unwrap();
        Prediction::write_all(&[prediction(0.25, "bundle 1")], folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("predictions.csv")).unwrap();
        assert_eq!(
            text,
            "image,bundle,label,method,score,reference,draw,raw_logit,offset,distance\n\
             \"bundle 1/a,\"\"b\"\".tif\",bundle 1,abnormal,global,0.25,none,0,-1.5,0.0,2.5\n"
        );
        Prediction::write_all(&[], folder.path()).unwrap();
        assert_eq!(
            std::fs::read_to_string(folder.path().join("predictions.csv")).unwrap(),
            "image,bundle,label,method,score,reference,draw,raw_logit,offset,distance\n"
        );
        assert_eq!(Prediction::read_all(folder.path()).unwrap(), []);
    }

    #[test]
    fn malformed_files_are_refused_with_name_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut errors = vec![Results::read(folder.path()).unwrap_err()];
        assert!(matches!(&errors[0], ResultsError::Io { path: found, .. } if *found == path("results.json")));
        std::fs::write(path("results.json"), "{}").unwrap();
        errors.push(Results::read(folder.path()).unwrap_err());
        for text in [
            "image,label\n",
            "image,bundle,label,method,score,reference,draw,raw_logit,offset,distance\na,b,good,c,1,none,0,1,0,2\n",
        ] {
            std::fs::write(path("predictions.csv"), text).unwrap();
            errors.push(Prediction::read_all(folder.path()).unwrap_err());
        }
        let lines = errors.iter().map(|error| format!("{error}\n")).collect::<String>();
        insta::assert_snapshot!("errors", lines.replace(&folder.path().display().to_string(), "FOLDER"));
    }

    #[test]
    fn files_have_the_usual_permissions_and_no_temporary_file_remains() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        results(0.5).write(folder.path()).unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 1);
        // The permissions must be those that the umask gives any new file.
        std::fs::write(folder.path().join("plain"), "").unwrap();
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("results.json"), mode("plain"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn numbers_are_read_back_bit_by_bit(score in 0.0..=1.0f64) {
            let folder = tempfile::tempdir().unwrap();
            let predictions = vec![prediction(score, "b"), prediction(score.powi(9), "c\n<d>")];
            Prediction::write_all(&predictions, folder.path()).unwrap();
            prop_assert_eq!(Prediction::read_all(folder.path()).unwrap(), predictions);
            results(score).write(folder.path()).unwrap();
            prop_assert_eq!(Results::read(folder.path()).unwrap(), results(score));
        }
    }
}
