//! Freezes each thread that a verdict depends on in turn, and kills the whole process. The heartbeat must stop within 300 ms after
//! each fault. From the end of these 300 ms until the restart no part may pass. The appliance must recover within 5 s. Both times
//! begin just before the fault. The appliance has recovered when the restarted appliance's heartbeat has changed at the PLC and the
//! PLC would send a trigger.

use crate::frozen::Frozen;
use crate::plant::Plant;
use crate::plc::Plc;
use cellgate_protocol::code::WireVerdict;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, Instant};

/// The limit of the time from a fault to the heartbeat's last change.
const MAX_HEARTBEAT_DELAY: Duration = Duration::from_millis(300);
/// The limit of the median recovery time, which is the time from a fault until the PLC may trigger again. In the full run, which
/// needs an unloaded machine, it is also the limit of the longest recovery time.
const MAX_RECOVERY_TIME: Duration = Duration::from_secs(5);
/// The limit of every single recovery time, for busy machines too.
const MAX_RECOVERY_TIME_BUSY: Duration = Duration::from_secs(15);
/// `RestartSec` of systemd/cellgate-edge.service: the tests restart the appliance after this time.
const RESTART_DELAY: Duration = Duration::from_millis(200);
/// The threads that a verdict depends on.
const THREADS: [&str; 4] = ["watcher", "judge", "journal", "port"];
/// The deadline of a part. If a thread is stuck, the appliance ends after more than 2 s. The deadline is shorter, so that the part
/// is decided before that.
const DEADLINE_MS: u32 = 1_500;

/// An injected fault.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The thread with this name is frozen.
    Thread(&'static str),
    /// The process is killed with SIGKILL.
    Killed,
}

/// The state of the appliance at the time of the fault.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The appliance waits for a trigger. The trigger and its image follow 600 ms after the fault. By then the heartbeat must have
    /// stopped.
    Idle,
    /// A part is in progress and waits for its image, which follows right after the fault.
    Waiting,
    /// A part is in progress, and its image is there.
    Judging,
}

/// The times after a fault. They count from just before the fault.
#[derive(Debug, Clone, Copy, Default)]
struct Took {
    /// The time until the heartbeat's last change.
    heartbeat: Duration,
    /// The time until a trigger would be accepted again.
    recovery: Duration,
}

/// A production line with a PLC, in which faults are injected one after another.
struct Trial {
    plant: Plant,
    plc: Plc,
    random: ChaCha8Rng,
    part: u64,
    /// The longest times after any fault so far.
    max: Took,
    /// The recovery time of each fault.
    recoveries: Vec<Duration>,
}

impl Trial {
    fn new(plant: Plant, profile: &str, seed: u64) -> Self {
        let plc = Plc::new(&plant, profile);
        Self {
            plant,
            plc,
            random: ChaCha8Rng::seed_from_u64(seed),
            part: 0,
            max: Took::default(),
            recoveries: Vec::new(),
        }
    }

    fn next_part(&mut self) -> u64 {
        self.part += 1;
        self.part
    }

    /// A pause of random length.
    fn pause(&mut self, max_ms: u64) {
        std::thread::sleep(Duration::from_micros(self.random.random_range(0..=1_000 * max_ms)));
    }

