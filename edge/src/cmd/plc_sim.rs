//! `cellgate-edge plc-sim`: simulates the PLC's side of the serial link.

use anyhow::{Context as _, bail, ensure};
use cellgate_edge::config::{BAUDS, ParityConfig, Profile};
use cellgate_edge::percentile::percentile;
use cellgate_edge::plc_sim::{self, Scanner, SimulatorOptions};
use cellgate_models::model::{self, Model};
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::gate::GateDecision;
use cellgate_protocol::modbus::unit::Unit;
use cellgate_protocol::reason::Role;
use cellgate_protocol::session::plc::PartEnd;
use clap::builder::TypedValueParser as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Simulates the line's PLC: triggers parts, runs the gate, and prints the outcome of each part.
///
/// --images and --into add a simulated scanner.
///
/// Exit status: 0 the device gave every part a verdict and the gate itself rejected none, 1 some parts got no verdict (refused,
/// late, ...) or the gate itself rejected theirs (stale heartbeat, unknown model, ...), 2 misuse or no device.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # a link without hardware: /tmp/plc for this command, /tmp/device for the appliance
  socat pty,raw,echo=0,link=/tmp/plc pty,raw,echo=0,link=/tmp/device &
  # 10 parts and a simulated scanner
  cellgate-edge plc-sim --port /tmp/plc --model model --images radiographs/*.tif --into scans
  # 30 parts per minute, as JSON
  cellgate-edge plc-sim --port /dev/ttyUSB1 --model-digest 9f2c41d200a1b3c4 --rate 30 --json")]
pub(crate) struct Args {
    /// Serial port
    #[arg(long, value_name = "PATH")]
    port: PathBuf,
    /// How the link is spoken: native frames or Modbus registers
    #[arg(long, value_enum, default_value_t = ProfileArg::Native)]
    profile: ProfileArg,
    /// Modbus unit of the device, 1 to 247
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = clap::value_parser!(u8).try_map(Unit::try_from))]
    unit: Unit,
    /// Bits per second
    #[arg(long, value_name = "BAUD", default_value_t = 115_200, value_parser = baud)]
    baud: u32,
    /// Parity bit
    #[arg(long, value_enum, default_value_t = ParityArg::Even)]
    parity: ParityArg,
    /// Number of parts to trigger
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    parts: u64,
    /// Part number of the first part
    #[arg(long, value_name = "PART", default_value_t = 1)]
    first_part: u64,
    /// At most this many parts per minute, 0.01 to 100000 [default: as fast as the device answers]
    #[arg(long, value_name = "PER_MINUTE", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Longest time from a part's trigger to its verdict
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    deadline_ms: u32,
    /// Digest of a model that may let a part pass, at least its first 16 hexadecimal digits; repeatable
    #[arg(long, value_name = "DIGITS", value_parser = model_digest)]
    model_digest: Vec<DigestStart>,
    /// Folder of a model that may let a part pass. Without a model, the gate rejects every part
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Images that the simulated scanner writes in turn, one before each trigger
    #[arg(long, value_name = "IMAGE", num_args = 1.., requires = "into")]
    images: Vec<PathBuf>,
    /// Folder that the appliance watches. The simulated scanner writes there
    #[arg(long, value_name = "FOLDER", requires = "images")]
    into: Option<PathBuf>,
    /// Time from a part's trigger to its image [default: the image comes before the trigger]
    #[arg(long, value_name = "MILLISECONDS", requires = "into", value_parser = clap::value_parser!(u64).range(..=86_400_000))]
    scan_after: Option<u64>,
    /// Longest time to wait until the device is ready
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=86_400))]
    patience: u64,
    /// Print one JSON object per part
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ProfileArg {
    Native,
    Modbus,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ParityArg {
    Even,
    Odd,
    None,
}

/// Reads the value of `--baud`.
fn baud(text: &str) -> Result<u32, String> {
    let baud = text.parse().ok().filter(|baud| BAUDS.contains(baud));
    baud.ok_or_else(|| format!("found {text}, expected one of {}", BAUDS.map(|baud| baud.to_string()).join(", ")))
}

/// Reads the value of `--model-digest`: the first 8 bytes of a digest, or more of it.
fn model_digest(text: &str) -> Result<DigestStart, String> {
    let is_digest = (16..=64).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let start = text.get(..16).filter(|_| is_digest).and_then(|start| u64::from_str_radix(start, 16).ok());
    let start = start.map(|start| DigestStart(start.to_be_bytes()));
    start.ok_or_else(|| format!("found `{text}`, expected 16 to 64 hexadecimal digits"))
}

/// The outcomes of all parts.
#[derive(Default)]
struct Summary {
    passed: u64,
    reviewed: u64,
    rejected: u64,
    /// The rejected parts whose reason is the gate's own, such as a late verdict, and not the device's.
    by_gate: u64,
    /// The parts that ended without a verdict of the device, such as a refused one.
    without_verdict: u64,
    /// The time from each part's trigger to its outcome.
    times_ms: Vec<u64>,
}

/// Runs `plc-sim`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(into) = args.into.as_deref().filter(|into| !into.is_dir()) {
        bail!(
            "--into {}: found no such folder, expected the folder that the appliance watches; create it",
            into.display()
        );
    }
    let mut models = args.model_digest.clone();
    if let Some(path) = &args.model {
        let model = Model::open(path, &model::ModelLimits::default()).context("the model was refused")?;
        models.push(DigestStart::of(model.digest().as_bytes()));
    }
    if let Some(rate) = args.rate {
        ensure!((0.01..=100_000.0).contains(&rate), "--rate: found {rate:?}, expected 0.01 to 100000");
    }
    let (first, parts) = (args.first_part, args.parts);
    ensure!(parts > 0, "--parts: found 0, expected at least 1");
    let last = first.checked_add(parts - 1);
    ensure!(last.is_some(), "--first-part {first} with --parts {parts}: expected part numbers up to {}", u64::MAX);
    let options = SimulatorOptions {
        port: args.port.clone(),
        profile: match args.profile {
            ProfileArg::Native => Profile::Native,
            ProfileArg::Modbus => Profile::Modbus,
        },
        unit: args.unit,
        baud: args.baud,
        parity: match args.parity {
            ParityArg::Even => ParityConfig::Even,
            ParityArg::Odd => ParityConfig::Odd,
            ParityArg::None => ParityConfig::None,
        },
        models,
        first_part: args.first_part,
        parts: args.parts,
        every: args.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(60.0 / rate)),
        scan_after: args.scan_after.map(Duration::from_millis),
        deadline_ms: args.deadline_ms,
        patience: Duration::from_secs(args.patience),
    };
    let mut scanner = args.into.as_deref().and_then(|into| Scanner::new(args.images.clone(), into));
    let mut summary = Summary::default();
    let mut output = io::stdout().lock();
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let scan = |part_id| scanner.as_mut().map_or(Ok(()), |scanner| scanner.scan(part_id).map(drop));
    runtime.block_on(plc_sim::run(&options, scan, |outcome| {
        summary.add(outcome);
        // If the reader closes stdout, the simulation continues.
        let _ = print(&mut output, outcome, args.json);
    }))?;
    summary.print(&mut output, start.elapsed(), args.json)?;
    Ok(ExitCode::from(summary.status()))
}

/// Prints one part's outcome.
fn print(output: &mut impl Write, outcome: &PartEnd, json: bool) -> io::Result<()> {
    let PartEnd { part_id, decision, elapsed_ms, claim, .. } = outcome;
    let (verdict, reason) = words(decision);
    let device_verdict = claim.map(|claim| claim.code.verdict().name());
    if json {
        let line = serde_json::json!({
            "part": part_id, "gate": verdict, "reason": reason, "device": device_verdict, "ms": elapsed_ms,
        });
        writeln!(output, "{line}")
    } else {
        writeln!(output, "part {part_id:>8}  {verdict:<6}  {reason:<22}  {elapsed_ms:>6} ms")
    }
}

/// Returns the stable names of the decision and of its reason. The reason of a PASS is empty.
fn words(decision: &GateDecision) -> (&'static str, String) {
    let reason = match decision {
        GateDecision::Pass => String::new(),
        GateDecision::Review(reason) | GateDecision::Reject(reason) => reason.to_string(),
    };
    (decision.verdict().name(), reason)
}

impl Summary {
    fn add(&mut self, outcome: &PartEnd) {
        match outcome.decision {
            GateDecision::Pass => self.passed += 1,
            GateDecision::Review(_) => self.reviewed += 1,
            GateDecision::Reject(reason) => {
                self.rejected += 1;
                self.by_gate += u64::from(reason.role() == Some(Role::Gate));
            }
        }
        self.without_verdict += u64::from(outcome.claim.is_none());
        self.times_ms.push(outcome.elapsed_ms);
    }

    /// The exit status.
    fn status(&self) -> u8 {
        u8::from(self.by_gate > 0 || self.without_verdict > 0)
    }

    fn print(&mut self, output: &mut impl Write, elapsed: Duration, json: bool) -> io::Result<()> {
        let parts = self.times_ms.len();
        let [p50_ms, p99_ms] = [0.5, 0.99].map(|share| percentile(&mut self.times_ms, share).unwrap_or(0));
        let per_minute = parts as f64 / elapsed.as_secs_f64() * 60.0;
        let Self { passed, reviewed, rejected, by_gate, without_verdict, .. } = self;
        if json {
            let line = serde_json::json!({
                "parts": parts, "pass": passed, "review": reviewed, "reject": rejected, "rejected_by_gate": by_gate,
                "p50_ms": p50_ms, "p99_ms": p99_ms, "parts_per_minute": per_minute, "without_verdict": without_verdict,
            });
            return writeln!(output, "{line}");
        }
        writeln!(
            output,
            "{parts} parts: {passed} PASS, {reviewed} REVIEW, {rejected} REJECT ({by_gate} by the gate itself); \
             {without_verdict} without a verdict; trigger to verdict p50 {p50_ms} ms, p99 {p99_ms} ms; {per_minute:.0} parts per \
             minute"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_protocol::code::VerdictCode;
    use cellgate_protocol::gate::Claim;
    use cellgate_protocol::reason::ReasonCode;
    use cellgate_protocol::to_plc::Flags;

    /// The outcome REJECT of a part with this reason, with a verdict of the device or without.
    fn rejected(reason: ReasonCode, has_verdict: bool) -> PartEnd {
        let claim = Claim {
            crc_right: true,
            complement_right: true,
            part_id: 1,
            nonce: 1,
            code: VerdictCode::REJECT,
            reason,
            age_ms: 0,
            model: DigestStart([1; 8]),
            flags: Flags::default(),
        };
        let decision = GateDecision::Reject(reason);
        PartEnd {
            part_id: 1,
            nonce: 1,
            decision,
            claim: has_verdict.then_some(claim),
            verdict_seq: has_verdict.then_some(1),
            boot_epoch: None,
            elapsed_ms: 0,
        }
    }

    #[test]
    fn a_digest_has_only_hexadecimal_digits() {
        let digest = "9f2c41d200A1B3c4";
        let start = DigestStart([0x9f, 0x2c, 0x41, 0xd2, 0x00, 0xa1, 0xb3, 0xc4]);
        for good in [digest.to_owned(), format!("{digest}0"), digest.repeat(4)] {
            assert_eq!(model_digest(&good), Ok(start), "{good}");
        }
        for bad in [
            "",
            &digest[1..],
            "+f2c41d200a1b3c4",
            &format!("{digest}, x"),
            &format!("{}0", digest.repeat(4)),
            "ääääääää",
        ] {
            assert!(model_digest(bad).is_err(), "{bad}");
        }
    }

    /// Regression: a part that a NAK ended counted as a part with a verdict.
    #[test]
    fn the_status_is_1_if_a_part_got_no_verdict_or_the_gate_rejected_it() {
        for (reason, has_verdict, status) in [
            (ReasonCode::SCORE_FROM_REJECT, true, 0),
            (ReasonCode::TIMEOUT, true, 0),
            (ReasonCode::NOT_READY, false, 1),
            (ReasonCode::STORE_FAILED, false, 1),
            (ReasonCode::STORE_FAILED, true, 0),
            (ReasonCode::LATE, false, 1),
            (ReasonCode::MODEL_NOT_ALLOWED, true, 1),
        ] {
            let mut summary = Summary::default();
            summary.add(&rejected(reason, has_verdict));
            assert_eq!(summary.status(), status, "{reason}, {has_verdict}");
        }
    }
}
