//! Service: serves the metrics page for Prometheus. The service is optional: no verdict depends on it.

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
        let (source, shared) = (Arc::clone(&self.shared), self.shared);
        if let Err(error) = self.server.run(move || page(&source), move || shared.is_shut_down()) {
            tracing::error!(event = "metrics_stopped", %error, "metrics are no longer served");
        }
    }
}

/// Updates the metrics of health and workers, and returns all metrics as text. `None` if the text can't be written.
fn page(shared: &Shared) -> Option<String> {
    let Shared { liveness, metrics, .. } = shared;
    metrics.device.set_health(liveness.health().is_some());
    for worker in Worker::ALL {
        metrics.device.set_worker(worker.name(), !liveness.is_stuck(worker, Duration::ZERO));
    }
    let page = metrics.page();
    page.inspect_err(|error| tracing::error!(event = "metrics_failed", %error, "the metrics page could not be written"))
        .ok()
}
