//! Service: the page of metrics for Prometheus. Optional: no verdict needs it.

use super::liveness::Worker;
use super::service::{Role, Service};
use super::shared::Shared;
use crate::metrics::Server;
use std::sync::Arc;
use std::time::Duration;

/// The service that serves the metrics.
pub(super) struct Page {
    pub(super) server: Server,
    pub(super) shared: Arc<Shared>,
}

impl Service for Page {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn role(&self) -> Role {
        Role::Optional
    }

    fn run(self) {
        let (shown, shared) = (Arc::clone(&self.shared), self.shared);
        if let Err(error) = self.server.run(move || page(&shown), move || shared.is_shut_down()) {
            tracing::error!(%error, "metrics are not served any more");
        }
    }
}

/// The metrics as they are now, with the workers' signs of life.
fn page(shared: &Shared) -> Option<String> {
    let Shared { liveness, metrics, .. } = shared;
    metrics.device.set_health(liveness.health().is_some());
    for worker in Worker::ALL {
        metrics.device.set_worker(worker.name(), !liveness.is_stuck(worker, Duration::ZERO));
    }
    metrics.page().inspect_err(|error| tracing::error!(%error, "no metrics")).ok()
}
