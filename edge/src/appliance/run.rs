//! All threads together, until a signal ends them.

use super::beat::{Beats, Clock, Worker};
use super::judge::{EngineState, Judge, Work};
use super::line::{Line, Memory};
use super::profile::DeviceEnd;
use super::record::Recorder;
use super::{keep, port, watch};
use crate::acquire::{Archive, ArchiveError, Matcher};
use crate::config::{Config, Profile};
use crate::journal::{Journal, JournalError, Options, Retention};
use crate::metrics::{self, About, ListenError, Metrics, MetricsError};
use crate::pipeline::{Activation, EngineOptions, TensorRtOptions};
use crate::sandbox;
use cellgate_models::bundle::{self, Bundle, BundleError};
use cellgate_models::engine::OnnxRuntimeOptions;
use cellgate_models::radiograph::Limits;
use cellgate_protocol::session::device::{DeviceConfig, DeviceSession};
use cellgate_protocol::session::repeat::first_wait_ms;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;

/// The exit status where a worker stands still or panicked, or the GPU is lost: the service manager starts the appliance anew.
pub const STUCK: u8 = 70;
/// How long a worker may stand still beyond what it allowed itself before the process ends.
const GRACE: Duration = Duration::from_secs(2);
/// How often the workers are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long the threads may take to end after the line did. With the line's own [`super::line::FINISH_MOST`] it stays below
/// the service's `TimeoutStopSec`.
const END_MOST: Duration = Duration::from_secs(3);
/// How much longer than a part may take a proof of the running engine that is due waits for the part in hand.
const PROVE_WAIT_MORE: Duration = Duration::from_secs(1);
/// What decoding one image may take.
const DECODE_MOST: Duration = Duration::from_millis(200);
/// Verdicts of so many days stay, whatever is configured.
pub(super) const PROTECT_DAYS: u32 = 7;

