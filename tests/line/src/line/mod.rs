//! Simulates a production line: the sessions of both sides, a faulty link between them, a device with a journal that survives
//! restarts, and a referee that checks every part. Time is simulated. The same seed gives the same events on every machine.

mod bundles;
pub mod device;
pub mod profile;
mod referee;
pub mod wire;

pub use referee::{Faults, Part, Parts, Wrong};

use crate::random::Random;
use bundles::BundleProgram;
use cellgate_protocol::{
    gate::GateDecision,
    link::{Output, plc::Ends},
    modbus::framer::FRAME_MAX,
    session::{
        plc::{PartEnd, PlcEvent, PlcSession, PlcSessionConfig},
        repeat::first_wait_ms,
    },
    version::Schema,
};
use device::{Device, MODEL};
use profile::{PlcEnd, Profile};
use referee::{BAUD, DEADLINE_MS, chance};
use std::collections::VecDeque;
use wire::Wire;

/// The referee checks a part this long after its trigger, when nothing can happen to it any more.
const SETTLED_MS: u64 = 30_000;

/// What speaks over the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// The profile of the link.
    pub profile: Profile,
    /// The highest schema that the device speaks.
    pub device: Schema,
    /// The schema that the PLC speaks. A PLC of [`Schema::Two`] names bundles and confirms their reference parts.
    pub plc: Schema,
}

impl Setup {
    /// Both sides have bundles.
    pub fn with_bundles(profile: Profile) -> Self {
        Self { profile, device: Schema::Two, plc: Schema::Two }
    }

    /// An old PLC, and a device with this highest schema.
    pub fn with_old_plc(profile: Profile, device: Schema) -> Self {
        Self { profile, device, plc: Schema::One }
    }
}

/// What the simulation counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Parts that were triggered.
    pub cycles: u64,
    /// Parts that passed the gate.
    pub passes: u64,
    /// Parts that passed the gate without a committed PASS for the same part, nonce and boot epoch, too late, or in a bundle but not
    /// with its offset.
    pub false_passes: u64,
    /// Accepted parts without exactly one terminal record in the journal, and parts without exactly one decision of the gate.
    pub wrong_records: u64,
    /// What is wrong about bundles.
    pub wrong: Wrong,
    /// How often the device answered a confirmation with result 1, 2 and 3.
    pub answers: [u64; 3],
    /// Acknowledgements that came with the gate's reason.
    pub gates: u64,
    /// A hash of all decisions of the gate: part, verdict and reason, in their order.
    pub decisions: u64,
    /// Restarts: of the device, of the PLC.
    pub restarts: [u64; 2],
    /// Frames that were sent, and faults of the link that were made.
    pub frames: [u64; 2],
    /// Simulated milliseconds.
    pub simulated_ms: u64,
}

impl Summary {
    /// Is there nothing wrong?
    pub fn is_right(&self) -> bool {
        self.false_passes + self.wrong_records == 0 && self.wrong == Wrong::default()
    }
}

/// The simulated line.
pub struct Line {
    setup: Setup,
    random: Random,
    faults: Faults,
    now_ms: u64,
    plc: PlcEnd,
    /// When the PLC runs again after its last restart.
    plc_back_ms: u64,
    bundles: BundleProgram,
    device: Device,
    to_device: Wire,
    to_plc: Wire,
    parts: Parts,
    /// The ids of the parts that the referee has not checked yet, oldest first.
    unsettled: VecDeque<u64>,
    /// The id of the last part.
    part_id: u64,
    nonce: u32,
    next_part_ms: u64,
    /// Whether the last part is triggered and not decided yet.
    open: bool,
    summary: Summary,
}

impl Line {
    /// A line at time 0.
    pub fn new(setup: Setup, seed: u64, faults: Faults) -> Self {
        let mut random = Random::new(seed);
        Self {
            plc: new_plc(setup, 0, &mut random),
            bundles: BundleProgram::default(),
            device: Device::new(setup.profile, setup.device),
            setup,
            random,
            faults,
            now_ms: 0,
            plc_back_ms: 0,
            to_device: Wire::default(),
            to_plc: Wire::default(),
            parts: Parts::new(),
            unsettled: VecDeque::new(),
            part_id: 0,
            nonce: 0,
            next_part_ms: 500,
            open: false,
            summary: Summary::default(),
        }
    }

