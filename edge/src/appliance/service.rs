//! Defines the interface of every service (a thread that runs until shutdown and gives signs of life), and supervises the services.

use super::liveness::Worker;
use super::shared::Shared;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the sign of life of a supervised thread may be overdue before the process ends.
const GRACE: Duration = Duration::from_secs(2);
/// How often the services are checked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long the services may take to return after shutdown. The sum of this and [`super::line::MAX_FINISH_TIME`] must stay below
/// the systemd unit's `TimeoutStopSec`.
const MAX_END_TIME: Duration = Duration::from_secs(3);

/// A service of the appliance.
///
/// - Run: [`Service::run`], in its own thread.
/// - Shutdown: the service returns soon after [`Shared::is_shut_down`] becomes true. The supervisor waits 3 s at most.
/// - Liveness: unless the service is optional, it gives [`super::liveness::Liveness`] a sign of life within the time that it
///   allowed itself, and the appliance ends if it returns or panics before shutdown.
///
/// Two threads are special. The port returns without shutdown once the appliance is stopping and no part is in progress, or after
/// [`super::line::MAX_FINISH_TIME`]. Then the other services are shut down. The journal starts its own thread, because tests
/// use the journal without an appliance; see [`Services::depend_on`].
pub(super) trait Service: Send + 'static {
    /// The name of the service's thread.
    fn name(&self) -> &'static str;

    /// What the end of the service means for the appliance.
    fn role(&self) -> Role {
        Role::Needed
    }

    /// Runs until shutdown.
    fn run(self);
}

/// What the end of a service means for the appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The appliance ends if this service ends before shutdown.
    Needed,
    /// The appliance continues without this service.
    Optional,
    /// This service returns once the appliance is stopping. Then the other services are shut down.
    Last,
}

/// The running services.
pub(super) struct Services {
    shared: Arc<Shared>,
    running: Vec<Running>,
    /// Threads that the appliance needs and that are no services, such as the journal's.
    dependencies: Vec<Dependency>,
}

