//! Returns features from the cache, or computes and caches them.

use super::file::FEATURES;
use super::key::FeatureSettings;
use super::table::FeatureTable;
use super::{FeatureError, compute, default_cache_root, file};
use crate::dataset::Part;
use crate::network::Backbone;
use crate::network::backbone::VARIANTS;
use crate::network::pooling::{self, Block};
use crate::progress;
use cellgate_models::conversion::ConversionSpec;
use cellgate_models::digest::Digest;
use indicatif::ProgressBar;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The environment variable that replaces the default folder of the cache.
const VARIABLE: &str = "CELLGATE_CACHE";

/// A folder of cached features, with one file for each image, conversion and backbone. CPU and GPU have separate files.
///
/// All folds and commands share the folder, and several programs may use it at the same time.
#[derive(Debug, Clone)]
pub struct FeatureStore {
    folder: PathBuf,
}

impl FeatureStore {
    /// Opens the cache in `folder`, the value of `--cache`. Without `folder`, the environment variable `CELLGATE_CACHE` names the
    /// folder. Without both, the folder is `features` in [`default_cache_root`]. The folder is created when the first
    /// file is written.
    ///
    /// # Errors
    /// [`FeatureError::NoFolder`] if `folder` and the variable are missing and there is no default folder.
    pub fn open(folder: Option<&Path>) -> Result<Self, FeatureError> {
        let named = folder.map(Path::to_owned).or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
        let folder = named.or_else(|| default_cache_root().map(|root| root.join("features")));
        Ok(Self { folder: folder.ok_or(FeatureError::NoFolder)? })
    }