    /// Simulates until `cycles` parts were triggered and settled. Calls `progress` once for every 100,000 triggered parts.
    pub fn run(&mut self, cycles: u64, mut progress: impl FnMut(&Summary)) -> Summary {
        while self.summary.cycles < cycles {
            let before = self.summary.cycles;
            self.step(true);
            if self.summary.cycles > before && self.summary.cycles.is_multiple_of(100_000) {
                progress(&self.summary);
            }
        }
        let end_ms = self.now_ms + SETTLED_MS + 1_000;
        while self.now_ms < end_ms {
            self.step(false);
        }
        self.settle(u64::MAX);
        self.summary.simulated_ms = self.now_ms;
        (self.summary.answers, self.summary.gates) = (self.bundles.answers, self.device.gates);
        self.summary.wrong.confirmations += self.device.wrong.confirmations;
        let Wrong { bundles, offsets, gates, .. } = self.device.wrong;
        self.summary.wrong = Wrong { bundles, offsets, gates, ..self.summary.wrong };
        self.summary
    }

    /// Advances the time to the next arrival of bytes, by 1 to 10 ms, and does what is due. A new part is triggered only if
    /// `may_trigger`.
    fn step(&mut self, may_trigger: bool) {
        let soonest = [self.to_device.next_ms(), self.to_plc.next_ms()].into_iter().flatten().min();
        self.now_ms = soonest.unwrap_or(u64::MAX).clamp(self.now_ms + 1, self.now_ms + 10);
        let now_ms = self.now_ms;
        while let Some(bytes) = self.to_device.take(now_ms) {
            self.device.feed(now_ms, &bytes);
        }
        while let Some(bytes) = self.to_plc.take(now_ms) {
            if now_ms >= self.plc_back_ms {
                self.plc.feed(now_ms, &bytes);
            }
        }
        if may_trigger && !self.open && now_ms >= self.next_part_ms && now_ms >= self.plc_back_ms {
            self.trigger();
        }
        self.run_plc();
        let (parts, wire) = (&mut self.parts, &mut self.to_plc);
        let (random, faults) = (&mut self.random, &self.faults);
        let send = |bytes: &[u8], random: &mut Random| wire.send(now_ms, bytes, random, faults.frame);
        self.device.run(now_ms, random, faults, parts, send);
        self.settle(now_ms);
    }

    fn trigger(&mut self) {
        let now_ms = self.now_ms;
        self.part_id += 1;
        // The nonce counts up, as a retained counter of a PLC does. Consecutive nonces often differ in only one bit.
        self.nonce = match self.setup.profile {
            Profile::Native => self.nonce.wrapping_add(1),
            // The register has 16 bits.
            Profile::Modbus => u32::from((self.nonce as u16).wrapping_add(1)),
        };
        let bundle = match self.setup.plc {
            Schema::One => 0,
            Schema::Two => self.bundles.next(&mut self.random),
        };
        let session = self.plc.session();
        if session.trigger_in_bundle(now_ms, self.part_id, self.nonce, DEADLINE_MS, bundle).is_err() {
            return;
        }
        self.open = true;
        self.parts.insert(self.part_id, Part { bundle, triggered_ms: now_ms, ..Part::default() });
        self.unsettled.push_back(self.part_id);
        self.summary.cycles += 1;
        if chance(&mut self.random, self.faults.restart) {
            self.device.restart_at(now_ms + self.random.below(400), 50 + self.random.below(1_500));
            self.summary.restarts[0] += 1;
        }
        if chance(&mut self.random, self.faults.restart) {
            self.restart_plc();
        }
    }

