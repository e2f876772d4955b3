//! Starts all services, and waits until a signal or a failure ends the appliance.

use super::archiver::{Archiver, PROTECT_DAYS};
use super::bundle::{BundleSettings, Bundles};
use super::control::Control;
use super::engine_state::EngineState;
use super::judge::{Connections, Judge};
use super::line::{Backlog, Line, Memory};
use super::liveness::Worker;
use super::messages::{ArchiverQueue, JudgeQueue, LineQueue};
use super::page::Page;
use super::port::PortService;
use super::profile::PlcTransport;
use super::service::Services;
use super::shared::Shared;
use super::watcher::Watcher;
use crate::acquire::{Archive, ArchiveError};
use crate::config::{Config, Profile};
use crate::control::{self, ControlError};
use crate::journal::{Journal, JournalError, JournalOptions, Recovery, Retention, lock_of};
use crate::metrics::{self, About, ListenError, Metrics, MetricsError, Server};
use crate::pipeline::{Activation, EngineOptions, TensorRtOptions};
use crate::program::ProgramFile;
use crate::sandbox;
use cellgate_models::digest::Digest;
use cellgate_models::engine::OnnxRuntimeOptions;
use cellgate_models::model::{self, Model, ModelError};
use cellgate_models::radiograph::RadiographLimits;
use cellgate_protocol::session::device::{DeviceSession, DeviceSessionConfig};
use cellgate_protocol::session::repeat::first_wait_ms;
use cellgate_protocol::version::Schema;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The exit status after a supervised thread got stuck or panicked, or after the GPU was lost. The service manager then restarts
/// the appliance.
pub const STUCK: u8 = 70;
/// How long decoding one image may take.
const MAX_DECODE_TIME: Duration = Duration::from_millis(200);

