//! Computes the maps of stage 3 once and stores them, for training from stage 4 on.
//!
//! The maps of a flipped image are not the flipped maps of the image, because the cells of both lie at other pixels. So each flip
//! variant has its own file. The numbers are f16, so that four variants of 1000 images of 400 x 200 pixels take 0.7 GB.

use super::FeatureError;
use super::file::{self, MAPS};
use super::key::FeatureSettings;
use super::{compute, room};
use crate::checkpoint::is_finite;
use crate::dataset::Part;
use crate::network::Backbone;
use crate::network::architecture::CHANNELS;
use crate::network::backbone::VARIANTS;
use crate::network::placement;
use crate::progress;
use cellgate_models::conversion::{ConversionSpec, Size};
use cellgate_models::digest::Digest;
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, TchError, Tensor};

/// The stored maps of stage 3 of some parts, in all four flip variants. They are read when they are needed.
#[derive(Debug)]
pub struct StageMaps {
    folder: PathBuf,
    size: Size,
    /// The key of the file of each part and variant.
    keys: Vec<[Digest; VARIANTS]>,
}

impl StageMaps {
    /// The maps of `parts` for images converted by `spec` to `size`, in files in `folder`. Computes and stores those whose file is missing
    /// or has another length. Advances `progress` by one for each part.
    ///
    /// # Errors
    /// [`FeatureError::NoRoom`] if the missing maps do not fit on the disk, or the error of the first part that fails.
    pub fn store<'a>(
        folder: &Path,
        parts: impl IntoIterator<Item = &'a Part>,
        (spec, size): (&ConversionSpec, Size),
        backbone: &Backbone,
        progress: &ProgressBar,
    ) -> Result<Self, FeatureError> {
        let parts: Vec<&Part> = parts.into_iter().collect();
        let settings: [_; VARIANTS] = std::array::from_fn(|variant| FeatureSettings::of_maps(spec, backbone, variant));
        let keys = |part: &&Part| settings.each_ref().map(|settings| settings.key(part.digest));
        let maps = Self { folder: folder.to_owned(), size, keys: parts.iter().map(keys).collect() };
        let is_stored = |part: usize, variant| file::has_length(&maps.path(part, variant), MAPS, count(size));
        let is_missing = |part: &usize| !(0..VARIANTS).all(|variant| is_stored(*part, variant));
        let missing: Vec<usize> = (0..parts.len()).filter(is_missing).collect();
        progress.inc((parts.len() - missing.len()) as u64);
        progress::restart_time_left(progress);
        room::check(folder, Self::needed_bytes(missing.len(), size))?;
        let to_compute: Vec<&Part> = missing.iter().map(|&part| parts[part]).collect();
        compute::each(
            &to_compute,
            spec,
            backbone,
            |pixels| backbone.images_together(pixels),
            |batch| {
                let torch = |index: usize| {
                    let path = to_compute[index].path.clone();
                    |source| FeatureError::Torch { path, source }
                };
                let computed = batch.tensor().and_then(|images| backbone.stage_3_of_variants(&images));
                let computed = computed.map_err(torch(batch.parts[0]))?;
                for (place, &index) in batch.parts.iter().enumerate() {
                    for (variant, of_variant) in computed.iter().enumerate() {
                        let numbers = of_variant.f_narrow(0, place as i64, 1).and_then(|maps| half_bytes(&maps));
                        let not_finite = || FeatureError::NotFinite { path: to_compute[index].path.clone() };
                        let numbers = numbers.map_err(torch(index))?.ok_or_else(not_finite)?;
                        let (path, key) = (maps.path(missing[index], variant), maps.keys[missing[index]][variant]);
                        file::write(&path, MAPS, key, &numbers).map_err(|source| FeatureError::Io { path, source })?;
                    }
                    progress.inc(1);
                }
                Ok(())
            },
        )?;
        Ok(maps)
    }

    /// The space that the maps of `parts` parts need, in bytes, for an input of `size`.
    #[must_use]
    pub fn needed_bytes(parts: usize, size: Size) -> u64 {
        (parts * VARIANTS * count(size) * 2) as u64
    }

    /// The number of parts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no parts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key of a part's maps in variant 0, the image as it is. It depends on everything that the maps of all variants depend on.
    pub(crate) fn key(&self, part: usize) -> Digest {
        self.keys[part][0]
    }

    /// Reads the maps of one variant (0 to 3) of each part: N x 256 x height / 16 x width / 16, in f32, on `device`.
    ///
    /// # Errors
    /// [`FeatureError::Maps`] if a file is missing or damaged. A damaged file is removed. [`FeatureError::MapsTorch`] if libtorch fails.
    pub(crate) fn read(&self, parts_and_variants: &[(usize, usize)], device: Device) -> Result<Tensor, FeatureError> {
        let mut bytes = Vec::new();
        for &(part, variant) in parts_and_variants {
            let (path, key) = (self.path(part, variant), self.keys[part][variant]);
            match file::read(&path, MAPS, key, count(self.size)) {
                Some(maps) => bytes.extend(maps),
                None => {
                    let _ = std::fs::remove_file(&path);
                    return Err(FeatureError::Maps { path });
                }
            }
        }
        let [rows, columns] = cells(self.size);
        let shape = [parts_and_variants.len() as i64, CHANNELS[2], rows, columns];
        let maps = Tensor::f_from_data_size(&bytes, &shape, Kind::Half);
        maps.and_then(|maps| maps.f_to_device(device)?.f_to_kind(Kind::Float)).map_err(FeatureError::MapsTorch)
    }

    fn path(&self, part: usize, variant: usize) -> PathBuf {
        file::path(&self.folder, self.keys[part][variant], MAPS)
    }
}