    /// Restarts the PLC. The open part counts as decided, and the PLC forgets everything but its counters.
    fn restart_plc(&mut self) {
        self.summary.restarts[1] += 1;
        self.decided(self.part_id);
        self.plc_back_ms = self.now_ms + 10 + self.random.below(800);
        self.plc = new_plc(self.setup, self.plc_back_ms, &mut self.random);
        self.bundles.restarted();
    }

    fn run_plc(&mut self) {
        let now_ms = self.now_ms;
        if now_ms < self.plc_back_ms {
            return;
        }
        let mut out = [0; FRAME_MAX];
        loop {
            if self.setup.plc == Schema::Two {
                self.bundles.poll(now_ms, self.plc.session());
            }
            match self.plc.poll(now_ms, &mut out) {
                Some(Output::Bytes(bytes)) => {
                    self.to_device.send(now_ms, bytes, &mut self.random, self.faults.frame);
                }
                Some(Output::Event(PlcEvent::Decided(outcome))) => {
                    if outcome.decision.is_pass() {
                        self.summary.passes += 1;
                        let part = &self.parts[&outcome.part_id];
                        let in_time = now_ms - part.triggered_ms <= u64::from(DEADLINE_MS);
                        let proven = part.pass.is_some_and(|(nonce, boot_epoch, committed_ms)| {
                            nonce == outcome.nonce && outcome.boot_epoch == Some(boot_epoch) && committed_ms <= now_ms
                        });
                        let is_right = in_time && proven && part.may_pass() && outcome.part_id == self.part_id;
                        self.summary.false_passes += u64::from(!is_right);
                    }
                    self.note(&outcome);
                    self.decided(outcome.part_id);
                }
                Some(Output::Event(PlcEvent::Confirmed(answer))) => {
                    self.bundles.answered(&answer, &self.parts, &mut self.summary.wrong);
                }
                Some(Output::Event(_)) => {}
                None => break,
            }
        }
    }

    /// Notes the gate's decision, for the referee and for the PLC's program.
    fn note(&mut self, end: &PartEnd) {
        let kind = match end.decision {
            GateDecision::Pass => 0_u64,
            GateDecision::Review(_) => 1,
            GateDecision::Reject(_) => 2,
        };
        for word in [end.part_id, kind, u64::from(end.reason().0)] {
            // FNV-1a, on words.
            self.summary.decisions = (self.summary.decisions ^ word).wrapping_mul(0x0100_0000_01B3);
        }
        if let Some(part) = self.parts.get_mut(&end.part_id) {
            part.gate = Some(end.reason());
        }
        if self.setup.plc == Schema::Two {
            self.bundles.ended(end, &mut self.parts, &mut self.random);
        }
    }

    fn decided(&mut self, part_id: u64) {
        if let Some(part) = self.parts.get_mut(&part_id) {
            part.decided += 1;
        }
        self.open = false;
        self.next_part_ms = self.now_ms + self.random.below(20);
    }

    /// Checks the parts to which nothing can happen any more.
    fn settle(&mut self, now_ms: u64) {
        while let Some(part_id) = self.unsettled.front()
            && self.parts[part_id].triggered_ms.saturating_add(SETTLED_MS) < now_ms
        {
            let part = self.parts.remove(part_id).expect("a part stays until it is settled");
            self.unsettled.pop_front();
            let right = part.decided == 1 && part.opened <= 1 && part.terminal == part.opened;
            self.summary.wrong_records += u64::from(!right);
        }
        self.summary.frames = [self.to_device.sent + self.to_plc.sent, self.to_device.faults + self.to_plc.faults];
    }
}

fn new_plc(setup: Setup, now_ms: u64, random: &mut Random) -> PlcEnd {
    let first_wait_ms = first_wait_ms(BAUD);
    let mut config = PlcSessionConfig { allowed_models: Default::default(), first_wait_ms, schema: setup.plc };
    config.allowed_models.push(MODEL).expect("one model fits");
    let ends = Ends { plc: 1, device: Some(7), first_link_id: random.next_u64() as u32, first_wait_ms };
    PlcEnd::new(setup.profile, now_ms, PlcSession::new(config), ends)
}
