//! Each thread of the appliance stands still in turn, and the whole of it is killed: the heartbeat stops within 300 ms, nothing
//! passes meanwhile, and within 5 s the appliance is there again. Both are counted from just before the thread was stopped;
//! "there again" is the moment at which the PLC, having seen the new start's heartbeat change, would send a trigger.

use crate::frozen::Frozen;
use crate::plant::Plant;
use crate::plc::Plc;
use cellgate_protocol::code::WireVerdict;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, Instant};

/// The longest time from a standstill to the heartbeat's last change.
const MAX_HEARTBEAT_DELAY: Duration = Duration::from_millis(300);
/// The longest time from a standstill until the PLC may trigger again. On a busy machine half of the times may be longer.
const MAX_RECOVERY_TIME: Duration = Duration::from_secs(5);
/// The longest such time on a busy machine.
const MAX_RECOVERY_TIME_BUSY: Duration = Duration::from_secs(15);
/// RestartSec of systemd/cellgate-edge.service, which starts the appliance again as these tests do.
const RESTART: Duration = Duration::from_millis(200);
/// The threads without which there is no verdict.
const THREADS: [&str; 4] = ["watcher", "judge", "journal", "port"];
/// What a part in hand may take: less than until the appliance ends by itself.
const DEADLINE_MS: u32 = 1_500;

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// A thread stands still.
    Thread(&'static str),
    /// SIGKILL for all of it.
    Killed,
}

/// What the appliance is doing just then.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// It waits for a trigger; one comes with its image when the heartbeat must have stopped.
    Idle,
    /// A part is in hand, whose image comes right afterwards.
    Waiting,
    /// A part is in hand, and so is its image.
    Judging,
}

/// How long it took, from just before the fault.
#[derive(Debug, Clone, Copy, Default)]
struct Took {
    /// Until the heartbeat's last change.
    heartbeat: Duration,
    /// Until a trigger would be accepted again.
    back: Duration,
}

/// A line that goes through faults one after another.
struct Trial {
    plant: Plant,
    plc: Plc,
    random: ChaCha8Rng,
    part: u64,
    /// The longest of each.
    most: Took,
    /// How long each fault took until the PLC might trigger again.
    backs: Vec<Duration>,
}

impl Trial {
    fn new(plant: Plant, profile: &str, seed: u64) -> Self {
        let plc = Plc::new(&plant, profile);
        Self { plant, plc, random: ChaCha8Rng::seed_from_u64(seed), part: 0, most: Took::default(), backs: Vec::new() }
    }

    fn next_part(&mut self) -> u64 {
        self.part += 1;
        self.part
    }

    fn pause(&mut self, most_ms: u64) {
        std::thread::sleep(Duration::from_micros(self.random.random_range(0..=1_000 * most_ms)));
    }