    /// Lets one part pass, injects the fault during the next part, restarts the appliance and checks all limits.
    fn inject(&mut self, fault: Fault, moment: Moment) -> Took {
        let part = self.next_part();
        self.plc.pass(&self.plant, part);
        let part = self.next_part();
        let good = self.plant.images[0].clone();
        self.plc.wait_ready();
        match moment {
            Moment::Idle => self.pause(100),
            Moment::Waiting => {
                self.plc.trigger(part, DEADLINE_MS);
                self.plc.wait_accepted(part);
                self.pause(100);
            }
            Moment::Judging => {
                self.plant.scan(part, &good);
                self.plc.trigger(part, DEADLINE_MS);
                self.pause(25);
            }
        }
        let start = Instant::now();
        let frozen = match fault {
            Fault::Thread(name) => Some(Frozen::new(self.plant.appliance.as_ref().unwrap(), name)),
            Fault::Killed => {
                self.plant.kill();
                None
            }
        };
        let (counter_at_fault, frozen_at) = (self.plc.seen().heartbeats.last().unwrap().1, Instant::now());
        match moment {
            Moment::Idle => {
                // The frozen thread gets no work during this pause, so its missing sign of life alone must stop the heartbeat.
                std::thread::sleep(2 * MAX_HEARTBEAT_DELAY);
                self.plant.scan(part, &good);
                self.plc.trigger(part, DEADLINE_MS);
            }
            Moment::Waiting => self.plant.scan(part, &good),
            Moment::Judging => {}
        }
        if let Some(frozen) = &frozen {
            assert_eq!(self.plant.wait_for_exit(|| frozen.reap()), Some(70), "{fault:?} {moment:?}");
        }
        let seen = self.plc.seen();
        drop(frozen);
        std::thread::sleep(RESTART_DELAY);
        let restarted = Instant::now();
        self.plant.start();
        // `seen` was copied before the restart, so its last heartbeat is the old process's.
        let (last, counter) = *seen.heartbeats.last().unwrap();
        let heartbeat = last.saturating_duration_since(start);
        // On a busy machine the test may see the heartbeat's last change late. The counter is exact: it advances at most once every
        // 100 ms. If it advanced by 2 at most since the fault, the heartbeat stopped within 300 ms.
        let advanced = counter.wrapping_sub(counter_at_fault);
        assert!(
            heartbeat <= MAX_HEARTBEAT_DELAY || advanced <= 2,
            "{fault:?} {moment:?}: a heartbeat after {heartbeat:?}, {advanced} more"
        );
        let (decided, outcome) = self.plc.outcome(part);
        // If the fault hits at `Judging`, the verdict may already have been on its way to the PLC.
        let is_before = matches!(moment, Moment::Judging) && decided <= frozen_at + MAX_HEARTBEAT_DELAY;
        assert!(
            outcome.decision.verdict() != WireVerdict::Pass || is_before,
            "{fault:?} {moment:?}: {outcome:?} {:?} after the fault",
            decided.saturating_duration_since(start)
        );
        let ready = self.plc.wait_ready_after(restarted);
        let took = Took { heartbeat, recovery: ready.saturating_duration_since(start) };
        assert!(took.recovery <= MAX_RECOVERY_TIME_BUSY, "{fault:?} {moment:?}: recovered after {:?}", took.recovery);
        self.recoveries.push(took.recovery);
        let Took { heartbeat: max_heartbeat, recovery: max_recovery } = self.max;
        self.max = Took { heartbeat: max_heartbeat.max(heartbeat), recovery: max_recovery.max(took.recovery) };
        took
    }

    /// Checks that the journal agrees with the verdicts that the PLC received, and the median recovery time. Returns the longest
    /// times.
    fn finish(mut self) -> Took {
        let part = self.next_part();
        self.plc.pass(&self.plant, part);
        let seen = self.plc.seen();
        assert_eq!(self.plant.stop(), Some(0));
        seen.assert_agrees_with(&self.plant.rows(), self.part);
        println!(
            "longest times after a fault: heartbeat's last change {:?}, recovery {:?}",
            self.max.heartbeat, self.max.recovery
        );
        self.recoveries.sort();
        let median = self.recoveries[self.recoveries.len() / 2];
        assert!(median <= MAX_RECOVERY_TIME, "{:?}", self.recoveries);
        self.max
    }
}

#[test]
fn a_thread_frozen_while_idle_stops_the_heartbeat_and_the_appliance_recovers() {
    let mut trial = Trial::new(Plant::new("native", "part-id"), "native", 1);
    for thread in THREADS {
        trial.inject(Fault::Thread(thread), Moment::Idle);
    }
    trial.inject(Fault::Killed, Moment::Idle);
    trial.finish();
}

#[test]
fn no_part_passes_after_a_thread_was_frozen_with_a_part_in_progress() {
    let mut trial = Trial::new(Plant::new("modbus", "part-id"), "modbus", 2);
    for thread in THREADS {
        trial.inject(Fault::Thread(thread), Moment::Waiting);
    }
    trial.inject(Fault::Killed, Moment::Waiting);
    trial.finish();
}

/// Full run: `cargo test --release -p cellgate-edge --test appliance -- --ignored --nocapture standstill`. `CELLGATE_ROUNDS` is the
/// number of rounds (4 if unset; a round of both profiles takes two minutes), and `CELLGATE_SEED` is the seed (1 if unset).
#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_moment_stops_the_heartbeat_and_the_appliance_recovers() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (rounds, seed) = (number("CELLGATE_ROUNDS", 4), number("CELLGATE_SEED", 1));
    println!("seed {seed}, {rounds} rounds");
    for profile in ["native", "modbus"] {
        let mut trial = Trial::new(Plant::on_disk(profile), profile, seed);
        let mut took = Vec::new();
        for round in 1..=rounds {
            for moment in [Moment::Idle, Moment::Waiting, Moment::Judging] {
                let faults = THREADS.map(Fault::Thread).into_iter().chain([Fault::Killed]);
                took.extend(faults.map(|fault| trial.inject(fault, moment)));
            }
            println!("{profile}: round {round} of {rounds}, {} faults, at most {:?}", took.len(), trial.max);
        }
        let max = trial.finish();
        assert!(
            max.heartbeat <= MAX_HEARTBEAT_DELAY && max.recovery <= MAX_RECOVERY_TIME,
            "on an unloaded machine: {max:?}"
        );
    }
}
