//! Reads and writes `evidence.json`: the maps of images that may be mislabelled, for the pictures of the report.

use super::ResultsError;
use crate::files;
use cellgate_models::conversion::ConversionSpec;
use cellgate_models::engine::LogitMap;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Name of the file.
const EVIDENCE_FILE: &str = "evidence.json";

/// The map of one image by a head that was not trained on the image: a head of the fold that tests it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuspectMap {
    /// The image's path relative to the data set.
    pub image: String,
    /// The conversion method.
    pub method: String,
    /// The conversion, with the size of the network's input.
    pub conversion: ConversionSpec,
    /// The raw logit from which on the part is called abnormal.
    pub threshold: f64,
    /// The shares of the positions in the raw logit, row by row. Their number follows from the conversion's size, see
    /// [`LogitMap::size_for`].
    pub shares: Vec<f32>,
}

impl SuspectMap {
    /// The map. `None` if the conversion has no size, or the number of shares does not fit it.
    #[must_use]
    pub fn map(&self) -> Option<LogitMap> {
        LogitMap::new(LogitMap::size_for(self.conversion.size?), self.shares.clone())
    }

    /// Writes `evidence.json` into `folder`.
    ///
    /// # Errors
    /// [`ResultsError::Io`]: the file can't be written.
    pub fn write_all(maps: &[Self], folder: &Path) -> Result<(), ResultsError> {
        let path = folder.join(EVIDENCE_FILE);
        let json = serde_json::to_vec(maps).map_err(io::Error::from);
        json.and_then(|json| files::write(&path, &json)).map_err(|source| ResultsError::Io { path, source })
    }

    /// Reads `evidence.json` from `folder`. Results of an earlier version have no such file, which gives an empty list.
    ///
    /// # Errors
    /// [`ResultsError`]: the file can't be read or is malformed.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, ResultsError> {
        let path = folder.join(EVIDENCE_FILE);
        let json = match std::fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(ResultsError::Io { path, source }),
        };
        let expected = "the maps that `crossval` writes; remove the file to do without them";
        let malformed = |found| ResultsError::Malformed { path: path.clone(), found, expected };
        let maps: Vec<Self> = serde_json::from_slice(&json).map_err(|error| malformed(error.to_string()))?;
        match maps.iter().find(|map| map.map().is_none()) {
            Some(map) => Err(malformed(format!("{} shares of {}", map.shares.len(), map.image))),
            None => Ok(maps),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::conversion::{Method, Size};

    #[test]
    fn maps_are_read_back_and_damaged_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(SuspectMap::read_all(folder.path()).unwrap(), []);
        let map = SuspectMap {
            image: "a/normal/1.tif".into(),
            method: "local".into(),
            conversion: ConversionSpec::new(Method::Local).with_size(Size { height: 20, width: 40 }),
            threshold: 0.1,
            shares: vec![0.1, -0.2, 0.3, 1e-9, -0.5, 0.6],
        };
        SuspectMap::write_all(std::slice::from_ref(&map), folder.path()).unwrap();
        assert_eq!(SuspectMap::read_all(folder.path()).unwrap(), std::slice::from_ref(&map));
        assert_eq!(map.map().unwrap().size(), Size { height: 2, width: 3 });
        let short = SuspectMap { shares: vec![0.5; 5], ..map };
        SuspectMap::write_all(&[short], folder.path()).unwrap();
        assert!(matches!(SuspectMap::read_all(folder.path()), Err(ResultsError::Malformed { .. })));
        std::fs::write(folder.path().join(EVIDENCE_FILE), "[").unwrap();
        assert!(matches!(SuspectMap::read_all(folder.path()), Err(ResultsError::Malformed { .. })));
    }
}
