//! Signs of life: what each worker says of itself, and what follows for all of them.

use cellgate_protocol::health::{Health, WorkerProgress};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long an idle worker may stand still; with the 100 ms of a health token a stop is seen within 300 ms.
const IDLE: Duration = Duration::from_millis(150);
/// The age of the sign of life of a worker that can't do its work: too old for health, too young for a standstill.
const UNABLE: Duration = Duration::from_millis(500);
/// The longest that a worker waits for something to do before it shows that it lives.
pub(super) const PAUSE: Duration = Duration::from_millis(40);

/// The appliance's clock in whole milliseconds since it started; never set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Now.
    #[must_use]
    pub(super) fn now_ms(&self) -> u64 {
        self.at_ms(Instant::now())
    }

    /// The moment on this clock.
    #[must_use]
    pub(super) fn at_ms(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.0).as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment that this clock shows as `ms`.
    #[must_use]
    pub(super) fn instant(&self, ms: u64) -> Instant {
        self.0 + Duration::from_millis(ms)
    }
}

/// A thread whose standstill is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worker {
    /// Watches the scanner's folder.
    Watcher,
    /// Decodes, converts, infers, decides.
    Judge,
    /// Stores acceptances and verdicts. The port passes the signs of life of the journal's thread on.
    Journal,
    /// Speaks with the PLC. While it stands still no heartbeat is sent anyway; it is listed so that the supervisor notices.
    Port,
    /// Moves images to the archive. No verdict needs it.
    Archiver,
}

impl Worker {
    /// Those whose progress a PASS depends on.
    pub(super) const NEEDED: [Self; 4] = [Self::Watcher, Self::Judge, Self::Journal, Self::Port];
    /// All of them.
    pub(super) const ALL: [Self; 5] = [Self::Watcher, Self::Judge, Self::Journal, Self::Port, Self::Archiver];

    /// Its name: of its thread, in logs and in metrics.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Watcher => "watcher",
            Self::Judge => "judge",
            Self::Journal => "journal",
            Self::Port => "port",
            Self::Archiver => "archiver",
        }
    }
}

/// The last sign of life of each worker.
#[derive(Debug)]
pub(super) struct Liveness {
    clock: Clock,
    cells: [Cell; Worker::ALL.len()],
}

/// A sign of life in one piece, so that no thread reads the moment of one and the allowed time of another: the moment in ms,
/// and in the lowest [`ALLOWED_BITS`] bits the time allowed from then on, in ms (4 hours at most).
#[derive(Debug, Default)]
struct Cell(AtomicU64);

const ALLOWED_BITS: u32 = 24;
const MAX_ALLOWED_MS: u64 = (1 << ALLOWED_BITS) - 1;

impl Cell {
    fn set(&self, WorkerProgress { last_ms, allowed_ms }: WorkerProgress) {
        self.0.store(last_ms << ALLOWED_BITS | allowed_ms.min(MAX_ALLOWED_MS), Ordering::Release);
    }

    fn get(&self) -> WorkerProgress {
        let both = self.0.load(Ordering::Acquire);
        WorkerProgress { last_ms: both >> ALLOWED_BITS, allowed_ms: both & MAX_ALLOWED_MS }
    }
}

