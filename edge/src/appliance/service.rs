//! The one shape of a service: a thread that runs until it is shut down and shows that it lives.

use super::beat::Worker;
use super::shared::Shared;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a worker may stand still beyond what it allowed itself before the process ends.
const GRACE: Duration = Duration::from_secs(2);
/// How often the services are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long the services may take to return once they are shut down. Together with [`super::line::FINISH_MOST`] it stays
/// below the systemd unit's `TimeoutStopSec`.
const END_MOST: Duration = Duration::from_secs(3);

/// A service of the appliance.
///
/// - Run: [`Service::run`], in a thread of its own.
/// - Shutdown: it returns soon after [`Shared::is_shut_down`], and is not waited for beyond 3 s.
/// - Liveness: unless it is optional, it shows a sign of life to [`super::beat::Beats`] as often as it allowed itself.
pub(super) trait Service: Send + 'static {
    /// The name of its thread.
    fn name(&self) -> &'static str;

    /// Whether the appliance goes on without it.
    fn is_optional(&self) -> bool {
        false
    }

    /// Runs until the appliance is shut down.
    fn run(self);
}

/// The running services.
pub(super) struct Services {
    shared: Arc<Shared>,
    running: Vec<Running>,
}

struct Running {
    thread: JoinHandle<()>,
    is_optional: bool,
}

impl Running {
    fn name(&self) -> &str {
        self.thread.thread().name().unwrap_or_default()
    }
}

impl Services {
    /// No service yet.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, running: Vec::new() }
    }

    /// Starts a service.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn start(&mut self, service: impl Service) -> std::io::Result<()> {
        let is_optional = service.is_optional();
        let thread = std::thread::Builder::new().name(service.name().to_owned()).spawn(move || service.run())?;
        self.running.push(Running { thread, is_optional });
        Ok(())
    }

    /// Looks at the services until the one called `last` has returned; false where another one returned or stood still
    /// before, or `last` returned without being asked to.
    pub(super) fn supervise(&self, last: &str) -> bool {
        let Some(last) = self.running.iter().find(|service| service.name() == last) else { return false };
        let mut is_archiving = true;
        while !last.thread.is_finished() {
            std::thread::sleep(LOOK);
            let has_died = |service: &&Running| !service.is_optional && service.thread.is_finished();
            let dead = self.running.iter().filter(|service| service.name() != last.name()).find(has_died);
            if let Some(dead) = dead {
                tracing::error!(worker = dead.name(), "a worker died");
                return false;
            }
            if let Some(stuck) = self.shared.beats.stuck(GRACE).next() {
                tracing::error!(worker = stuck.name(), "a worker stands still");
                return false;
            }
            let is_stuck = self.shared.beats.is_stuck(Worker::Archiver, Duration::ZERO);
            if std::mem::replace(&mut is_archiving, !is_stuck) && is_stuck {
                tracing::error!("the archiver stands still: images stay in the scanner's folder, verdicts go on");
            }
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
        self.shared.is_stopping()
    }

    /// Shuts the services down; false where one takes too long or has panicked.
    pub(super) fn shut_down(self) -> bool {
        self.shared.shut_down();
        let start = Instant::now();
        while let Some(late) = self.running.iter().find(|service| !service.thread.is_finished()) {
            if start.elapsed() > END_MOST {
                tracing::error!(worker = late.name(), "a worker does not end");
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // All are joined, so that each panic is seen.
        let results: Vec<_> = self.running.into_iter().map(|service| service.thread.join().is_ok()).collect();
        results.into_iter().all(|is_ok| is_ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::shared::tests::shared;

    struct Trial<F>(&'static str, F);

    impl<F: FnOnce() + Send + 'static> Service for Trial<F> {
        fn name(&self) -> &'static str {
            self.0
        }

        fn run(self) {
            self.1();
        }
    }

    #[test]
    fn a_stop_is_supervised_until_the_last_service_has_finished_its_part() {
        let shared = Arc::new(shared());
        shared.engine.is_proven_now();
        let mut services = Services::new(Arc::clone(&shared));
        let seen = Arc::clone(&shared);
        // It ends as the port does: when it is told to, and has sent what there was to send.
        let port = move || {
            while !seen.is_stopping() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        services.start(Trial("port", port)).unwrap();
        let start = Instant::now();
        shared.give_up_engine("a context is lost");
        assert!(services.supervise("port") && start.elapsed() >= Duration::from_millis(100));
        assert!(services.shut_down() && shared.is_shut_down());
    }

    #[test]
    fn a_service_that_panicked_ends_the_appliance_also_where_no_verdict_needs_it() {
        let mut services = Services::new(Arc::new(shared()));
        services.start(Trial("port", || std::thread::sleep(Duration::from_secs(60)))).unwrap();
        services.start(Trial("archiver", || panic!("on purpose"))).unwrap();
        let start = Instant::now();
        assert!(!services.supervise("port"));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_service_that_does_not_return_is_not_waited_for_for_ever() {
        let mut services = Services::new(Arc::new(shared()));
        services.start(Trial("judge", || {})).unwrap();
        assert!(services.shut_down());
        let mut services = Services::new(Arc::new(shared()));
        services.start(Trial("archiver", || std::thread::sleep(Duration::from_secs(60)))).unwrap();
        assert!(!services.shut_down());
    }
}
