//! Reads a model's folder into a [`Model`]: lists the files, reads the manifest, verifies every member, and only then parses the
//! conversion, the policy, the envelope and the model card.

use super::error::hint;
use super::folder::{self, Listing};
use super::golden::ExpectedOutputs;
use super::{
    CONVERSION, ENVELOPE, GoldenImage, MANIFEST, MODEL_CARD, Manifest, ManifestError, Member, MemberName, ModelError,
    ModelLimits, POLICY, PRODUCT, Precision, SIGNATURE, golden,
};
use crate::conversion::{ConversionSpec, Converter, Size};
use crate::digest::Digest;
use crate::engine::{LogitMap, MapSumLimit};
use crate::envelope::Envelope;
use crate::policy::Policy;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A verified model, held in memory. The folder is not read again.
#[derive(Debug)]
pub struct Model {
    path: PathBuf,
    digest: Digest,
    manifest: Manifest,
    conversion: ConversionSpec,
    policy: Policy,
    envelope: Envelope,
    model_card: String,
    members: BTreeMap<MemberName, Vec<u8>>,
    /// The expected outputs of the golden images, in the manifest's order.
    outputs: Vec<ExpectedOutputs>,
}

/// A file that every training run has and that no model has.
const RUN: &str = "run.json";

impl Model {
    /// Reads and verifies the model in the folder `path`.
    ///
    /// Every member is read into memory once, and its size and digest are checked there. The same bytes are parsed afterwards, so
    /// later changes to the folder have no effect.
    ///
    /// # Errors
    /// [`ModelError`], which names the file, what was found and what was expected.
    pub fn open(path: &Path, limits: &ModelLimits) -> Result<Self, ModelError> {
        let listing = folder::list(path, limits)?;
        let manifest_path = path.join(MANIFEST);
        if !listing.files.contains(MANIFEST) {
            let hint = match listing.files.contains(RUN) {
                true => "; it is a training run: `cellgate-trainer export` makes a model from it",
                false => "; `cellgate-trainer export` writes one",
            };
            let message = format!("missing: the folder is not a model{hint}");
            return Err(ModelError::Content { path: manifest_path, message });
        }
        let (manifest, manifest_bytes) = read_manifest(&manifest_path, limits)?;
        compare_names(path, &listing, &manifest)?;
        let mut members = BTreeMap::new();
        for (name, member) in &manifest.members {
            members.insert(name.clone(), read_verified(&path.join(name.as_str()), member)?);
        }
        let (conversion, input) = conversion(path, &members)?;
        let policy = json(path, &members, POLICY)?;
        let envelope = json(path, &members, ENVELOPE)?;
        let mut outputs = Vec::with_capacity(manifest.golden.len());
        for entry in &manifest.golden {
            let member = |name: &MemberName| (path.join(name.as_str()), bytes_of(&members, name.as_str()));
            let ((map, map_bytes), (features, features_bytes)) = (member(&entry.map), member(&entry.features));
            let expected = ExpectedOutputs {
                map: golden::read_map(&map, map_bytes, LogitMap::size_for(input))?,
                features: golden::read_features(&features, features_bytes)?,
            };
            golden::check(entry, &expected, &policy)?;
            let (image, image_bytes) = member(&entry.member);
            golden::check_image(entry, &image, image_bytes, &envelope)?;
            outputs.push(expected);
        }
        let model_card = String::from_utf8(bytes_of(&members, MODEL_CARD).to_vec())
            .map_err(|error| ModelError::Content { path: path.join(MODEL_CARD), message: error.to_string() })?;
        let digest = Digest::of(&manifest_bytes);
        Ok(Self { path: path.to_owned(), digest, manifest, conversion, policy, envelope, model_card, members, outputs })
    }

    /// The folder that the model was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The digest that names the model. It is computed from the bytes of the manifest, which contain the digests of all members.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How a radiograph becomes the network's input. The specification always has a size, and [`Converter::new`] accepts it.
    #[must_use]
    pub fn conversion(&self) -> &ConversionSpec {
        &self.conversion
    }

    /// How a logit becomes a verdict.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the training images were like.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The model card, Markdown.
    #[must_use]
    pub fn model_card(&self) -> &str {
        &self.model_card
    }

    /// The bytes of the ONNX file of this precision; `None` if the model has no such network.
    #[must_use]
    pub fn network(&self, precision: Precision) -> Option<&[u8]> {
        let network = self.manifest.network(precision)?;
        Some(bytes_of(&self.members, network.member.as_str()))
    }