    fn go_through(&mut self, fault: Fault, moment: Moment) -> Took {
        let part = self.next_part();
        self.plc.pass(&self.plant, part);
        let part = self.next_part();
        let sound = self.plant.images[0].clone();
        self.plc.wait_ready();
        match moment {
            Moment::Idle => self.pause(100),
            Moment::Waiting => {
                self.plc.trigger(part, DEADLINE_MS);
                self.plc.wait_accepted(part);
                self.pause(100);
            }
            Moment::Judging => {
                self.plant.scan(part, &sound);
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
        let (counter_then, stopped) = (self.plc.seen().heartbeats.last().unwrap().1, Instant::now());
        match moment {
            Moment::Idle => {
                // Until then nothing touches what stands still.
                std::thread::sleep(2 * MAX_HEARTBEAT_DELAY);
                self.plant.scan(part, &sound);
                self.plc.trigger(part, DEADLINE_MS);
            }
            Moment::Waiting => self.plant.scan(part, &sound),
            Moment::Judging => {}
        }
        if let Some(frozen) = &frozen {
            assert_eq!(self.plant.ended(|| frozen.reap()), Some(70), "{fault:?} {moment:?}");
        }
        let seen = self.plc.seen();
        drop(frozen);
        std::thread::sleep(RESTART);
        let restarted = Instant::now();
        self.plant.start();
        // The last change is from before the end: the appliance that was started just now has no heartbeat yet.
        let (last, counter) = *seen.heartbeats.last().unwrap();
        let heartbeat = last.saturating_duration_since(start);
        // The device's own count can't be late: it advances every 100 ms at most, so two more are 300 ms at most.
        let advanced = counter.wrapping_sub(counter_then);
        assert!(
            heartbeat <= MAX_HEARTBEAT_DELAY || advanced <= 2,
            "{fault:?} {moment:?}: a heartbeat after {heartbeat:?}, {advanced} more"
        );
        let (decided, outcome) = self.plc.outcome(part);
        let is_before = matches!(moment, Moment::Judging) && decided <= stopped + MAX_HEARTBEAT_DELAY;
        assert!(
            outcome.decision.verdict() != WireVerdict::Pass || is_before,
            "{fault:?} {moment:?}: {outcome:?} {:?} after the fault",
            decided.saturating_duration_since(start)
        );
        let ready = self.plc.wait_ready_anew(restarted);
        let took = Took { heartbeat, back: ready.saturating_duration_since(start) };
        assert!(took.back <= MAX_RECOVERY_TIME_BUSY, "{fault:?} {moment:?}: back after {:?}", took.back);
        self.backs.push(took.back);
        self.most = Took { heartbeat: self.most.heartbeat.max(heartbeat), back: self.most.back.max(took.back) };
        took
    }

    /// The journal says of each part what the PLC was told, once.
    fn settle(mut self) -> Took {
        let part = self.next_part();
        self.plc.pass(&self.plant, part);
        let seen = self.plc.seen();
        assert_eq!(self.plant.stop(), Some(0));
        seen.agrees_with(&self.plant.rows(), self.part);
        println!(
            "heartbeat's last change {:?} after the fault at most, back after {:?}",
            self.most.heartbeat, self.most.back
        );
        self.backs.sort();
        assert!(self.backs[self.backs.len() / 2] <= MAX_RECOVERY_TIME, "{:?}", self.backs);
        self.most
    }
}

#[test]
fn each_thread_that_stands_still_while_idle_stops_the_heartbeat_and_the_appliance_is_back_soon() {
    let mut trial = Trial::new(Plant::new("native", "part-id"), "native", 1);
    for thread in THREADS {
        trial.go_through(Fault::Thread(thread), Moment::Idle);
    }
    trial.go_through(Fault::Killed, Moment::Idle);
    trial.settle();
}

#[test]
fn each_thread_that_stands_still_with_a_part_in_hand_lets_nothing_pass() {
    let mut trial = Trial::new(Plant::new("modbus", "part-id"), "modbus", 2);
    for thread in THREADS {
        trial.go_through(Fault::Thread(thread), Moment::Waiting);
    }
    trial.go_through(Fault::Killed, Moment::Waiting);
    trial.settle();
}

/// Acceptance: `cargo test --release -p cellgate-edge --test appliance -- --ignored --nocapture standstill`, with the number
/// of rounds in `CELLGATE_ROUNDS` (4; a round of both profiles takes two minutes) and a seed in `CELLGATE_SEED`.
#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_moment_in_both_profiles() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (rounds, seed) = (number("CELLGATE_ROUNDS", 4), number("CELLGATE_SEED", 1));
    println!("seed {seed}, {rounds} rounds");
    for profile in ["native", "modbus"] {
        let mut trial = Trial::new(Plant::on_disk(profile), profile, seed);
        let mut took = Vec::new();
        for round in 1..=rounds {
            for moment in [Moment::Idle, Moment::Waiting, Moment::Judging] {
                let faults = THREADS.map(Fault::Thread).into_iter().chain([Fault::Killed]);
                took.extend(faults.map(|fault| trial.go_through(fault, moment)));
            }
            println!("{profile}: round {round} of {rounds}, {} faults, at most {:?}", took.len(), trial.most);
        }
        let most = trial.settle();
        assert!(
            most.heartbeat <= MAX_HEARTBEAT_DELAY && most.back <= MAX_RECOVERY_TIME,
            "on a machine with nothing else to do: {most:?}"
        );
    }
}