/// Rows and columns of stage 3 for an input of `size`.
fn cells(size: Size) -> [i64; 2] {
    [size.height, size.width].map(|pixels| placement::cells(pixels, 3) as i64)
}

/// The number of numbers in the maps of one variant.
fn count(size: Size) -> usize {
    let [rows, columns] = cells(size);
    (CHANNELS[2] * rows * columns) as usize
}

/// The bytes of the numbers in f16. `None` if one is not finite in f16.
fn half_bytes(maps: &Tensor) -> Result<Option<Vec<u8>>, TchError> {
    let maps = maps.f_to_kind(Kind::Half)?.f_to_device(Device::Cpu)?.f_contiguous()?;
    if !is_finite(&maps)? {
        return Ok(None);
    }
    let mut bytes = vec![0; 2 * maps.numel()];
    maps.f_copy_data_u8(&mut bytes, maps.numel())?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label;
    use crate::features::FeatureStore;
    use crate::network::Weights;
    use cellgate_models::conversion::Method;
    use cellgate_models::radiograph::{self, Radiograph};

    #[test]
    fn stored_maps_are_used_unless_they_are_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let part = |step: usize| {
            let path = folder.path().join(format!("{step}.tif"));
            let levels = (0..48 * 40).map(|pixel| (1700 + pixel * step % 1000) as u16).collect();
            radiograph::write(&path, &Radiograph::new(48, 40, levels).unwrap()).unwrap();
            let digest = Digest::of_file(&path).unwrap();
            let (bundle, label) = ("1".to_owned(), Label::Normal);
            Part { image: step.to_string(), path, digest, bundle, label, anomalies: vec![], experts: vec![] }
        };
        let parts = [part(7), part(11)];
        let store = FeatureStore::open(Some(&folder.path().join("cache"))).unwrap();
        let backbone = Backbone::new(&Weights::random(3), Device::Cpu).unwrap();
        let size = Size { height: 65, width: 48 };
        let spec = ConversionSpec::new(Method::Local).with_size(size);
        let progress = ProgressBar::hidden();
        let stored = folder.path().join("maps");
        let maps = || StageMaps::store(&stored, &parts, (&spec, size), &backbone, &progress).unwrap();
        let first = maps();
        let all: Vec<(usize, usize)> = (0..2).flat_map(|part| (0..4).map(move |variant| (part, variant))).collect();
        let read = first.read(&all, Device::Cpu).unwrap();
        assert_eq!((read.size(), progress.position()), (vec![8, 256, 5, 3], 2));

        // Pooled, the maps give the features, up to the rounding to f16.
        let table = store.features(&parts, &spec, &backbone, &progress).unwrap();
        let means = read.mean_dim(&[2_i64, 3][..], false, Kind::Float);
        for (row, &(part, variant)) in all.iter().enumerate() {
            let expected = Tensor::from_slice(&table.row(part, variant)[..256]);
            let error = (means.get(row as i64) - &expected).abs().max().double_value(&[]);
            assert!(error < 1e-3 * expected.abs().max().double_value(&[]), "{part} {variant}: {error}");
        }

        let path = first.path(1, 2);
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len() as u64 - 76, StageMaps::needed_bytes(1, size) / 4);
        // The start finds a file of another length.
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        maps();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "the file is repaired");
        // Other damage is found when the file is read. The next start computes the maps again.
        std::fs::write(&path, [&whole[..100], &[whole[100] ^ 1], &whole[101..]].concat()).unwrap();
        maps();
        let error = first.read(&all, Device::Cpu).unwrap_err();
        assert!(matches!(&error, FeatureError::Maps { path: found } if *found == path), "{error}");
        maps();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "the file is repaired");
        assert!(first.read(&all, Device::Cpu).unwrap() == read);
        // No image is opened while all maps are stored.
        parts.iter().for_each(|part| std::fs::remove_file(&part.path).unwrap());
        maps();
    }
}