/// Why the appliance can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The bundle was refused.
    #[error("the bundle was refused: {0}; set [model] bundle to an exported one")]
    Bundle(#[from] BundleError),
    /// The journal can't be used.
    #[error("the journal can't be used: {0}")]
    Journal(#[from] JournalError),
    /// The archive can't be used.
    #[error("the archive can't be used: {0}")]
    Archive(#[from] ArchiveError),
    /// Nobody can listen at the address for Prometheus.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The figures for Prometheus can't be kept.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A thread, a signal handler or the serial task can't be made.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// What all threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) beats: Beats,
    pub(super) engine: EngineState,
    pub(super) metrics: Metrics,
    /// A signal asked the appliance to end.
    pub(super) stop: Arc<AtomicBool>,
    /// The line has ended: nobody waits for an image any more.
    pub(super) line_ended: AtomicBool,
}

impl Shared {
    /// Whether to go on with what takes long: not once the appliance is to end.
    pub(super) fn go_on(&self) -> ControlFlow<()> {
        if self.stop.load(Ordering::Acquire) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Only a new process can run the engine again: what is in hand is finished as when a signal asks the appliance to end, and
    /// then the process ends with [`STUCK`].
    pub(super) fn give_up_engine(&self, detail: &str) {
        tracing::error!(
            detail,
            "not ready: the GPU is lost; the part in hand is finished, and the process starts anew"
        );
        self.engine.lose();
        self.stop.store(true, Ordering::Release);
    }

    /// How the appliance ended, once its line has.
    fn ended(&self, all_threads: bool) -> Ended {
        if all_threads && !self.engine.is_lost() { Ended::Asked } else { Ended::Stuck }
    }
}

/// How the appliance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By a signal; the part in hand was finished.
    Asked,
    /// A worker stood still or panicked, or the GPU is lost: the process is to end with [`STUCK`], without waiting for anything.
    Stuck,
}

/// Runs the appliance until SIGTERM or SIGINT.
///
/// # Errors
/// [`RunError`]: it did not start.
pub fn run(config: &Config) -> Result<Ended, RunError> {
    let bundle = Bundle::open(&config.model.bundle, &bundle::Limits::default())?;
    let model = bundle.digest();
    let acquire = &config.acquire;
    // Before anything is written: who finds the address taken, finds everything else as it was.
    let listener = config.metrics.listen.map(metrics::listen).transpose()?;
    let archive = Archive::open(&acquire.archive, acquire.archive_quota_mib, acquire.min_free_mib)?;
    let (journal, recovery) = Journal::open(&config.journal.path, journal_options(config))?;
    let metrics = figures(config, &model.to_string())?;
    metrics.store.opened(recovery.rows);
    for row in &recovery.restarted {
        metrics.parts.has_verdict(&row.entry);
        tracing::warn!(seq = row.seq, part = row.trigger.part, "in hand when the appliance ended: REJECT/RESTARTED");
    }
    tracing::info!(
        device = config.device.id, boot_epoch = recovery.boot_epoch, rows = recovery.rows, bundle = %model,
        "the appliance starts"
    );

    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let clock = Clock::start();
    let (beats, engine) = (Beats::new(clock), EngineState::default());
    let shared = Arc::new(Shared { clock, beats, engine, metrics, stop, line_ended: AtomicBool::new(false) });
    let journal = Arc::new(journal);
    let (work, work_receiver) = channel();
    let (requests, requests_receiver) = channel();
    let (chores, chores_receiver) = channel();
    let (told, told_receiver) = unbounded_channel();

    let judge = Judge {
        bundle,
        activation: activation(config),
        prove_every: Duration::from_secs(60 * u64::from(config.model.prove_every_minutes.get())),
        prove_wait_most: PROVE_WAIT_MORE + Duration::from_millis(config.plc.deadline_ms.get().into()),
        matcher: Matcher::new(acquire.matching, Duration::from_millis(acquire.lead_ms), Instant::now()),
        matching: acquire.matching,
        shared: Arc::clone(&shared),
        work: work_receiver,
        told: told.clone(),
        requests: requests.clone(),
        chores: chores.clone(),
    };
    let recorder = Recorder {
        journal: Arc::clone(&journal),
        model,
        shared: Arc::clone(&shared),
        requests: requests_receiver,
        told,
        chores: chores.clone(),
        owed: None,
        free: 0,
    };
    let session = DeviceSession::new(DeviceConfig {
        device: config.device.id,
        boot_epoch: recovery.boot_epoch.get(),
        first_wait_ms: first_wait_ms(config.plc.baud.get()),
    });
    let mut line = Line {
        end: DeviceEnd::new(session, &config.plc),
        shared: Arc::clone(&shared),
        journal: Arc::clone(&journal),
        model,
        work: work.clone(),
        requests,
        chores: chores.clone(),
        undelivered: recovery.unacknowledged.into_iter().map(|row| (row.seq.get(), row)).collect(),
        memory: Memory::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (plc, folder, matching) = (config.plc.clone(), acquire.folder.clone(), acquire.matching);

    let watched = Arc::clone(&shared);
    let arrivals = work.clone();
    let mut threads = vec![
        spawn("judge", move || judge.run())?,
        spawn("record", move || recorder.run())?,
        spawn("watch", move || watch::run(&folder, matching, &watched, &arrivals, &chores))?,
    ];
    let kept = Arc::clone(&shared);
    threads.push(spawn("keep", move || keep::run(archive, &journal, &kept, &chores_receiver))?);
    let line = spawn("line", move || runtime.block_on(port::serve(&plc, &mut line, told_receiver)))?;
    let shown = Arc::clone(&shared);
    let _server = listener.map(|listener| metrics::serve(listener, move || page(&shown))).transpose()?;
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    if !supervise(&shared, &line, &threads) {
        return Ok(Ended::Stuck);
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    shared.line_ended.store(true, Ordering::Release);
    let _ = work.send(Work::Stop);
    drop(work);
    threads.push(line);
    Ok(shared.ended(all_end(threads)))
}

/// Waits for the threads; false where one takes too long or has panicked.
fn all_end(threads: Vec<JoinHandle<()>>) -> bool {
    let start = Instant::now();
    while let Some(late) = threads.iter().find(|thread| !thread.is_finished()) {
        if start.elapsed() > END_MOST {
            tracing::error!(worker = late.thread().name(), "a worker does not end");
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    threads.into_iter().all(|thread| thread.join().is_ok())
}

/// Looks at the workers until the line has ended; false where one stood still or panicked before.
fn supervise(shared: &Shared, line: &JoinHandle<()>, workers: &[JoinHandle<()>]) -> bool {
    let mut keeps = true;
    while !line.is_finished() {
        std::thread::sleep(LOOK);
        if let Some(dead) = workers.iter().find(|worker| worker.is_finished()) {
            tracing::error!(worker = dead.thread().name(), "a worker died");
            return false;
        }
        if let Some(stuck) = shared.beats.stuck(GRACE).next() {
            tracing::error!(worker = stuck.name(), "a worker stands still");
            return false;
        }
        let kept = std::mem::replace(&mut keeps, !shared.beats.is_stuck(Worker::Keep, Duration::ZERO));
        if kept && !keeps {
            tracing::error!("the archive's thread stands still: images stay in the scanner's folder, verdicts go on");
        }
        let _ = sd_notify::notify(&[NotifyState::Watchdog]);
    }
    shared.stop.load(Ordering::Acquire)
}

/// All figures at zero.
fn figures(config: &Config, bundle: &str) -> Result<Metrics, MetricsError> {
    let profile = match config.plc.profile {
        Profile::Native => "native",
        Profile::Modbus => "modbus",
    };
    let about = About { device: config.device.id, bundle: bundle.to_owned(), profile };
    let deadline = Duration::from_millis(config.plc.deadline_ms.get().into());
    Metrics::new(&about, deadline, &Worker::ALL.map(Worker::name))
}

/// The figures as they are now, with what the workers show.
fn page(shared: &Shared) -> Option<String> {
    let Shared { beats, metrics, .. } = shared;
    metrics.device.show_health(beats.health().is_some());
    for worker in Worker::ALL {
        metrics.device.show_worker(worker.name(), !beats.is_stuck(worker, Duration::ZERO));
    }
    metrics.page().inspect_err(|error| tracing::error!(%error, "no figures")).ok()
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

fn journal_options(config: &Config) -> Options {
    let retention =
        Retention { keep_days: Some(config.journal.keep_days.get()), keep_rows: None, protect_days: PROTECT_DAYS };
    Options { retention: Some(retention), ..Options::default() }
}

/// How the bundle's network is run and images are decoded, as the configuration says.
#[must_use]
pub fn activation(config: &Config) -> Activation {
    let limits = Limits { max_pixels: config.acquire.largest_pixels.get(), max_time: DECODE_MOST, ..Limits::default() };
    let sandbox = sandbox::Options {
        deadline: DECODE_MOST,
        require: !config.acquire.allow_weaker_sandbox,
        ..sandbox::Options::new(limits)
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

    fn shared() -> Shared {
        let clock = Clock::start();
        let beats = Beats::new(clock);
        Worker::NEEDED.into_iter().for_each(|worker| beats.busy(worker, Duration::from_secs(60)));
        let about = About { device: 1, bundle: String::new(), profile: "native" };
        let metrics = Metrics::new(&about, Duration::from_secs(5), &[]).unwrap();
        Shared {
            clock,
            beats,
            engine: EngineState::default(),
            metrics,
            stop: Arc::default(),
            line_ended: AtomicBool::new(false),
        }
    }

    #[test]
    fn a_lost_gpu_ends_the_process_after_the_part_in_hand() {
        let shared = Arc::new(shared());
        shared.engine.set(EngineState::PROVEN);
        assert_eq!(shared.ended(true), Ended::Asked);
        let seen = Arc::clone(&shared);
        // A line that ends as the real one does: when it is told to, and has said what there was to say.
        let line = spawn("line", move || {
            while !seen.stop.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(100));
        });
        let (line, start) = (line.unwrap(), Instant::now());
        shared.give_up_engine("a context is lost");
        assert!(supervise(&shared, &line, &[]) && start.elapsed() >= Duration::from_millis(100));
        assert!(!shared.engine.is_proven() && !shared.engine.may_prove());
        assert_eq!(shared.ended(true), Ended::Stuck);
    }

    #[test]
    fn a_thread_that_panicked_ends_the_appliance_also_where_no_verdict_needs_it() {
        let shared = shared();
        let line = spawn("line", || std::thread::sleep(Duration::from_secs(60))).unwrap();
        let dead = spawn("keep", || panic!("on purpose")).unwrap();
        let start = Instant::now();
        assert!(!supervise(&shared, &line, &[dead]));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn threads_that_do_not_end_are_not_waited_for_for_ever() {
        let late = spawn("keep", || std::thread::sleep(Duration::from_secs(60))).unwrap();
        let ended = spawn("judge", || {}).unwrap();
        assert!(all_end(vec![ended]));
        assert!(!all_end(vec![late]));
    }
}