/// The name of a thread that is not a service's, and whether it runs.
type Dependency = (&'static str, Box<dyn Fn() -> bool>);

struct Running {
    thread: JoinHandle<()>,
    role: Role,
}

impl Running {
    fn name(&self) -> &str {
        self.thread.thread().name().unwrap_or_default()
    }
}

impl Services {
    /// Supervises services that are started later with [`Self::start`].
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, running: Vec::new(), dependencies: Vec::new() }
    }

    /// Adds a needed thread that is not a service's. The appliance ends when `is_running` returns false.
    pub(super) fn depend_on(&mut self, name: &'static str, is_running: impl Fn() -> bool + 'static) {
        self.dependencies.push((name, Box::new(is_running)));
    }

    /// Starts a service.
    ///
    /// # Errors
    /// The thread could not be created.
    pub(super) fn start(&mut self, service: impl Service) -> std::io::Result<()> {
        let role = service.role();
        let thread = std::thread::Builder::new().name(service.name().to_owned()).spawn(move || service.run())?;
        self.running.push(Running { thread, role });
        Ok(())
    }

    /// Supervises the services until the one with [`Role::Last`] returns. Returns false if a needed thread ended or got stuck
    /// before that, or if the service with [`Role::Last`] returned without a request to stop.
    pub(super) fn supervise(&self) -> bool {
        let mut is_archiving = true;
        loop {
            let (has_ended, is_stopping) = (self.ended(Role::Last), self.shared.is_stopping());
            if has_ended.is_some() && is_stopping {
                return true;
            }
            if let Some(dead) = has_ended.or_else(|| self.ended(Role::Needed)) {
                tracing::error!(event = "worker_died", worker = dead, "the worker's thread ended");
                return false;
            }
            if let Some(stuck) = self.shared.liveness.stuck(GRACE).next() {
                tracing::error!(event = "worker_stuck", worker = stuck.name(), "the worker is stuck");
                return false;
            }
            let is_stuck = self.shared.liveness.is_stuck(Worker::Archiver, GRACE);
            if std::mem::replace(&mut is_archiving, !is_stuck) && is_stuck {
                tracing::error!(event = "archiver_stuck", "images stay in the scanner's folder; verdicts continue");
            }
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// The name of a thread with this role that has ended, if any. The dependencies have the role [`Role::Needed`].
    fn ended(&self, role: Role) -> Option<&str> {
        let mut services = self.running.iter().filter(|service| service.role == role);
        let service = services.find(|service| service.thread.is_finished()).map(Running::name);
        let mut dependencies = self.dependencies.iter().filter(|_| role == Role::Needed);
        service.or_else(|| dependencies.find(|(_, is_running)| !is_running()).map(|(name, _)| *name))
    }

    /// Shuts the services down. Returns false if a service takes too long, or if one that is not optional has panicked.
    pub(super) fn shut_down(self) -> bool {
        let Self { shared, running, dependencies } = self;
        shared.shut_down();
        drop(dependencies);
        let start = Instant::now();
        while let Some(late) = running.iter().find(|service| !service.thread.is_finished()) {
            if start.elapsed() > MAX_END_TIME {
                tracing::error!(event = "worker_not_ending", worker = late.name(), "the worker does not end");
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        running.into_iter().all(|service| service.thread.join().is_ok() || service.role == Role::Optional)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::shared::tests::shared;

    /// A service with this name, this role and this function as [`Service::run`].
    struct TestService<F>(&'static str, Role, F);

    impl<F: FnOnce() + Send + 'static> Service for TestService<F> {
        fn name(&self) -> &'static str {
            self.0
        }

        fn role(&self) -> Role {
            self.1
        }

        fn run(self) {
            self.2();
        }
    }

    #[test]
    fn services_are_supervised_until_the_last_one_returns() {
        let shared = Arc::new(shared());
        shared.engine.set_proven();
        let mut services = Services::new(Arc::clone(&shared));
        let seen = Arc::clone(&shared);
        // Like the port: it returns some time after the request to stop.
        let port = move || {
            while !seen.is_stopping() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        services.start(TestService("port", Role::Last, port)).unwrap();
        let start = Instant::now();
        shared.give_up_engine("a context is lost");
        assert!(services.supervise() && start.elapsed() >= Duration::from_millis(100));
        assert!(services.shut_down() && shared.is_shut_down());
    }

    #[test]
    fn a_panic_of_the_archiver_ends_the_appliance() {
        let mut services = Services::new(Arc::new(shared()));
        services.start(TestService("port", Role::Last, || std::thread::sleep(Duration::from_secs(60)))).unwrap();
        services.start(TestService("archiver", Role::Needed, || panic!("on purpose"))).unwrap();
        let start = Instant::now();
        assert!(!services.supervise());
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_port_that_returns_too_early_and_a_dead_journal_end_the_appliance() {
        let mut services = Services::new(Arc::new(shared()));
        services.start(TestService("port", Role::Last, || {})).unwrap();
        assert!(!services.supervise());
        let mut services = Services::new(Arc::new(shared()));
        services.start(TestService("port", Role::Last, || std::thread::sleep(Duration::from_secs(60)))).unwrap();
        services.depend_on("journal", || false);
        assert!(!services.supervise());
    }

    #[test]
    fn a_panic_of_an_optional_service_does_not_end_the_appliance() {
        let shared = Arc::new(shared());
        let mut services = Services::new(Arc::clone(&shared));
        services.start(TestService("metrics", Role::Optional, || panic!("on purpose"))).unwrap();
        let seen = Arc::clone(&shared);
        let port = move || {
            std::thread::sleep(Duration::from_millis(200));
            seen.give_up_engine("a test stops the appliance this way");
        };
        services.start(TestService("port", Role::Last, port)).unwrap();
        assert!(services.supervise());
        assert!(services.shut_down());
    }

    #[test]
    fn the_wait_for_a_service_that_does_not_return_is_limited() {
        let mut services = Services::new(Arc::new(shared()));
        services.start(TestService("judge", Role::Needed, || {})).unwrap();
        assert!(services.shut_down());
        let mut services = Services::new(Arc::new(shared()));
        services.start(TestService("archiver", Role::Needed, || std::thread::sleep(Duration::from_secs(60)))).unwrap();
        assert!(!services.shut_down());
    }
}
