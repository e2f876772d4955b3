//! Keeps the last sign of life of each worker, which is a supervised thread. From these signs it issues the health token and finds
//! the workers that are stuck.

use cellgate_protocol::health::{Health, WorkerProgress};
use cellgate_protocol::limits::MAX_WORKER_PAUSE_MS;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long an idle worker may go without a sign of life.
const IDLE: Duration = Duration::from_millis(150);
const _: () = assert!(IDLE.as_millis() <= MAX_WORKER_PAUSE_MS as u128);
/// The age that is given to the sign of life of a worker that can't do its work: too old for health, too young to count as stuck.
const UNABLE: Duration = Duration::from_millis(500);
/// The longest time that the watcher and the judge wait for work before they give their next sign of life.
pub(super) const PAUSE: Duration = Duration::from_millis(40);

/// The appliance's monotonic clock, in whole milliseconds since the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// The current time.
    #[must_use]
    pub(super) fn now_ms(&self) -> u64 {
        self.at_ms(Instant::now())
    }

    /// `moment` on this clock.
    #[must_use]
    pub(super) fn at_ms(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.0).as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment at which this clock shows `ms`.
    #[must_use]
    pub(super) fn instant(&self, ms: u64) -> Instant {
        self.0 + Duration::from_millis(ms)
    }
}

/// A supervised thread. (The sandbox's process, which decodes images, is not one of these.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worker {
    /// Watches the scanner's folder.
    Watcher,
    /// Decodes, converts, infers and decides.
    Judge,
    /// Stores acceptances and verdicts. The port forwards the signs of life of the journal's thread.
    Journal,
    /// Communicates with the PLC. A stuck port sends no heartbeat anyway. It is listed so that the supervisor finds it stuck.
    Port,
    /// Moves images to the archive. No verdict depends on it.
    Archiver,
}

impl Worker {
    /// The workers that a PASS depends on.
    pub(super) const NEEDED: [Self; 4] = [Self::Watcher, Self::Judge, Self::Journal, Self::Port];
    /// All workers.
    pub(super) const ALL: [Self; 5] = [Self::Watcher, Self::Judge, Self::Journal, Self::Port, Self::Archiver];

    /// The name of the worker's thread, also in logs and metrics.
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

/// A sign of life as one number. The lowest [`ALLOWED_BITS`] bits are the time that the worker may take until its next sign of
/// life, in ms (4.6 hours at most). The bits above are the time of this sign of life, in ms. Both are in one atomic value, so that
/// no thread reads the time of one sign of life with the allowance of another.
#[derive(Debug, Default)]
struct Cell(AtomicU64);

const ALLOWED_BITS: u32 = 24;
const MAX_ALLOWED_MS: u64 = (1 << ALLOWED_BITS) - 1;

impl Cell {
    fn set(&self, WorkerProgress { last_ms, allowed_ms }: WorkerProgress) {
        self.0.store(last_ms << ALLOWED_BITS | allowed_ms.min(MAX_ALLOWED_MS), Ordering::Release);
    }

    fn get(&self) -> WorkerProgress {
        let packed = self.0.load(Ordering::Acquire);
        WorkerProgress { last_ms: packed >> ALLOWED_BITS, allowed_ms: packed & MAX_ALLOWED_MS }
    }
}

impl Liveness {
    /// The state at the start: no worker has given a sign of life.
    #[must_use]
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, cells: Default::default() }
    }

    /// A sign of life of `worker`, which waits for work.
    pub(super) fn idle(&self, worker: Worker) {
        self.busy(worker, IDLE);
    }

    /// A sign of life of `worker`, which begins work that takes `most` at most.
    pub(super) fn busy(&self, worker: Worker, most: Duration) {
        self.seen(worker, Instant::now(), most);
    }

    /// A sign of life of `worker` at `last`; the next one is due after `most`.
    pub(super) fn seen(&self, worker: Worker, last: Instant, most: Duration) {
        self.cells[worker as usize].set(WorkerProgress { last_ms: self.clock.at_ms(last), allowed_ms: in_ms(most) });
    }

    /// A sign of life of `worker`, which can't do its work now: there is no health, but the worker does not count as stuck.
    pub(super) fn unable(&self, worker: Worker) {
        let now = Instant::now();
        self.seen(worker, now.checked_sub(UNABLE).unwrap_or(now), Duration::ZERO);
    }

    fn progress(&self, worker: Worker) -> WorkerProgress {
        self.cells[worker as usize].get()
    }

    /// The health token, if every worker that a PASS depends on gave its sign of life in time. To check the token, read the clock
    /// after this call: the token is not valid before the moment of its issue.
    #[must_use]
    pub(super) fn health(&self) -> Option<Health> {
        // Read the clock after the signs of life, so that none of them is later than the clock's time.
        let workers = Worker::NEEDED.map(|worker| self.progress(worker));
        Health::attest(self.clock.now_ms(), &workers)
    }

    /// The workers that a PASS depends on and whose sign of life is overdue by more than `grace`.
    pub(super) fn stuck(&self, grace: Duration) -> impl Iterator<Item = Worker> {
        Worker::NEEDED.into_iter().filter(move |&worker| self.is_stuck(worker, grace))
    }

    /// Whether the sign of life of `worker` is overdue by more than `grace`.
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
    fn there_is_no_health_while_one_worker_never_reported() {
        let liveness = Liveness::new(Clock::start());
        let (last, others) = Worker::NEEDED.split_last().unwrap();
        others.iter().for_each(|&worker| liveness.busy(worker, Duration::from_secs(60)));
        std::thread::sleep(Duration::from_millis(2));
        assert!(liveness.health().is_none());
        liveness.idle(*last);
        assert!(liveness.health().is_some());
    }

    #[test]
    fn a_worker_is_stuck_after_the_time_that_it_allowed_itself() {
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
            "no verdict depends on the archiver"
        );
    }

    /// An old time with the short allowance of a newer sign of life would make the supervisor end the process by mistake.
    #[test]
    fn the_time_of_a_sign_of_life_is_never_read_with_the_allowance_of_another() {
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
    fn a_worker_that_cannot_work_means_no_health_and_is_not_stuck() {
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