/// Why the appliance can't start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The model was refused.
    #[error("the model was refused: {0}; set [model] path to an exported model")]
    Model(#[from] ModelError),
    /// The journal can't be used.
    #[error("the journal can't be used: {0}")]
    Journal(#[from] JournalError),
    /// The archive can't be used.
    #[error("the archive can't be used: {0}")]
    Archive(#[from] ArchiveError),
    /// The address for Prometheus is in use or does not belong to this machine.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The control socket can't be created, or another process listens there.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The metrics could not be registered.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A thread, a signal handler or the serial task could not be created.
    #[error("the system refused a thread, a signal handler or the serial task: {0}")]
    System(#[from] std::io::Error),
}

/// How the appliance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By a signal. The part in progress was finished, unless that took more than 10 s.
    Asked,
    /// A supervised thread got stuck or panicked, or the GPU was lost. The process must end with [`STUCK`] at once, without waiting
    /// for threads.
    Stuck,
}

/// Runs the appliance until SIGTERM or SIGINT, or until it fails (see [`Ended`]).
///
/// # Errors
/// [`RunError`] if it could not start.
pub fn run(config: &Config) -> Result<Ended, RunError> {
    let program = ProgramFile::of_this_process();
    let model = Model::open(&config.model.path, &model::ModelLimits::default())?;
    let digest = model.digest();
    // Listen before any file is written: if an address or socket is in use, the appliance ends without having changed anything.
    let server = config.metrics.listen.map(metrics::listen).transpose()?.map(Server::new).transpose()?;
    let control = config.control.socket.as_deref().map(control::Server::listen).transpose()?;
    let acquire = &config.acquire;
    let archive = Archive::open(&acquire.archive, acquire.archive_quota_mib, acquire.min_free_mib)?;
    let (journal, recovery) = Journal::open(&config.journal.path, journal_options(config))?;
    // For doctor.
    if let Some(program) = &program {
        program.note_in(&lock_of(&config.journal.path));
    }
    let metrics = metrics_of(config, digest, &recovery)?;
    log_start(config, digest, &recovery);
    let shared = Arc::new(Shared::new(metrics, stop_signals()?));

    let journal = Arc::new(journal);
    let (judge, to_judge) = JudgeQueue::new();
    let (answers, to_line) = LineQueue::new();
    let (archiver, to_archiver) = ArchiverQueue::new(Arc::clone(&shared));
    let bundle_settings = BundleSettings::new(&config.bundle, model.policy(), digest);
    let line = Line {
        transport: PlcTransport::new(session(config, &recovery), &config.plc),
        shared: Arc::clone(&shared),
        journal: Arc::clone(&journal),
        model: digest,
        judge: judge.clone(),
        answers: answers.clone(),
        archiver: archiver.clone(),
        backlog: Backlog::new(recovery.unacknowledged),
        bundles: Bundles::new(bundle_settings, recovery.bundle.as_ref()),
        memory: Memory::default(),
    };
    // Before the archiver starts.
    line.keep_reference_images();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connections = Connections { messages: to_judge, line: answers.clone(), archiver: archiver.clone() };
    let (folder, matching) = (acquire.folder.clone(), acquire.matching);

    let mut services = Services::new(Arc::clone(&shared));
    services.start(Judge::new(config, model, activation(config), Arc::clone(&shared), connections))?;
    services.start(Watcher { folder, matching, shared: Arc::clone(&shared), judge, archiver })?;
    let archiver = Archiver {
        archive,
        journal: Arc::clone(&journal),
        shared: Arc::clone(&shared),
        messages: to_archiver,
        archive_maps: config.acquire.archive_maps,
        program,
    };
    services.start(archiver)?;
    services.start(PortService { plc: config.plc.clone(), line, messages: to_line, runtime })?;
    if let Some(server) = server {
        services.start(Page { server, shared: Arc::clone(&shared) })?;
    }
    if let Some(server) = control {
        services.start(Control { server, line: answers, shared: Arc::clone(&shared) })?;
    }
    services.depend_on("journal", move || journal.is_running());
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    if !services.supervise() {
        return Ok(Ended::Stuck);
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    let have_returned = services.shut_down();
    Ok(ended(have_returned, &shared))
}

/// How the appliance ended, after all services were shut down.
fn ended(have_returned: bool, shared: &Shared) -> Ended {
    if have_returned && shared.engine.get() != EngineState::Lost { Ended::Asked } else { Ended::Stuck }
}

/// Registers a flag that SIGTERM and SIGINT set.
fn stop_signals() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

fn session(config: &Config, recovery: &Recovery) -> DeviceSession {
    DeviceSession::new(DeviceSessionConfig {
        device: config.device.id,
        boot_epoch: recovery.boot_epoch.get(),
        first_wait_ms: first_wait_ms(config.plc.baud.get()),
        schema: Schema::Two,
    })
}

/// New metrics. They count from zero, except for what opening the journal gave: the rows found in it, and the REJECT/RESTARTED rows
/// written into it.
fn metrics_of(config: &Config, model: Digest, recovery: &Recovery) -> Result<Metrics, MetricsError> {
    let profile = match config.plc.profile {
        Profile::Native => "native",
        Profile::Modbus => "modbus",
    };
    let about = About { device: config.device.id, model: model.to_string(), profile };
    let deadline = Duration::from_millis(config.plc.deadline_ms.get().into());
    let metrics = Metrics::new(&about, deadline, &Worker::ALL.map(Worker::name))?;
    metrics.store.opened(recovery.rows);
    recovery.restarted.iter().for_each(|row| metrics.parts.has_verdict(&row.entry));
    Ok(metrics)
}

fn log_start(config: &Config, model: Digest, recovery: &Recovery) {
    for row in &recovery.restarted {
        let (seq, part) = (row.seq, row.trigger.part);
        tracing::warn!(
            event = "part_restarted",
            seq,
            part,
            "the part was in progress when the appliance ended: it is REJECT/RESTARTED"
        );
    }
    tracing::info!(
        event = "appliance_started",
        device = config.device.id, boot_epoch = recovery.boot_epoch, rows = recovery.rows, model = %model,
        "the appliance has started"
    );
}

fn journal_options(config: &Config) -> JournalOptions {
    let retention =
        Retention { keep_days: Some(config.journal.keep_days.get()), keep_rows: None, protect_days: PROTECT_DAYS };
    JournalOptions { retention: Some(retention), ..JournalOptions::default() }
}

/// The configuration's settings for the engine and the sandbox.
#[must_use]
pub fn activation(config: &Config) -> Activation {
    let limits = RadiographLimits {
        max_pixels: config.acquire.largest_pixels.get(),
        max_time: MAX_DECODE_TIME,
        ..RadiographLimits::default()
    };
    let sandbox = sandbox::SandboxOptions {
        deadline: MAX_DECODE_TIME,
        require: !config.acquire.allow_weaker_sandbox,
        ..sandbox::SandboxOptions::new(limits)
    };
    let model = &config.model;
    Activation {
        precision: model.precision,
        engine: EngineOptions {
            choice: model.engine,
            onnxruntime: OnnxRuntimeOptions { library: model.onnxruntime.clone(), threads: model.threads },
            tensorrt: TensorRtOptions {
                libraries: model.tensorrt.clone(),
                plans: model.plans.clone(),
                key: model.plan_key.clone(),
                keep: true,
            },
        },
        sandbox,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::shared::tests::shared;

    #[test]
    fn a_lost_gpu_ends_the_process_as_stuck() {
        let shared = shared();
        shared.engine.set_proven();
        assert_eq!(ended(true, &shared), Ended::Asked);
        assert_eq!(ended(false, &shared), Ended::Stuck);
        shared.give_up_engine("a context is lost");
        assert_eq!(ended(true, &shared), Ended::Stuck);
    }
}
