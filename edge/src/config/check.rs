//! Checks values that their types allow but that make no sense.

use super::{BAUDS, Config, ConfigError, Matching, most_threads};
use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

/// The limit of `acquire.largest_pixels`: 256 Mi pixels, as many as `convert::LaunchSequence::MAX_PIXELS`.
const MAX_PIXELS: u64 = 1 << 28;
/// The longest interval between two proofs: a year.
const MAX_PROVE_MINUTES: u32 = 525_600;
/// The longest time between image and trigger: a day.
const MAX_LEAD_MS: u64 = 86_400_000;

impl Config {
    /// Checks each value. `path` is the path of the configuration's file, for the error.
    pub(super) fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let refuse = |key, found: String, expected: Cow<'static, str>| {
            Err(ConfigError::Value { path: path.to_owned(), key, found, expected })
        };
        let value = |key, found: String, expected: &'static str| refuse(key, found, expected.into());
        let model = &self.model;
        for (key, named) in [
            ("model.path", Some(&model.path)),
            ("model.onnxruntime", model.onnxruntime.as_ref()),
            ("model.tensorrt", model.tensorrt.as_ref()),
            ("model.plans", Some(&model.plans)),
            ("model.plan_key", Some(&model.plan_key)),
            ("acquire.folder", Some(&self.acquire.folder)),
            ("acquire.archive", Some(&self.acquire.archive)),
            ("plc.port", Some(&self.plc.port)),
            ("journal.path", Some(&self.journal.path)),
            ("control.socket", self.control.socket.as_ref()),
        ] {
            if named.is_some_and(|named| named.as_os_str().is_empty()) {
                return value(key, "\"\"".to_owned(), "a path");
            }
        }
        let cores = most_threads();
        if let Some(threads) = self.model.threads.filter(|threads| threads.get() > cores) {
            let expected =
                format!("1 to {cores}, the number of this machine's cores; without the key, one thread for each core");
            return refuse("model.threads", threads.to_string(), expected.into());
        }
        let minutes = self.model.prove_every_minutes.get();
        if minutes > MAX_PROVE_MINUTES {
            return value("model.prove_every_minutes", minutes.to_string(), "1 to 525600, a year");
        }
        if !BAUDS.contains(&self.plc.baud.get()) {
            return value("plc.baud", self.plc.baud.to_string(), "a speed that serial ports support, such as 115200");
        }
        if !(50..=600_000).contains(&self.plc.deadline_ms.get()) {
            return value("plc.deadline_ms", self.plc.deadline_ms.to_string(), "50 to 600000");
        }
        if self.acquire.largest_pixels.get() > MAX_PIXELS {
            let found = self.acquire.largest_pixels.to_string();
            return value("acquire.largest_pixels", found, "at most 268435456");
        }
        if self.acquire.archive_quota_mib == 0 {
            let expected = "1 or more MiB; to limit the archive by min_free_mib alone, a number larger than the disk";
            return value("acquire.archive_quota_mib", "0".to_owned(), expected);
        }
        let lead_ms = self.acquire.lead_ms;
        if lead_ms > MAX_LEAD_MS {
            return value("acquire.lead_ms", lead_ms.to_string(), "at most 86400000, a day");
        }
        if self.acquire.matching == Matching::TriggerFirst && lead_ms < u64::from(self.plc.deadline_ms.get()) {
            let expected = "at least plc.deadline_ms with match = \"trigger-first\", as an image may come that late";
            return value("acquire.lead_ms", lead_ms.to_string(), expected);
        }
        if self.acquire.matching == Matching::ImageFirst && lead_ms == 0 {
            let expected = "more than 0 with match = \"image-first\", as each image comes before its trigger";
            return value("acquire.lead_ms", lead_ms.to_string(), expected);
        }
        let bundle = &self.bundle;
        for (key, found, most, expected) in [
            ("bundle.reference_parts", bundle.reference_parts, 1_000, "1 to 1000 parts"),
            ("bundle.max_parts", Some(bundle.max_parts), 1_000_000, "1 to 1000000 parts"),
            ("bundle.max_hours", Some(bundle.max_hours), 168, "1 to 168 hours, a week"),
        ] {
            if let Some(found) = found.filter(|found| found.get() > most) {
                return value(key, found.to_string(), expected);
            }
        }
        if let Some(listen) = self.metrics.listen.filter(|listen| !listen.ip().is_loopback()) {
            return value("metrics.listen", listen.to_string(), "a loopback address, such as 127.0.0.1:9469");
        }
        Ok(())
    }

    /// Checks that neither the archive nor the scanner's folder is inside the other, and that the journal is in neither. `path` is
    /// the path of the configuration's file, for the error.
    pub(super) fn check_places(&self, path: &Path) -> Result<(), ConfigError> {
        let scans = ("acquire.folder", &self.acquire.folder);
        let archive = ("acquire.archive", &self.acquire.archive);
        let journal = ("journal.path", &self.journal.path);
        for ((key, inner), (_, outer)) in [(archive, scans), (scans, archive), (journal, archive), (journal, scans)] {
            if real(inner).starts_with(real(outer)) {
                let expected = match key {
                    "acquire.archive" => "a folder outside acquire.folder",
                    "acquire.folder" => "a folder outside acquire.archive",
                    _ => "a file outside acquire.archive and acquire.folder",
                };
                let found = inner.display().to_string();
                return Err(ConfigError::Value { path: path.to_owned(), key, found, expected: expected.into() });
            }
        }
        Ok(())
    }
}

/// The absolute path without `..`, and without symbolic links as far as it exists.
fn real(path: &Path) -> PathBuf {
    let mut real = PathBuf::new();
    for component in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        if component == Component::ParentDir {
            real.pop();
        } else {
            real.push(component);
        }
        real = real.canonicalize().unwrap_or(real);
    }
    real
}