    /// Returns the folder of the cache.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the features of `parts` with all blocks ([`Block::ALL`]), for images converted by `spec`. Reads them from
    /// the cache, or computes and caches them. Advances `progress` by one for each part.
    ///
    /// A part's features depend only on its image, the conversion, the backbone, and whether the CPU or a GPU computes. They do
    /// not depend on the other parts or on the content of the cache.
    ///
    /// # Errors
    /// [`FeatureError`] for the first part that fails. Features that were computed before the failure stay in the cache.
    pub fn features<'a>(
        &self,
        parts: impl IntoIterator<Item = &'a Part>,
        spec: &ConversionSpec,
        backbone: &Backbone,
        progress: &ProgressBar,
    ) -> Result<FeatureTable, FeatureError> {
        let parts: Vec<&Part> = parts.into_iter().collect();
        let settings = FeatureSettings::new(spec, backbone);
        let blocks = Block::ALL;
        // Count of features that a part has.
        let per_part = VARIANTS * pooling::width(&blocks);
        let mut values = vec![0.0; parts.len() * per_part];
        // Byte-identical images are computed once.
        let mut missing: HashMap<Digest, Vec<usize>> = HashMap::new();
        let mut to_compute: Vec<&Part> = Vec::new();
        for (index, (part, place)) in parts.iter().zip(values.chunks_exact_mut(per_part)).enumerate() {
            if let Some(twins) = missing.get_mut(&part.digest) {
                twins.push(index);
                continue;
            }
            let key = settings.key(part.digest);
            match file::read(&file::path(&self.folder, key, FEATURES), FEATURES, key, per_part) {
                Some(bytes) => {
                    let numbers = bytes.as_chunks().0.iter().map(|&number| f32::from_le_bytes(number));
                    place.iter_mut().zip(numbers).for_each(|(place, number)| *place = number);
                    progress.inc(1);
                }
                None => {
                    missing.insert(part.digest, vec![index]);
                    to_compute.push(part);
                }
            }
        }
        // Reading from the cache is much faster than computing.
        progress::restart_time_left(progress);
        compute::features(&to_compute, spec, backbone, &blocks, |part, features| {
            let key = settings.key(part.digest);
            let path = file::path(&self.folder, key, FEATURES);
            let numbers: Vec<u8> = features.iter().flat_map(|number| number.to_le_bytes()).collect();
            file::write(&path, FEATURES, key, &numbers).map_err(|source| FeatureError::Io { path, source })?;
            for &index in &missing[&part.digest] {
                values[index * per_part..][..per_part].copy_from_slice(&features);
                progress.inc(1);
            }
            Ok(())
        })?;
        Ok(FeatureTable::new(blocks.to_vec(), values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label;
    use crate::network::Weights;
    use cellgate_models::conversion::{Method, Size};
    use cellgate_models::radiograph::{self, Radiograph};
    use tch::Device;

    /// Three parts. The images of the first and the last are byte-identical.
    fn parts(folder: &Path) -> Vec<Part> {
        let part = |name: &str, step: usize| {
            let path = folder.join(name);
            let levels = (0..48 * 40).map(|pixel| (1700 + pixel * step % 1000) as u16).collect();
            radiograph::write(&path, &Radiograph::new(48, 40, levels).unwrap()).unwrap();
            let digest = Digest::of_file(&path).unwrap();
            let (bundle, label) = ("1".to_owned(), Label::Normal);
            Part { image: name.into(), path, digest, bundle, label, anomalies: vec![], experts: vec![] }
        };
        vec![part("a.tif", 7), part("b.tif", 11), part("c.tif", 7)]
    }

    fn cached_files(store: &FeatureStore) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(&store.folder).unwrap().map(|entry| entry.unwrap().path());
        folders.flat_map(|dir| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path())).collect()
    }

    #[test]
    fn features_come_from_the_cache_unless_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let parts = parts(folder.path());
        let store = FeatureStore::open(Some(&folder.path().join("cache"))).unwrap();
        let backbone = Backbone::new(&Weights::random(3), Device::Cpu).unwrap();
        let spec = ConversionSpec::new(Method::Local).with_size(Size { height: 64, width: 48 });
        let progress = ProgressBar::hidden();
        let features = |parts: &[Part]| store.features(parts, &spec, &backbone, &progress);

        // All blocks together have 1296 features.
        let first = features(&parts).unwrap();
        assert_eq!((first.parts(), first.width(), progress.position()), (3, 1296, 3));
        assert_eq!(first.row(0, 1), first.row(2, 1), "identical images have identical features");
        assert_ne!(first.row(0, 0), first.row(1, 0));
        assert_ne!(first.row(0, 0), first.row(0, 1));
        assert_eq!(features(&parts[1..2]).unwrap().row(0, 3), first.row(1, 3), "other parts don't matter");
        let files = cached_files(&store);
        assert_eq!(files.len(), 2, "identical images are computed once: {files:?}");

        // A kill or a power cut may leave a truncated file, a file of zeros, or a file under its temporary name.
        let whole = std::fs::read(&files[0]).unwrap();
        std::fs::write(files[0].with_file_name(".writing-x"), &whole[..100]).unwrap();
        for damaged in [whole[..whole.len() / 2].to_vec(), vec![0; whole.len()], vec![]] {
            std::fs::write(&files[0], damaged).unwrap();
            assert_eq!(features(&parts).unwrap(), first);
            assert_eq!(std::fs::read(&files[0]).unwrap(), whole, "the cache file is repaired");
        }

        // No image is opened while all features are cached.
        parts.iter().for_each(|part| std::fs::remove_file(&part.path).unwrap());
        assert_eq!(features(&parts).unwrap(), first);
        std::fs::remove_file(&files[0]).unwrap();
        assert!(matches!(features(&parts), Err(FeatureError::Io { .. })));
    }

    #[test]
    fn a_changed_image_and_an_invalid_specification_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let mut parts = parts(folder.path());
        let store = FeatureStore::open(Some(folder.path())).unwrap();
        let backbone = Backbone::new(&Weights::random(3), Device::Cpu).unwrap();
        let without_bounds = ConversionSpec::new(Method::Global);
        let error = store.features(&parts, &without_bounds, &backbone, &ProgressBar::hidden()).unwrap_err();
        assert!(matches!(error, FeatureError::Conversion(_)), "{error}");
        parts[1].digest = Digest::of(b"another image");
        let spec = ConversionSpec::new(Method::Naive);
        let error = store.features(&parts, &spec, &backbone, &ProgressBar::hidden()).unwrap_err();
        assert!(matches!(error, FeatureError::Changed { .. }), "{error}");
    }
}
