//! `cellgate-edge plc-sim`: simulates the PLC's side of the serial link.

mod output;

use anyhow::{Context as _, bail, ensure};
use cellgate_edge::config::{BAUDS, ParityConfig, Profile};
use cellgate_edge::plc_sim::{self, Scanner, SimulatorOptions};
use cellgate_models::model::{self, Model};
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::modbus::unit::Unit;
use cellgate_protocol::version::Schema;
use clap::builder::TypedValueParser as _;
use output::Summary;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Simulates the line's PLC: triggers parts, runs the gate, and prints the outcome of each part.
///
/// --images and --into add a simulated scanner. --bundle and --confirm run a bundle with its reference parts.
///
/// Exit status: 0 the device gave every part a verdict, the gate itself rejected none, and the device took every confirmation, 1 some
/// parts got no verdict (refused, late, ...), the gate itself rejected theirs (stale heartbeat, unknown model, ...), or a confirmation
/// was refused, 2 misuse or no device.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # a link without hardware: /tmp/plc for this command, /tmp/device for the appliance
  socat pty,raw,echo=0,link=/tmp/plc pty,raw,echo=0,link=/tmp/device &
  # 10 parts and a simulated scanner
  cellgate-edge plc-sim --port /tmp/plc --model model --images radiographs/*.tif --into scans
  # 20 parts of bundle 7; the PLC confirms five of them, known to be good, as reference parts
  cellgate-edge plc-sim --port /tmp/plc --model model --images radiographs/*.tif --into scans \\
    --parts 20 --bundle 7 --confirm 1 2 3 5 6
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
    /// Bundle that each trigger names, 1 to 4294967295. Its first trigger starts it [default: triggers name no bundle]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    bundle: Option<u32>,
    /// Parts that are known to be good. The PLC confirms each as a reference part, before it triggers the next part
    #[arg(long, value_name = "PART", num_args = 1.., requires = "bundle")]
    confirm: Vec<u64>,
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
    /// Longest time to wait until the device is ready, or answers a confirmation
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=86_400))]
    patience: u64,
    /// Print one JSON object per part, per confirmation and for the summary
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
    let last = last.with_context(|| {
        format!("--first-part {first} with --parts {parts}: expected part numbers up to {}", u64::MAX)
    })?;
    if let Some(part) = args.confirm.iter().find(|part| !(first..=last).contains(part)) {
        bail!("--confirm {part}: expected parts of this run, {first} to {last}");
    }
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
        schema: Schema::Two,
        bundle: args.bundle.unwrap_or(0),
        confirm: args.confirm.clone(),
        every: args.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(60.0 / rate)),
        scan_after: args.scan_after.map(Duration::from_millis),
        deadline_ms: args.deadline_ms,
        patience: Duration::from_secs(args.patience),
    };
    let mut scanner = args.into.as_deref().and_then(|into| Scanner::new(args.images.clone(), into));
    let mut summary = Summary::default();
    let mut stdout = io::stdout().lock();
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let scan = |part_id| scanner.as_mut().map_or(Ok(()), |scanner| scanner.scan(part_id).map(drop));
    let bundle = runtime.block_on(plc_sim::run(&options, scan, |event| {
        summary.add(event);
        // If the reader closes stdout, the simulation continues.
        let _ = output::print(&mut stdout, event, args.json);
    }))?;
    summary.print(&mut stdout, start.elapsed(), &bundle, args.json)?;
    Ok(ExitCode::from(summary.status()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
