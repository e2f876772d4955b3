//! `manifest.json`: the members of a model, its origin, and the logits of its golden images.

use super::error::EARLIER_VERSION;
use super::{
    CONVERSION, ENVELOPE, GOLDEN_FOLDER, MANIFEST, MODEL_CARD, ManifestError, MemberName, ModelLimits, POLICY,
    Precision, SIGNATURE,
};
use crate::digest::Digest;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The version of the format that is read and written.
pub const FORMAT: u32 = 2;
/// The product that a model is for.
pub const PRODUCT: &str = "cellgate";

/// The content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format, always [`FORMAT`].
    pub format: u32,
    /// The product that the model is for, always [`PRODUCT`].
    pub product: String,
    /// When the model was made, as the exporter stated it: a time by RFC 3339.
    pub created: String,
    /// All other files of the model, except [`SIGNATURE`].
    #[serde(deserialize_with = "map_without_duplicates")]
    pub members: BTreeMap<MemberName, Member>,
    /// The networks: at least one, and at most one of each precision.
    pub networks: Vec<NetworkEntry>,
    /// How the networks were trained.
    pub training: TrainingRecord,
    /// The trainer's figures on the networks, for people and reports. No program decides by them.
    pub metrics: serde_json::Map<String, serde_json::Value>,
    /// Images with their expected logits, at least one.
    pub golden: Vec<GoldenEntry>,
}

/// Size and digest of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// SHA-256 of its content.
    pub sha256: Digest,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A network in one precision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkEntry {
    /// The number format that the network computes in.
    pub precision: Precision,
    /// Its ONNX file.
    pub member: MemberName,
}

/// How the networks were trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecord {
    /// The trainer's version.
    pub trainer: String,
    /// The training data.
    pub dataset: DatasetRecord,
    /// The recipe.
    pub recipe: RecipeRecord,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The digest of the backbone's weights file.
    pub backbone: Digest,
}

/// The data set that the networks were trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetRecord {
    /// The digest of all its images and labels.
    pub digest: Digest,
    /// Its numbers of images and bundles.
    pub counts: DatasetCounts,
}

/// Numbers of images and bundles in a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetCounts {
    /// All images.
    pub images: u64,
    /// Bundles of parts.
    pub bundles: u64,
    /// Images labelled normal.
    pub normal: u64,
    /// Images labelled abnormal.
    pub abnormal: u64,
}

/// A recipe with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeRecord {
    /// Its name, for example `paper` or `recommended`.
    pub name: String,
    /// All its settings, as the trainer names them.
    pub config: serde_json::Value,
}

/// A golden image with its expected logits, map and whitened features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenEntry {
    /// Its TIFF file, in the folder `golden`.
    pub member: MemberName,
    /// Its expected map, in the folder `golden`: the bytes of [`LogitMap::to_bytes`](crate::engine::LogitMap::to_bytes).
    pub map: MemberName,
    /// Its expected whitened features, in the folder `golden`: the bytes of
    /// [`WhitenedFeatures::to_bytes`](crate::engine::WhitenedFeatures::to_bytes).
    pub features: MemberName,
    /// The expected logit for each network of the model.
    #[serde(deserialize_with = "map_without_duplicates")]
    pub expected: BTreeMap<Precision, Expectation>,
}

/// An expected logit, and the tolerances of logit, map and whitened features.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The raw logit.
    pub logit: f32,
    /// The largest absolute difference between an engine's logit and `logit`, above 0. The reader bounds it, see
    /// [`MAX_SCORE_TOLERANCE`](super::MAX_SCORE_TOLERANCE).
    pub tolerance: f32,
    /// The largest absolute difference between a share of an engine's map and the same share of the expected map, above 0. The
    /// reader bounds it, see [`MAX_MAP_TOLERANCE`](super::MAX_MAP_TOLERANCE).
    pub map_tolerance: f32,
    /// The largest distance between an engine's whitened features and the expected ones, above 0. It bounds the change of the distance
    /// from any place. The reader bounds it, see [`MAX_FEATURES_TOLERANCE`](super::MAX_FEATURES_TOLERANCE).
    pub features_tolerance: f32,
}

impl Expectation {
    /// Whether an engine's logit is within the tolerance. NaN never is.
    #[must_use]
    pub fn agrees(&self, logit: f32) -> bool {
        (logit - self.logit).abs() <= self.tolerance
    }

    /// Whether `difference`, the largest of two shares of an engine's and the expected map, is within the tolerance. NaN never is.
    #[must_use]
    pub fn map_agrees(&self, difference: f32) -> bool {
        difference <= self.map_tolerance
    }

