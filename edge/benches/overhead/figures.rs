//! Summarises the measured times and memory of a program, and compares two programs.

use cellgate_edge::percentile::percentile;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::fmt;

/// The number of bootstrap samples from which an interval is computed.
const DRAWS: usize = 2000;

/// The times that one part took in three stages: reading and decoding its image, converting it, running the network.
pub(crate) struct Stages {
    pub(crate) read_ms: f64,
    pub(crate) convert_ms: f64,
    pub(crate) infer_ms: f64,
}

/// The figures of one program.
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    /// One list per turn (see [`crate::TURN`]): the time of each part in ms, without the network's time.
    pub(crate) turns: Vec<Vec<f64>>,
    /// The stages' times of each part.
    pub(crate) stages: Vec<Stages>,
    /// The measurements of memory: the number of parts judged so far, and the memory at that moment in KiB.
    pub(crate) memory: Vec<(u64, u64)>,
}

impl Figures {
    /// The percentile `share` (0 to 1) of the parts' times, in ms.
    pub(crate) fn at(&self, share: f64) -> f64 {
        at(self.turns.iter().flatten().copied().collect(), share)
    }

    /// The memory in KiB after `parts` parts, and at the end. `None` if fewer parts were judged.
    pub(crate) fn growth_kib(&self, parts: u64) -> Option<(u64, u64)> {
        let (_, settled) = self.memory.iter().find(|(after, _)| *after >= parts)?;
        Some((*settled, self.memory.last()?.1))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = |time: fn(&Stages) -> f64| {
            let times: Vec<f64> = self.stages.iter().map(time).collect();
            format!("p50 {:.1} p99 {:.1}", at(times.clone(), 0.5), at(times, 0.99))
        };
        let (name, [p50, p99, most]) = (self.name, [0.5, 0.99, 1.0].map(|share| self.at(share)));
        writeln!(out, "{name:5} p50 {p50:.2}, p99 {p99:.2}, max {most:.2}")?;
        let (read, convert) = (stage(|stages| stages.read_ms), stage(|stages| stages.convert_ms));
        let network = stage(|stages| stages.infer_ms);
        writeln!(out, "      reading and decoding {read}, converting {convert} (the network {network})")?;
        let memory: Vec<_> = self.memory.iter().map(|(parts, kib)| format!("after {parts} parts {kib} KiB")).collect();
        write!(out, "      memory of both processes {}", memory.join(", "))
    }
}

/// The percentile `share` (0 to 1) of `times`.
fn at(mut times: Vec<f64>, share: f64) -> f64 {
    percentile(&mut times, share).unwrap_or(f64::NAN)
}

/// A percentile of one program's times divided by the same percentile of the other's, with its 95 % bootstrap interval. The
/// bootstrap draws whole turns, because a disturbance affects neighbouring parts too. It draws the same turns for both programs.
pub(crate) struct Ratio {
    pub(crate) found: f64,
    /// The interval's lower end.
    low: f64,
    /// The interval's upper end.
    high: f64,
}

impl Ratio {
    pub(crate) fn of(this: &Figures, other: &Figures, share: f64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut ratios: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let drawn: Vec<usize> = this.turns.iter().map(|_| random.random_range(0..this.turns.len())).collect();
                let drawn_percentile = |figures: &Figures| {
                    at(drawn.iter().flat_map(|&turn| figures.turns[turn].iter().copied()).collect(), share)
                };
                drawn_percentile(this) / drawn_percentile(other)
            })
            .collect();
        let [low, high] = [0.025, 0.975].map(|share| percentile(&mut ratios, share).unwrap_or(f64::NAN));
        Self { found: this.at(share) / other.at(share), low, high }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.3} [{:.3}, {:.3}]", self.found, self.low, self.high)
    }
}
