//! The one shape of a service: a thread that runs until it is shut down and shows that it lives.

use super::liveness::Worker;
use super::shared::Shared;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a worker may stand still beyond what it allowed itself before the process ends.
const GRACE: Duration = Duration::from_secs(2);
/// How often the services are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long the services may take to return once they are shut down. Together with [`super::line::MAX_FINISH_TIME`] it stays
/// below the systemd unit's `TimeoutStopSec`.
const MAX_END_TIME: Duration = Duration::from_secs(3);

/// A service of the appliance.
///
/// - Run: [`Service::run`], in a thread of its own.
/// - Shutdown: it returns soon after [`Shared::is_shut_down`], and is not waited for beyond 3 s.
/// - Liveness: unless it is optional, it shows a sign of life to [`super::liveness::Liveness`] as often as it allowed itself, and the
///   appliance ends where it returns or panics before.
///
/// Two are special. The port returns by itself once the appliance is to stop and nothing is in hand; the others are shut down
/// then. The journal, which other programs use without an appliance, makes its own thread; see [`Services::depend_on`].
pub(super) trait Service: Send + 'static {
    /// The name of its thread.
    fn name(&self) -> &'static str;

    /// What its end means.
    fn role(&self) -> Role {
        Role::Needed
    }

    /// Runs until the appliance is shut down.
    fn run(self);
}

/// What the end of a service means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The appliance ends where it ends before it is shut down.
    Needed,
    /// The appliance goes on without it.
    Optional,
    /// It returns once the appliance is to stop, and the others are shut down then.
    Last,
}

/// The running services.
pub(super) struct Services {
    shared: Arc<Shared>,
    running: Vec<Running>,
    /// Threads that others made, and whether they run.
    others: Vec<Other>,
}

/// A thread that is no service's: its name, and whether it runs.
type Other = (&'static str, Box<dyn Fn() -> bool>);

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
    /// No service yet.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, running: Vec::new(), others: Vec::new() }
    }

    /// The appliance ends where `is_running` says that this thread, which is no service's, has ended.
    pub(super) fn depend_on(&mut self, name: &'static str, is_running: impl Fn() -> bool + 'static) {
        self.others.push((name, Box::new(is_running)));
    }

    /// Starts a service.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn start(&mut self, service: impl Service) -> std::io::Result<()> {
        let role = service.role();
        let thread = std::thread::Builder::new().name(service.name().to_owned()).spawn(move || service.run())?;
        self.running.push(Running { thread, role });
        Ok(())
    }

    /// Looks at the services until the last one has returned; false where another one returned or stood still before, or the
    /// last one returned without being asked to.
    pub(super) fn supervise(&self) -> bool {
        let mut is_archiving = true;
        loop {
            let (has_ended, is_stopping) = (self.ended(Role::Last), self.shared.is_stopping());
            if has_ended.is_some() && is_stopping {
                return true;
            }
            if let Some(dead) = has_ended.or_else(|| self.ended(Role::Needed)) {
                tracing::error!(worker = dead, "a worker died");
                return false;
            }
            if let Some(stuck) = self.shared.liveness.stuck(GRACE).next() {
                tracing::error!(worker = stuck.name(), "a worker stands still");
                return false;
            }
            let is_stuck = self.shared.liveness.is_stuck(Worker::Archiver, Duration::ZERO);
            if std::mem::replace(&mut is_archiving, !is_stuck) && is_stuck {
                tracing::error!("the archiver stands still: images stay in the scanner's folder, verdicts go on");
            }
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// The name of a thread of this role that has ended, if there is one.
    fn ended(&self, role: Role) -> Option<&str> {
        let mut services = self.running.iter().filter(|service| service.role == role);
        let service = services.find(|service| service.thread.is_finished()).map(Running::name);
        let mut others = self.others.iter().filter(|_| role == Role::Needed);
        service.or_else(|| others.find(|(_, is_running)| !is_running()).map(|(name, _)| *name))
    }

    /// Shuts the services down; false where one takes too long or has panicked.
    pub(super) fn shut_down(self) -> bool {
        let Self { shared, running, others } = self;
        shared.shut_down();
        drop(others);
        let start = Instant::now();
        while let Some(late) = running.iter().find(|service| !service.thread.is_finished()) {
            if start.elapsed() > MAX_END_TIME {
                tracing::error!(worker = late.name(), "a worker does not end");
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

    struct Trial<F>(&'static str, Role, F);

    impl<F: FnOnce() + Send + 'static> Service for Trial<F> {
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
    fn a_stop_is_supervised_until_the_last_service_has_finished_its_part() {
        let shared = Arc::new(shared());
        shared.engine.set_proven();
        let mut services = Services::new(Arc::clone(&shared));
        let seen = Arc::clone(&shared);
        // It ends as the port does: when it is told to, and has sent what there was to send.
        let port = move || {
            while !seen.is_stopping() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        services.start(Trial("port", Role::Last, port)).unwrap();
        let start = Instant::now();
        shared.give_up_engine("a context is lost");
        assert!(services.supervise() && start.elapsed() >= Duration::from_millis(100));
        assert!(services.shut_down() && shared.is_shut_down());
    }

    #[test]
    fn a_service_that_panicked_ends_the_appliance_also_where_no_verdict_needs_it() {
        let mut services = Services::new(Arc::new(shared()));
        services.start(Trial("port", Role::Last, || std::thread::sleep(Duration::from_secs(60)))).unwrap();
        services.start(Trial("archiver", Role::Needed, || panic!("on purpose"))).unwrap();
        let start = Instant::now();
        assert!(!services.supervise());
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_port_that_returned_unasked_and_a_dead_journal_end_the_appliance() {
        let mut services = Services::new(Arc::new(shared()));
        services.start(Trial("port", Role::Last, || {})).unwrap();
        assert!(!services.supervise());
        let mut services = Services::new(Arc::new(shared()));
        services.start(Trial("port", Role::Last, || std::thread::sleep(Duration::from_secs(60)))).unwrap();
        services.depend_on("journal", || false);
        assert!(!services.supervise());
    }

    #[test]
    fn the_appliance_goes_on_and_ends_well_without_an_optional_service() {
        let shared = Arc::new(shared());
        let mut services = Services::new(Arc::clone(&shared));
        services.start(Trial("metrics", Role::Optional, || panic!("on purpose"))).unwrap();
        let seen = Arc::clone(&shared);
        let port = move || {
            std::thread::sleep(Duration::from_millis(200));
            seen.give_up_engine("the way to a stop that a test has");
        };
        services.start(Trial("port", Role::Last, port)).unwrap();
        assert!(services.supervise());
        assert!(services.shut_down());
    }

    #[test]
    fn a_service_that_does_not_return_is_not_waited_for_for_ever() {
        let mut services = Services::new(Arc::new(shared()));
        services.start(Trial("judge", Role::Needed, || {})).unwrap();
        assert!(services.shut_down());
        let mut services = Services::new(Arc::new(shared()));
        services.start(Trial("archiver", Role::Needed, || std::thread::sleep(Duration::from_secs(60)))).unwrap();
        assert!(!services.shut_down());
    }
}