impl Liveness {
    /// No worker has shown a sign of life yet.
    #[must_use]
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, cells: Default::default() }
    }

    /// `worker` lives, and waits for something to do.
    pub(super) fn idle(&self, worker: Worker) {
        self.busy(worker, IDLE);
    }

    /// `worker` lives, and begins something that takes `most` at most.
    pub(super) fn busy(&self, worker: Worker, most: Duration) {
        self.seen(worker, Instant::now(), most);
    }

    /// `worker` lived at `last`, and may be silent for `most` from then on.
    pub(super) fn seen(&self, worker: Worker, last: Instant, most: Duration) {
        self.cells[worker as usize].set(WorkerProgress { last_ms: self.clock.at_ms(last), allowed_ms: in_ms(most) });
    }

    /// `worker` lives and can't do its work now: no health, but no standstill either.
    pub(super) fn unable(&self, worker: Worker) {
        let now = Instant::now();
        self.seen(worker, now.checked_sub(UNABLE).unwrap_or(now), Duration::ZERO);
    }

    fn progress(&self, worker: Worker) -> WorkerProgress {
        self.cells[worker as usize].get()
    }

    /// The token of health, if every worker that a PASS needs lives. Read the clock afterwards to check the token: it is not
    /// valid before its own moment.
    #[must_use]
    pub(super) fn health(&self) -> Option<Health> {
        // The clock is read last: a worker that reports meanwhile must not seem to be ahead of it.
        let workers = Worker::NEEDED.map(|worker| self.progress(worker));
        Health::attest(self.clock.now_ms(), &workers)
    }

    /// The workers that a PASS needs and that have stood still for longer than they may, and `grace` more.
    pub(super) fn stuck(&self, grace: Duration) -> impl Iterator<Item = Worker> {
        Worker::NEEDED.into_iter().filter(move |&worker| self.is_stuck(worker, grace))
    }

    /// Whether `worker` has stood still for longer than it may, and `grace` more.
    pub(super) fn is_stuck(&self, worker: Worker, grace: Duration) -> bool {
        let WorkerProgress { last_ms, allowed_ms } = self.progress(worker);
        self.clock.now_ms().saturating_sub(last_ms) > allowed_ms.saturating_add(in_ms(grace))
    }
}

fn in_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_that_never_reported_is_enough_for_no_health() {
        let liveness = Liveness::new(Clock::start());
        let (last, others) = Worker::NEEDED.split_last().unwrap();
        others.iter().for_each(|&worker| liveness.busy(worker, Duration::from_secs(60)));
        std::thread::sleep(Duration::from_millis(2));
        assert!(liveness.health().is_none());
        liveness.idle(*last);
        assert!(liveness.health().is_some());
    }

    #[test]
    fn a_worker_that_stands_still_longer_than_it_said_is_stuck() {
        let liveness = Liveness::new(Clock::start());
        Worker::NEEDED.into_iter().for_each(|worker| liveness.busy(worker, Duration::from_secs(60)));
        liveness.busy(Worker::Judge, Duration::from_millis(5));
        std::thread::sleep(Duration::from_millis(30));
        assert!(liveness.health().is_none());
        assert_eq!(liveness.stuck(Duration::from_millis(10)).collect::<Vec<_>>(), [Worker::Judge]);
        assert_eq!(liveness.stuck(Duration::from_secs(10)).count(), 0);
        liveness.busy(Worker::Judge, Duration::from_secs(60));
        assert!(
            liveness.is_stuck(Worker::Archiver, Duration::ZERO) && liveness.health().is_some(),
            "no verdict needs the archive"
        );
    }

    /// The process would end for it.
    #[test]
    fn no_moment_is_read_with_the_time_that_another_sign_of_life_allowed() {
        let liveness = Liveness::new(Clock::start());
        let start = Instant::now();
        std::thread::sleep(Duration::from_millis(50));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                while start.elapsed() < Duration::from_millis(550) {
                    liveness.seen(Worker::Judge, start, Duration::from_secs(60));
                    liveness.seen(Worker::Judge, start + Duration::from_secs(3600), Duration::ZERO);
                }
            });
            liveness.seen(Worker::Judge, start, Duration::from_secs(60));
            while !writer.is_finished() {
                assert!(!liveness.is_stuck(Worker::Judge, Duration::ZERO));
            }
        });
    }

    #[test]
    fn a_worker_that_cannot_work_is_no_health_and_no_standstill() {
        let liveness = Liveness::new(Clock::start());
        std::thread::sleep(UNABLE);
        Worker::NEEDED.into_iter().for_each(|worker| liveness.busy(worker, Duration::from_secs(60)));
        liveness.unable(Worker::Watcher);
        assert!(liveness.health().is_none());
        assert_eq!(liveness.stuck(Duration::from_secs(2)).count(), 0);
        liveness.idle(Worker::Watcher);
        assert!(liveness.health().is_some());
    }
}