    /// Whether `distance`, that between an engine's and the expected whitened features, is within the tolerance. NaN never is.
    #[must_use]
    pub fn features_agree(&self, distance: f64) -> bool {
        distance <= f64::from(self.features_tolerance)
    }
}

impl Manifest {
    /// Parses and checks the bytes of a `manifest.json`. No bytes make it panic.
    ///
    /// # Errors
    /// [`ManifestError`], which names the field, what was found and what was expected.
    pub fn parse(bytes: &[u8], limits: &ModelLimits) -> Result<Self, ManifestError> {
        /// The only field that every version of the format has.
        #[derive(Deserialize)]
        struct AnyFormat {
            format: u64,
        }
        if bytes.len() as u64 > limits.max_manifest_bytes {
            return Err(ManifestError::TooLong { found: bytes.len() as u64, expected: limits.max_manifest_bytes });
        }
        let malformed = |error: serde_json::Error| ManifestError::Malformed { message: error.to_string() };
        let AnyFormat { format } = serde_json::from_slice(bytes).map_err(malformed)?;
        if format != u64::from(FORMAT) {
            return Err(ManifestError::Format { found: format, expected: FORMAT });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        manifest.check(limits)?;
        Ok(manifest)
    }

    /// The bytes of a `manifest.json`: JSON, indented by two spaces, ended by a line feed.
    ///
    /// # Panics
    /// Never: all keys are texts, and `serde_json` has no other reason to fail here.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a manifest is always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// The network of this precision; `None` if the model has no such network.
    #[must_use]
    pub fn network(&self, precision: Precision) -> Option<&NetworkEntry> {
        self.networks.iter().find(|network| network.precision == precision)
    }

    /// Checks the rules that the types do not enforce.
    pub(super) fn check(&self, limits: &ModelLimits) -> Result<(), ManifestError> {
        if self.product != PRODUCT {
            return Err(field("product", format_args!("{:?}", self.product), PRODUCT));
        }
        if !is_rfc3339(&self.created) {
            let expected = "a time by RFC 3339 such as 2026-11-23T09:30:00Z";
            return Err(field("created", format_args!("{:?}", self.created), expected));
        }
        self.check_members(limits)?;
        self.check_networks()?;
        self.check_golden()?;
        self.check_nothing_left_over()
    }

    fn check_members(&self, limits: &ModelLimits) -> Result<(), ManifestError> {
        if self.members.len() > limits.max_entries {
            return Err(field("members", self.members.len(), format_args!("at most {}", limits.max_entries)));
        }
        let mut total = 0u64;
        for (name, member) in &self.members {
            let path = format_args!("members.{name}");
            let depth = name.as_str().split('/').count();
            if depth > limits.max_depth {
                return Err(field(path, format_args!("depth {depth}"), format_args!("at most {}", limits.max_depth)));
            }
            if name.as_str() == MANIFEST || name.as_str() == SIGNATURE {
                return Err(field(path, "a reserved name", "another name"));
            }
            if member.bytes > limits.max_member_bytes {
                return Err(field(path, member.bytes, format_args!("at most {} bytes", limits.max_member_bytes)));
            }
            // With the default limits the sum stays far below `u64::MAX`. With extreme limits it saturates.
            total = total.saturating_add(member.bytes);
        }
        if total > limits.max_total_bytes {
            return Err(field("members", total, format_args!("at most {} bytes in all", limits.max_total_bytes)));
        }
        for name in [CONVERSION, ENVELOPE, POLICY, MODEL_CARD] {
            if !self.members.contains_key(name) {
                let expected = format_args!("a member that `members` lists{EARLIER_VERSION}");
                return Err(field("members", format_args!("no member {name}"), expected));
            }
        }
        Ok(())
    }

    fn check_networks(&self) -> Result<(), ManifestError> {
        if self.networks.is_empty() {
            return Err(field("networks", "none", "at least one"));
        }
        let mut seen = BTreeSet::new();
        for network in &self.networks {
            if !seen.insert(network.precision) {
                return Err(field("networks", format_args!("two of precision {}", network.precision), "one"));
            }
            self.check_listed("networks", network.member.as_str())?;
        }
        Ok(())
    }

    fn check_golden(&self) -> Result<(), ManifestError> {
        if self.golden.is_empty() {
            return Err(field("golden", "none", "at least one image, to prove an engine with"));
        }
        let precisions: BTreeSet<_> = self.networks.iter().map(|network| network.precision).collect();
        for golden in &self.golden {
            let path = format!("golden.{}", golden.member);
            self.check_golden_member(&path, &golden.member)?;
            self.check_golden_member(&format!("{path}.map"), &golden.map)?;
            self.check_golden_member(&format!("{path}.features"), &golden.features)?;
            if !golden.expected.keys().eq(&precisions) {
                let found: Vec<_> = golden.expected.keys().map(|precision| precision.name()).collect();
                return Err(field(path, format_args!("logits for {found:?}"), "one for each network"));
            }
            for (precision, expected) in &golden.expected {
                let &Expectation { logit, tolerance, map_tolerance, features_tolerance } = expected;
                if !logit.is_finite() {
                    return Err(field(format_args!("{path}.{precision}.logit"), logit, "a finite number"));
                }
                let tolerances = [
                    ("tolerance", tolerance),
                    ("map_tolerance", map_tolerance),
                    ("features_tolerance", features_tolerance),
                ];
                for (name, tolerance) in tolerances {
                    if !(tolerance > 0.0 && tolerance.is_finite()) {
                        let expected = "a finite number above 0";
                        return Err(field(format_args!("{path}.{precision}.{name}"), tolerance, expected));
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks that a member of a golden image is listed and in the folder `golden`.
    fn check_golden_member(&self, field_name: &str, member: &MemberName) -> Result<(), ManifestError> {
        if member.as_str().strip_prefix(GOLDEN_FOLDER).is_none_or(|rest| !rest.starts_with('/')) {
            return Err(field(field_name, "another folder", GOLDEN_FOLDER));
        }
        self.check_listed(field_name, member.as_str())
    }

    /// Checks that each member has exactly one use.
    fn check_nothing_left_over(&self) -> Result<(), ManifestError> {
        let mut unused: BTreeSet<&str> = self.members.keys().map(MemberName::as_str).collect();
        let networks = self.networks.iter().map(|network| network.member.as_str());
        let golden = self.golden.iter().flat_map(|golden| [&golden.member, &golden.map, &golden.features]);
        let golden = golden.map(MemberName::as_str);
        for name in [CONVERSION, ENVELOPE, POLICY, MODEL_CARD].into_iter().chain(networks).chain(golden) {
            if !unused.remove(name) {
                return Err(field(format_args!("members.{name}"), "two uses", "one"));
            }
        }
        match unused.first() {
            Some(name) => {
                Err(field(format_args!("members.{name}"), "no use", "a network, a golden image or a fixed name"))
            }
            None => Ok(()),
        }
    }

    fn check_listed(&self, field_name: &str, member: &str) -> Result<(), ManifestError> {
        if self.members.contains_key(member) {
            return Ok(());
        }
        Err(field(field_name, format_args!("no member {member}"), "a member that `members` lists"))
    }
}

fn field(field: impl fmt::Display, found: impl fmt::Display, expected: impl fmt::Display) -> ManifestError {
    ManifestError::Field { field: field.to_string(), found: found.to_string(), expected: expected.to_string() }
}

/// Reads a map and refuses a name that occurs twice. `serde_json` would take the last of the two values, and another reader
/// perhaps the first.
fn map_without_duplicates<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    struct Visitor<K, V>(std::marker::PhantomData<(K, V)>);
    impl<'de, K: Deserialize<'de> + Ord + fmt::Display, V: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<K, V> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a map without duplicate keys")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = access.next_entry::<K, V>()? {
                if map.contains_key(&key) {
                    return Err(serde::de::Error::custom(format_args!("duplicate key `{key}`")));
                }
                map.insert(key, value);
            }
            Ok(map)
        }
    }
    deserializer.deserialize_map(Visitor(std::marker::PhantomData))
}

/// Whether `text` has the form of an RFC 3339 date-time: digits and signs in their places, each number in its range. Days 29 to 31
/// are accepted in every month.
fn is_rfc3339(text: &str) -> bool {
    let two_digits_in = |at: usize, range: std::ops::RangeInclusive<u32>| {
        text.get(at..at + 2).and_then(|two| two.parse().ok()).is_some_and(|number| range.contains(&number))
    };
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
        Some(_) => return false,
        None => rest,
    };
    let zone_at = text.len() - zone.len();
    let zone_is_sound = match zone {
        "Z" => true,
        "+00:00" | "-00:00" => two_digits_in(zone_at + 1, 0..=23) && two_digits_in(zone_at + 4, 0..=59),
        _ => false,
    };
    // Month, day, hour, minute and second. A leap second has the number 60.
    zone_is_sound
        && two_digits_in(5, 1..=12)
        && two_digits_in(8, 1..=31)
        && two_digits_in(11, 0..=23)
        && two_digits_in(14, 0..=59)
        && two_digits_in(17, 0..=60)
}
