//! Defines the settings of the simulated line, and what the referee knows about each part.

use crate::random::Random;
use cellgate_protocol::{bundle::StepCode, reason::ReasonCode};
use std::collections::HashMap;

/// The speed of the link in bits per second.
pub(crate) const BAUD: u32 = 115_200;
/// The time of a part, from its trigger to its deadline.
pub(crate) const DEADLINE_MS: u32 = 300;

/// The chances of faults, each as a number in 100,000.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// The chance of each of these faults, for each frame: the frame is lost; it is doubled; it is damaged; it is delayed; noise
    /// is sent with it; an old frame is replayed.
    pub frame: u32,
    /// For each part, the chance that the device restarts, and the same chance that the PLC restarts.
    pub restart: u32,
    /// For each part, the chance that a worker thread of the appliance hangs.
    pub appliance: u32,
}

/// What the referee knows about a part.
#[derive(Debug, Default)]
pub struct Part {
    /// How often the journal stored the part's acceptance.
    pub opened: u32,
    /// How many terminal records of the part the journal has.
    pub terminal: u32,
    /// The bundle that the PLC named, or 0.
    pub bundle: u32,
    /// The running bundle and its step when the device judged the part.
    pub judged: Option<(u32, StepCode)>,
    /// How often the device counted the part as confirmed.
    pub confirmed: u32,
    /// The PLC asked to confirm the part.
    pub asked: bool,
    /// The reason of the gate's decision. `None` until there is one, and if the PLC restarted before.
    pub gate: Option<ReasonCode>,
    /// The nonce, boot epoch and time of a committed PASS.
    pub pass: Option<(u32, u32, u64)>,
    /// Number of decisions of the gate.
    pub(crate) decided: u32,
    pub(crate) triggered_ms: u64,
}

/// What the referee found wrong about bundles. Each count must stay 0.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    /// Parts that were handed up with another bundle than their trigger named.
    pub bundles: u64,
    /// Parts that were judged while another bundle was running than their trigger named.
    pub offsets: u64,
    /// Confirmations that were counted twice, for a part that the PLC did not confirm, or for another bundle; and parts that the device
    /// answered as confirmed although the PLC asked for another part.
    pub confirmations: u64,
    /// Acknowledgements with another reason than that of the gate's decision.
    pub gates: u64,
}

impl Part {
    /// May the part pass? In a bundle only with the bundle's offset.
    pub(crate) fn may_pass(&self) -> bool {
        let step = if self.bundle == 0 { StepCode::NONE } else { StepCode::OFFSET };
        self.judged == Some((self.bundle, step))
    }
}

/// What the referee knows about the parts that it has not checked yet.
pub type Parts = HashMap<u64, Part>;

/// True with a chance of `of_100_000` in 100,000.
pub(crate) fn chance(random: &mut Random, of_100_000: u32) -> bool {
    random.below(100_000) < u64::from(of_100_000)
}
