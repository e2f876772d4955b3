//! Reads `edge.toml`, the configuration of an appliance.
//!
//! `edge/edge.toml` has every key with its default and meaning; [`Config::EXAMPLE`] holds that file. An unknown key is an
//! error, as a misspelt key would silently leave its default in force. Relative paths are relative to the file's folder.

mod check;
mod number;

pub use number::{BAUDS, most_threads};

use crate::pipeline::{EngineChoice, TensorRtOptions};
use cellgate_models::model::Precision;
use cellgate_protocol::modbus::unit::Unit;
use serde::Deserialize;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

/// The content of `edge.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The identity of this appliance.
    pub device: DeviceConfig,
    /// The model and its engine.
    pub model: ModelConfig,
    /// The folders of images, and their matching to triggers.
    pub acquire: AcquireConfig,
    /// The serial link to the PLC.
    pub plc: PlcConfig,
    /// Bundles and their reference parts.
    #[serde(default)]
    pub bundle: BundleConfig,
    /// The journal of verdicts.
    pub journal: JournalConfig,
    /// Figures for monitoring.
    #[serde(default)]
    pub metrics: MetricsConfig,
    /// Commands from this machine.
    #[serde(default)]
    pub control: ControlConfig,
    /// The format of the log.
    #[serde(default)]
    pub log: LogConfig,
}

/// The section `[device]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// The number by which the PLC knows this appliance.
    #[serde(deserialize_with = "number::id")]
    pub id: u32,
}

/// The section `[model]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Folder of the model.
    pub path: PathBuf,
    /// Whether the model's f32 network or its f16 network judges.
    #[serde(default = "defaults::precision")]
    pub precision: Precision,
    /// The engine that runs the network.
    #[serde(default)]
    pub engine: EngineChoice,
    /// Threads of ONNX Runtime, at most [`most_threads`]; `None`: one for each core.
    #[serde(default, deserialize_with = "number::threads")]
    pub threads: Option<NonZeroUsize>,
    /// ONNX Runtime's library file; `None`: the documented search order.
    pub onnxruntime: Option<PathBuf>,
    /// Folder with TensorRT's libraries; `None`: the documented search order.
    pub tensorrt: Option<PathBuf>,
    /// Folder of the TensorRT plans that this device builds.
    #[serde(default = "defaults::plans")]
    pub plans: PathBuf,
    /// The file of the device's secret key, which authenticates the plans that this device built.
    #[serde(default = "defaults::plan_key")]
    pub plan_key: PathBuf,
    /// Minutes between two proofs of the running engine with the model's golden images.
    #[serde(default = "defaults::prove_every_minutes", deserialize_with = "number::prove_every_minutes")]
    pub prove_every_minutes: NonZeroU32,
}

/// The section `[acquire]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcquireConfig {
    /// The folder that the scanner writes radiographs to.
    pub folder: PathBuf,
    /// How an image is matched to a trigger.
    #[serde(rename = "match")]
    pub matching: Matching,
    /// How long before its trigger an image may have been completed, in ms. If images are matched by order: how far image and
    /// trigger may be apart, and the pause after which images and triggers are in step again.
    #[serde(default = "defaults::lead_ms", deserialize_with = "number::lead_ms")]
    pub lead_ms: u64,
    /// The largest accepted image in pixels. Buffers for it are allocated at the start.
    #[serde(default = "defaults::largest_pixels", deserialize_with = "number::largest_pixels")]
    pub largest_pixels: NonZeroU64,
    /// Whether to decode images even if the Linux kernel lacks one of the sandbox's protections.
    #[serde(default)]
    pub allow_weaker_sandbox: bool,
    /// The folder that judged images are moved to, in folders by day. It must be on the same file system as `folder`.
    pub archive: PathBuf,
    /// Whether the map of each judged image is archived beside it.
    #[serde(default = "defaults::archive_maps")]
    pub archive_maps: bool,
    /// The quota of the archive in MiB. The oldest images are deleted first, with their maps.
    #[serde(default = "defaults::archive_quota_mib", deserialize_with = "number::archive_quota_mib")]
    pub archive_quota_mib: u64,
    /// The space that must stay free on the archive's disk, in MiB.
    #[serde(default = "defaults::min_free_mib", deserialize_with = "number::min_free_mib")]
    pub min_free_mib: u64,
}

/// How an image is matched to a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matching {
    /// The file's name without its extension is the part's number in decimal.
    PartId,
    /// By order: each part's image is completed before its trigger, at most `lead_ms` before.
    ImageFirst,
    /// By order: each part's image is completed after its trigger, until the part's deadline.
    TriggerFirst,
    /// Without triggers: each image is judged and recorded as it comes, and no PASS may be acted on. A trigger gets a REJECT.
    FreeRunning,
}

impl Matching {
    /// Whether images are matched to triggers by time alone.
    #[must_use]
    pub fn is_by_order(self) -> bool {
        matches!(self, Self::ImageFirst | Self::TriggerFirst)
    }
}

/// The section `[plc]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlcConfig {
    /// The serial port, by a stable name: /dev/serial/by-path/...
    pub port: PathBuf,
    /// The profile of the link.
    #[serde(default)]
    pub profile: Profile,
    /// Bits per second.
    #[serde(default = "defaults::baud", deserialize_with = "number::baud")]
    pub baud: NonZeroU32,
    /// Parity bit.
    #[serde(default)]
    pub parity: ParityConfig,
    /// Modbus unit, 1..=247.
    #[serde(default = "defaults::unit")]
    pub unit: Unit,
    /// The longest time from trigger to verdict, in ms. It is every part's deadline with the Modbus profile, whose registers
    /// carry no deadline.
    #[serde(default = "defaults::deadline_ms", deserialize_with = "number::deadline_ms")]
    pub deadline_ms: NonZeroU32,
}