    /// The golden images, in the manifest's order, at least one.
    pub fn golden(&self) -> impl ExactSizeIterator<Item = GoldenImage<'_>> {
        self.manifest.golden.iter().zip(&self.outputs).map(|(entry, outputs)| {
            let name = entry.member.as_str();
            GoldenImage::new(entry, self.path.join(name), bytes_of(&self.members, name), outputs)
        })
    }

    /// How far the sum of a map that the network of this precision computes may be from its logit, as the golden images' tolerances
    /// say. If the model has no such network, the limit refuses every output.
    #[must_use]
    pub fn map_sum_limit(&self, precision: Precision) -> MapSumLimit {
        let images = self.golden().filter_map(|golden| Some((golden.map(), golden.expected(precision)?.tolerance)));
        MapSumLimit::of_golden(images)
    }
}

/// Reads the manifest in the file `path`. Returns the manifest and its bytes.
fn read_manifest(path: &Path, limits: &ModelLimits) -> Result<(Manifest, Vec<u8>), ModelError> {
    let refused = |source| ModelError::Manifest { path: path.to_owned(), source };
    let expected = limits.max_manifest_bytes;
    let bytes = folder::read(path, expected, |found| refused(ManifestError::TooLong { found, expected }))?;
    Ok((Manifest::parse(&bytes, limits).map_err(refused)?, bytes))
}

/// Checks that the folder and the manifest name the same files, and that each folder inside holds a member.
fn compare_names(root: &Path, listing: &Listing, manifest: &Manifest) -> Result<(), ModelError> {
    if let Some(name) = manifest.members.keys().find(|name| !listing.files.contains(*name)) {
        return Err(ModelError::Missing { path: root.join(name.as_str()) });
    }
    let is_known = |name: &str| name == MANIFEST || name == SIGNATURE || manifest.members.contains_key(name);
    let holds_a_member = |folder: &str| {
        manifest.members.keys().any(|name| name.as_str().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    };
    let file = listing.files.iter().find(|name| !is_known(name.as_str()));
    let folder = listing.folders.iter().find(|name| !holds_a_member(name.as_str()));
    match file.or(folder) {
        Some(name) => Err(ModelError::Unlisted { path: root.join(name.as_str()) }),
        None => Ok(()),
    }
}

fn read_verified(path: &Path, member: &Member) -> Result<Vec<u8>, ModelError> {
    let size = |found| ModelError::Size { path: path.to_owned(), found, expected: member.bytes };
    let bytes = folder::read(path, member.bytes, size)?;
    let found = bytes.len() as u64;
    if found != member.bytes {
        return Err(size(found));
    }
    let found = Digest::of(&bytes);
    if found != member.sha256 {
        return Err(ModelError::Digest { path: path.to_owned(), found, expected: member.sha256 });
    }
    Ok(bytes)
}

/// The bytes of a member. [`Manifest::parse`] has checked that the manifest lists the member, so `members` has it.
fn bytes_of<'m>(members: &'m BTreeMap<MemberName, Vec<u8>>, name: &str) -> &'m [u8] {
    members.get(name).map_or(&[], Vec::as_slice)
}

fn json<T: DeserializeOwned>(
    root: &Path,
    members: &BTreeMap<MemberName, Vec<u8>>,
    name: &str,
) -> Result<T, ModelError> {
    serde_json::from_slice(bytes_of(members, name)).map_err(|error| ModelError::Content {
        path: root.join(name),
        message: format!("{error}{}", hint(&error.to_string())),
    })
}

/// Whether the file `path` is the manifest of a model of any format.
pub(super) fn is_any_manifest(path: &Path, limits: &ModelLimits) -> bool {
    /// The field that every format has.
    #[derive(serde::Deserialize)]
    struct AnyManifest {
        product: String,
    }
    let expected = limits.max_manifest_bytes;
    let too_long =
        |found| ModelError::Manifest { path: path.to_owned(), source: ManifestError::TooLong { found, expected } };
    let bytes = folder::read(path, expected, too_long);
    bytes.is_ok_and(|bytes| {
        serde_json::from_slice(&bytes).is_ok_and(|manifest: AnyManifest| manifest.product == PRODUCT)
    })
}

/// Reads the conversion's specification and checks it by making a converter. The specification must have a size, since a
/// network has a fixed input size. Returns the specification and this size.
fn conversion(root: &Path, members: &BTreeMap<MemberName, Vec<u8>>) -> Result<(ConversionSpec, Size), ModelError> {
    let spec: ConversionSpec = json(root, members, CONVERSION)?;
    let path = root.join(CONVERSION);
    let Some(size) = spec.size else {
        let message = "size: found null, expected the network's input height and width".to_owned();
        return Err(ModelError::Content { path, message });
    };
    match Converter::new(&spec) {
        Ok(_) => Ok((spec, size)),
        Err(source) => Err(ModelError::Conversion { path, source }),
    }
}
