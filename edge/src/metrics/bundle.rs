//! Creates and sets the metrics of the running bundle.

use super::make::gauge;
use cellgate_protocol::bundle::BundleState;
use prometheus::{IntGauge, Registry, Result};

/// The metrics of the running bundle.
#[derive(Debug)]
pub struct BundleFigures {
    number: IntGauge,
    step: IntGauge,
    confirmed: IntGauge,
    missing: IntGauge,
}

impl BundleFigures {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        Ok(Self {
            number: gauge(registry, "cellgate_bundle", "Number of the running bundle; 0 if no bundle is running.")?,
            step: gauge(
                registry,
                "cellgate_bundle_step",
                "Step of the running bundle: 0 no bundle, 1 reference parts are judged and no part passes, 2 judging with the offset, 3 \
                 the reference parts were refused and no part passes.",
            )?,
            confirmed: gauge(
                registry,
                "cellgate_bundle_reference_parts_confirmed",
                "Reference parts of the running bundle that are confirmed.",
            )?,
            missing: gauge(
                registry,
                "cellgate_bundle_reference_parts_missing",
                "Reference parts of the running bundle that must still be confirmed.",
            )?,
        })
    }

    /// Sets the running bundle.
    pub fn set(&self, bundle: &BundleState) {
        self.number.set(bundle.bundle.into());
        self.step.set(bundle.step.0.into());
        self.confirmed.set(bundle.confirmed.into());
        self.missing.set(bundle.missing.into());
    }
}