/// How the link is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Cellgate's own frames, `protocol/SPEC.md`.
    #[default]
    Native,
    /// Modbus RTU with the appliance as server, `protocol/MODBUS.md`.
    Modbus,
}

/// The parity bit of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParityConfig {
    /// Even parity; Modbus's default.
    #[default]
    Even,
    /// Odd parity.
    Odd,
    /// No parity bit.
    None,
}

/// The section `[bundle]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BundleConfig {
    /// How many reference parts of a bundle must be confirmed, at most 1000; `None`: as many as the model was trained for.
    #[serde(deserialize_with = "number::reference_parts")]
    pub reference_parts: Option<NonZeroU32>,
    /// The largest number of parts of a bundle, at most 1000000. Then the bundle starts anew.
    #[serde(deserialize_with = "number::max_parts")]
    pub max_parts: NonZeroU32,
    /// The longest time of a bundle in hours, at most 168. Then the bundle starts anew.
    #[serde(deserialize_with = "number::max_hours")]
    pub max_hours: NonZeroU32,
    /// How a part without a bundle is judged.
    pub without: WithoutBundle,
}

impl Default for BundleConfig {
    fn default() -> Self {
        Self {
            reference_parts: None,
            max_parts: NonZeroU32::new(10_000).unwrap_or(NonZeroU32::MIN),
            max_hours: NonZeroU32::new(24).unwrap_or(NonZeroU32::MIN),
            without: WithoutBundle::Judge,
        }
    }
}

/// How a part without a bundle is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithoutBundle {
    /// By the thresholds without reference parts.
    #[default]
    Judge,
    /// Likewise, but it does not pass: a person reviews it.
    Review,
}

/// The section `[journal]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// The journal's file.
    pub path: PathBuf,
    /// For how many days verdicts are kept.
    #[serde(default = "defaults::keep_days", deserialize_with = "number::keep_days")]
    pub keep_days: NonZeroU32,
}

/// The section `[metrics]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Loopback address for Prometheus; `None`: no figures are served.
    pub listen: Option<SocketAddr>,
}

/// The section `[control]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlConfig {
    /// Path of the control socket; `None`: no commands are taken.
    pub socket: Option<PathBuf>,
}

/// The section `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The format of the log.
    #[serde(default)]
    pub format: LogFormat,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people and for journald.
    #[default]
    Text,
    /// One JSON object for each log line.
    Json,
}

/// The defaults of the keys in `edge.toml`. A test checks that `edge/edge.toml` has the same defaults.
mod defaults {
    use super::*;

    pub(super) fn precision() -> Precision {
        Precision::F32
    }
    pub(super) fn plans() -> PathBuf {
        TensorRtOptions::PLANS.into()
    }
    pub(super) fn plan_key() -> PathBuf {
        TensorRtOptions::KEY.into()
    }
    pub(super) fn prove_every_minutes() -> NonZeroU32 {
        NonZeroU32::new(60).unwrap_or(NonZeroU32::MIN)
    }
    pub(super) fn lead_ms() -> u64 {
        60_000
    }
    pub(super) fn largest_pixels() -> NonZeroU64 {
        NonZeroU64::new(8_000_000).unwrap_or(NonZeroU64::MIN)
    }
    pub(super) fn archive_maps() -> bool {
        true
    }
    pub(super) fn archive_quota_mib() -> u64 {
        20_480
    }
    pub(super) fn min_free_mib() -> u64 {
        2_048
    }
    pub(super) fn baud() -> NonZeroU32 {
        NonZeroU32::new(115_200).unwrap_or(NonZeroU32::MIN)
    }
    pub(super) fn unit() -> Unit {
        Unit::FIRST
    }
    pub(super) fn deadline_ms() -> NonZeroU32 {
        NonZeroU32::new(5_000).unwrap_or(NonZeroU32::MIN)
    }
    pub(super) fn keep_days() -> NonZeroU32 {
        NonZeroU32::new(400).unwrap_or(NonZeroU32::MIN)
    }
}

/// Why an `edge.toml` is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: {source}; expected an edge.toml (an example: cellgate-edge run --example)", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is not valid TOML, lacks a key, or has an unknown key or a value of the wrong type.
    #[error("{}: {source}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's error, with its place in the file.
        source: Box<toml::de::Error>,
    },
    /// A value is out of range or contradicts the value of another key.
    #[error("{}: {key}: found {found}, expected {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, such as `plc.unit`.
        key: &'static str,
        /// The value of the key.
        found: String,
        /// The allowed values.
        expected: Cow<'static, str>,
    },
}

impl Config {
    /// A complete `edge.toml`: each key with its default and meaning.
    pub const EXAMPLE: &str = include_str!("../../edge.toml");

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`] if the file can't be read, is not an `edge.toml`, or holds an invalid value.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads `text`, the content of the file at `path`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text)
            .map_err(|source| ConfigError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        config.check(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for relative in [
            Some(&mut config.model.path),
            config.model.onnxruntime.as_mut(),
            config.model.tensorrt.as_mut(),
            Some(&mut config.model.plans),
            Some(&mut config.model.plan_key),
            Some(&mut config.acquire.folder),
            Some(&mut config.acquire.archive),
            Some(&mut config.plc.port),
            Some(&mut config.journal.path),
            config.control.socket.as_mut(),
        ]
        .into_iter()
        .flatten()
        {
            *relative = folder.join(&relative);
        }
        config.check_places(path)?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests;
