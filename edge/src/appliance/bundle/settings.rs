//! Defines the settings of bundles, from configuration and model.

use crate::config::{BundleConfig, WithoutBundle};
use cellgate_models::digest::Digest;
use cellgate_models::policy::{NoPass, Policy, Rule};

/// Milliseconds in an hour.
const HOUR_MS: i64 = 3_600_000;

/// The settings, fixed at the start.
#[derive(Debug, Clone)]
pub(in crate::appliance) struct BundleSettings {
    /// The policy of the model that judges.
    pub(in crate::appliance) policy: Policy,
    /// The digest of that model.
    pub(in crate::appliance) model: Digest,
    /// How many reference parts must be confirmed; 0 if the model was trained without reference parts.
    pub(super) reference_parts: u32,
    /// The number of reference parts that the model's thresholds were chosen for, or 0.
    pub(super) trained_for: u32,
    /// The largest number of parts of a bundle.
    pub(super) max_parts: u64,
    /// The longest time of a bundle in ms.
    pub(super) max_ms: i64,
    /// The rule of parts without a bundle.
    pub(super) without: Rule,
}

impl BundleSettings {
    /// The settings of `config` with the model that has this policy and digest.
    pub(in crate::appliance) fn new(config: &BundleConfig, policy: &Policy, model: Digest) -> Self {
        let trained_for = policy.with().map_or(0, |(_, reference)| reference.parts());
        let reference_parts = config.reference_parts.filter(|_| trained_for > 0);
        Self {
            policy: *policy,
            model,
            trained_for,
            reference_parts: reference_parts.map_or(trained_for, std::num::NonZero::get),
            max_parts: config.max_parts.get().into(),
            max_ms: HOUR_MS * i64::from(config.max_hours.get()),
            without: Self::without(config, policy),
        }
    }

    /// The rule of parts without a bundle.
    pub(in crate::appliance) fn without(config: &BundleConfig, policy: &Policy) -> Rule {
        match config.without {
            WithoutBundle::Judge => policy.rule(),
            WithoutBundle::Review => policy.rule().without_pass(NoPass::ReferenceParts),
        }
    }

    /// Whether the model was trained with reference parts.
    pub(super) fn has_reference(&self) -> bool {
        self.reference_parts > 0
    }
}
