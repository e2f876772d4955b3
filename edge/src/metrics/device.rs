//! Creates and sets the metrics of the appliance's identity, state, workers and engine.

use super::make::{Family, Follower, counters, follower, gauge, gauges, info, seconds, times};
use crate::journal::now_unix_ms;
use cellgate_protocol::state::DeviceState;
use prometheus::{Gauge, IntCounter, IntGauge, Registry, Result};

/// The appliance's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The device's number on the link.
    pub device: u32,
    /// The model's digest.
    pub model: String,
    /// The profile of the link.
    pub profile: &'static str,
}

/// The metrics of state, workers and engine.
#[derive(Debug)]
pub struct DeviceFigures {
    state: IntGauge,
    healthy: IntGauge,
    workers: Family<&'static str, IntGauge>,
    engine_proven: IntGauge,
    engine_is_fallback: IntGauge,
    proofs: Family<bool, IntCounter>,
    proven_at: Family<bool, Gauge>,
    decoder_restarts: Follower,
    newer_program_waits: IntGauge,
}

/// The results of a proof (whether the golden images got their expected outputs) with their label values.
const RESULTS: [(bool, [&str; 1]); 2] = [(true, ["passed"]), (false, ["failed"])];

impl DeviceFigures {
    pub(super) fn new(registry: &Registry, about: &About, workers: &[&'static str]) -> Result<Self> {
        info(
            registry,
            "cellgate_appliance_info",
            "The appliance's identity; always 1.",
            [
                ("version", env!("CARGO_PKG_VERSION")),
                ("device", &about.device.to_string()),
                ("model", &about.model),
                ("profile", about.profile),
            ],
        )?;
        seconds(registry, "process_start_time_seconds", "When the appliance started, in seconds since 1970.")?
            .set(now_seconds());
        Ok(Self {
            state: gauge(
                registry,
                "cellgate_state",
                "State defined by OPC 40100-1: 1 preoperational, 2 halted, 3 error, 5 initialized, 6 ready, 7 single execution.",
            )?,
            healthy: gauge(registry, "cellgate_healthy", "Whether every worker that a PASS needs is alive: 0 or 1.")?,
            workers: gauges(
                registry,
                "cellgate_worker_alive",
                "Whether the worker gives its sign of life in time: 0 or 1.",
                "worker",
                workers.iter().map(|worker| (*worker, [*worker])),
            )?,
            engine_proven: gauge(
                registry,
                "cellgate_engine_proven",
                "Whether the engine passed its last proof on golden images: 0 or 1.",
            )?,
            engine_is_fallback: gauge(
                registry,
                "cellgate_engine_is_fallback",
                "Whether engine = \"auto\" judges on the CPU although there is a GPU or the program was built with TensorRT: 0 or 1.",
            )?,
            proofs: counters(
                registry,
                "cellgate_engine_proofs_total",
                "Proofs of the engine: on all golden images when it is loaded, then on one at a time.",
                ["result"],
                RESULTS,
            )?,
            proven_at: times(
                registry,
                "cellgate_engine_proof_timestamp_seconds",
                "When a proof last had this result, in seconds since 1970; 0: never.",
                "result",
                RESULTS,
            )?,
            decoder_restarts: follower(
                registry,
                "cellgate_decoder_restarts_total",
                "Times that the image decoder was replaced after it crashed, timed out or sent an invalid answer.",
            )?,
            newer_program_waits: gauge(
                registry,
                "cellgate_newer_program_waits",
                "Whether the program's file was replaced since the start, updated every minute: 0 or 1. A restart starts the new one.",
            )?,
        })
    }

    /// Sets the current state of the session with the PLC.
    pub fn set_state(&self, state: DeviceState) {
        self.state.set(i64::from(state.code().0));
    }

    /// Sets whether every worker that a PASS depends on is alive.
    pub fn set_health(&self, is_healthy: bool) {
        self.healthy.set(i64::from(is_healthy));
    }

    /// Sets whether the worker with this name is alive. Unknown names are ignored.
    pub fn set_worker(&self, worker: &'static str, is_alive: bool) {
        if let Some(gauge) = self.workers.get(&worker) {
            gauge.set(i64::from(is_alive));
        }
    }

    /// Counts a proof and notes its time.
    pub fn proved(&self, passed: bool) {
        self.engine_proven.set(i64::from(passed));
        if let Some(count) = self.proofs.get(&passed) {
            count.inc();
        }
        if let Some(time) = self.proven_at.get(&passed) {
            time.set(now_seconds());
        }
    }

    /// Sets whether `auto` loaded ONNX Runtime although there is a GPU or this program was built with TensorRT.
    pub fn set_fallback(&self, is_fallback: bool) {
        self.engine_is_fallback.set(i64::from(is_fallback));
    }

    /// Sets whether the program's file was replaced since the start.
    pub fn set_newer_program_waits(&self, waits: bool) {
        self.newer_program_waits.set(i64::from(waits));
    }

    /// Sets how often the current sandbox has replaced its decode worker. The metric is the sum over all sandboxes.
    pub fn set_decoder_restarts(&self, restarts: u64) {
        self.decoder_restarts.follow(restarts);
    }
}

/// Seconds since 1970.
fn now_seconds() -> f64 {
    now_unix_ms() as f64 / 1000.0
}
