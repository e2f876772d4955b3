//! Runs one program, a build of `cellgate-edge`, with its own folder, its own cable and the simulated PLC, and takes its times.

use crate::figures::{Figures, Stages};
use crate::{BAUD, HEIGHT, SETTLED, TURN, WIDTH};
use anyhow::{Context as _, ensure};
use cellgate_edge::config::{ParityConfig, Profile};
use cellgate_edge::plc_sim::{self, SimulatorOptions};
use cellgate_models::conversion::{Bounds, ConversionSpec, Method, Size};
use cellgate_models::model::{Expectation, Model, ModelLimits, Precision};
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::limits::{BITS_PER_BYTE, CHECK, HEADER};
use cellgate_protocol::modbus::map::SNAPSHOT_REGISTERS;
use cellgate_protocol::modbus::unit::Unit;
use cellgate_protocol::session::plc::PlcEvent;
use cellgate_protocol::version::Schema;
use cellgate_test_support::models as support;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::Gray16;

/// The time from a trigger to its image. The acceptance is stored in this time, before the measured time begins.
const SCAN_AFTER: Duration = Duration::from_millis(30);
/// The number of parts after which memory is measured for the first time.
const FIRST: u64 = 100;

/// A running program, with the times and the memory that were measured so far.
pub(crate) struct Appliance {
    name: &'static str,
    program: PathBuf,
    profile: Profile,
    model: Model,
    /// Stands before the cable: fields are dropped in order, so the program ends before its cable.
    process: Running,
    _cable: Running,
    folder: TempDir,
    /// When the image file of each part was complete, by part number.
    closed: BTreeMap<u64, Instant>,
    /// When the PLC had the verdict of each part, by part number.
    decided: BTreeMap<u64, Instant>,
    /// The measurements of memory: the number of parts judged so far, and the memory in KiB.
    memory: Vec<(u64, u64)>,
}

impl Appliance {
    /// Starts `program` with a new folder and cable.
    pub(crate) fn start(name: &'static str, program: &Path, profile: Profile) -> anyhow::Result<Self> {
        let place = tempfile::tempdir()?;
        let folder = place.path();
        let cable = Running(Command::new("socat").args(["plc", "device"].map(|end| pty(folder, end))).spawn()?);
        wait_for(|| folder.join("plc").exists() && folder.join("device").exists());
        let model = prepare(folder, profile)?;
        let process = Command::new(program)
            .args(["run", "--config", "edge.toml"])
            .current_dir(folder)
            .stderr(Stdio::from(fs::File::create(folder.join("log"))?))
            .spawn()
            .with_context(|| program.display().to_string())?;
        Ok(Self {
            name,
            program: program.to_owned(),
            profile,
            model,
            process: Running(process),
            _cable: cable,
            folder: place,
            closed: BTreeMap::new(),
            decided: BTreeMap::new(),
            memory: Vec::new(),
        })
    }

    /// Lets the program judge the next `parts` parts.
    pub(crate) fn judge(&mut self, parts: u64) -> anyhow::Result<()> {
        let folder = self.folder.path();
        let options = SimulatorOptions {
            port: folder.join("plc"),
            profile: self.profile,
            unit: Unit::FIRST,
            baud: BAUD,
            parity: ParityConfig::Even,
            models: vec![DigestStart::of(self.model.digest().as_bytes())],
            first_part: self.decided.len() as u64 + 1,
            parts,
            schema: Schema::One, // another build of the program may know no other
            bundle: 0,
            confirm: Vec::new(),
            every: Duration::ZERO,
            scan_after: Some(SCAN_AFTER),
            deadline_ms: 5000,
            patience: Duration::from_secs(30),
        };
        let (closed, decided, memory) = (&mut self.closed, &mut self.decided, &mut self.memory);
        let scan = |part: u64| {
            let hidden = folder.join("scans").join(format!(".{part}.tif"));
            // Copy the file for each part, as a scanner writes one file per part. With hard links to a single file, archiving one
            // part's image would change the file times of all others.
            fs::copy(folder.join("electrode.tif"), &hidden).unwrap();
            fs::rename(&hidden, folder.join("scans").join(format!("{part}.tif"))).unwrap();
            closed.insert(part, Instant::now());
            Ok(())
        };
        let process = self.process.0.id();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let outcome = runtime.block_on(plc_sim::run(&options, scan, |event| {
            let PlcEvent::Decided(outcome) = event else { return };
            decided.insert(outcome.part_id, Instant::now());
            let done = decided.len() as u64;
            if done == FIRST || done.is_multiple_of(SETTLED) {
                memory.push((done, memory_kib(process)));
            }
        }));
        if outcome.is_err() {
            eprintln!("{}", last_lines(&fs::read_to_string(folder.join("log")).unwrap_or_default()));
        }
        outcome?;
        Ok(())
    }

    /// Ends the program and reads its times from the journal.
    pub(crate) fn finish(mut self) -> anyhow::Result<Figures> {
        let done = self.decided.len() as u64;
        if self.memory.last().is_none_or(|(parts, _)| *parts != done) {
            self.memory.push((done, memory_kib(self.process.0.id())));
        }
        let Self { name, program, profile, process, folder, closed, decided, memory, .. } = self;
        drop(process);
        let mut stages = stages(&program, folder.path())?;
        let (mut times, mut all) = (Vec::new(), Vec::new());
        for (part, decided) in &decided {
            let closed = closed.get(part).with_context(|| format!("found no image of part {part}"))?;
            let stages =
                stages.remove(part).with_context(|| format!("found no verdict on part {part} in the journal"))?;
            times.push(decided.duration_since(*closed).as_secs_f64() * 1e3 - stages.infer_ms + verdict_ms(profile));
            all.push(stages);
        }
        let turns = times.chunks(TURN as usize).map(<[f64]>::to_vec).collect();
        Ok(Figures { name, turns, stages: all, memory })
    }
}

/// The last 20 log lines of the appliance.
fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Writes the configuration, the model, and the one image that is copied for every part.
fn prepare(folder: &Path, profile: Profile) -> anyhow::Result<Model> {
    let conversion =
        ConversionSpec::new(Method::Global).with_bounds("1700,2800".parse::<Bounds>()?).with_size(Size::PAPER);
    // The golden image is dark in both the naive and the global conversion, so its logit is the same with either.
    let logit = support::mean_logit(support::DARK);
    let mut contents = support::contents("mean_large.onnx", logit);
    contents.conversion = conversion;
    // The network adds up millions of values in f32. The sum is no more precise than this tolerance.
    let expected = Expectation { logit, tolerance: 1e-2, map_tolerance: 1e-5, features_tolerance: 1e-2 };
    contents.golden[0].expected.insert(Precision::F32, expected);
    contents.golden[0].map = support::equal_shares(Size::PAPER, logit);
    let path = support::model(folder, &contents);
    // Noise in an uncompressed TIFF, because scanners write uncompressed TIFFs.
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let levels: Vec<u16> = (0..HEIGHT * WIDTH).map(|_| random.random_range(1650..2850)).collect();
    let mut file = BufWriter::new(fs::File::create(folder.join("electrode.tif"))?);
    TiffEncoder::new(&mut file)?.write_image::<Gray16>(WIDTH, HEIGHT, &levels)?;
    file.flush()?;
    fs::create_dir(folder.join("scans"))?;
    let profile = format!("{profile:?}").to_lowercase();
    fs::write(
        folder.join("edge.toml"),
        format!(
            "[device]\nid = 1\n[model]\npath = \"model\"\n[acquire]\nfolder = \"scans\"\nmatch = \"part-id\"\n\
             archive = \"archive\"\narchive_quota_mib = 1000\nmin_free_mib = 1\nallow_weaker_sandbox = true\n\
             [plc]\nport = \"device\"\nprofile = \"{profile}\"\nbaud = {BAUD}\n[journal]\npath = \"verdicts.sqlite\"\n"
        ),
    )?;
    Ok(Model::open(&path, &ModelLimits::default())?)
}

/// The transmission time of a verdict in ms. Native: the time of the frame (54 bytes of payload, two delimiters and one byte of
/// stuffing, besides header and check). Modbus: the time of the request and the answer that read the registers.
pub(crate) fn verdict_ms(profile: Profile) -> f64 {
    let bytes = match profile {
        Profile::Native => HEADER + 54 + CHECK + 3,
        Profile::Modbus => 8 + 5 + 2 * SNAPSHOT_REGISTERS,
    };
    bytes as f64 * BITS_PER_BYTE as f64 / f64::from(BAUD) * 1e3
}

/// The stage times of each part, from the journal.
fn stages(program: &Path, folder: &Path) -> anyhow::Result<BTreeMap<u64, Stages>> {
    let output = Command::new(program)
        .args(["journal", "export", "verdicts.sqlite", "--format", "jsonl"])
        .current_dir(folder)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut all = BTreeMap::new();
    for row in String::from_utf8(output.stdout)?.lines() {
        let row: serde_json::Value = serde_json::from_str(row)?;
        ensure!(
            row["reason"].as_str().is_some_and(|reason| reason.starts_with("SCORE_")),
            "found a part without a score: {row}"
        );
        let ms = |name: &str| row[name].as_f64().map(|us| us / 1e3).with_context(|| name.to_owned());
        let stages = Stages { read_ms: ms("read_us")?, convert_ms: ms("convert_us")?, infer_ms: ms("infer_us")? };
        all.insert(row["part"].as_u64().context("part")?, stages);
    }
    Ok(all)
}

/// The anonymous memory (heaps and stacks) of the process `pid` and its children, in KiB. Pages of programs, libraries and the
/// journal's index are not counted: they are loaded on first use, and the Linux kernel can reclaim them at any time.
fn memory_kib(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = tasks.flat_map(|task| {
        let children = fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        children.split_whitespace().map(|child| child.parse().unwrap()).collect::<Vec<u32>>()
    });
    children.chain([pid]).map(anonymous_kib).sum()
}

/// The anonymous memory of one process in KiB.
fn anonymous_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kib = status.lines().find_map(|field| field.strip_prefix("RssAnon:")).unwrap();
    kib.trim_end_matches("kB").trim().parse().unwrap()
}

/// socat's name for one end of the cable, a pseudo-terminal to which a symbolic link in `folder` leads.
fn pty(folder: &Path, end: &str) -> String {
    format!("pty,raw,echo=0,link={}", folder.join(end).display())
}

/// Waits until `is_true` returns true.
fn wait_for(mut is_true: impl FnMut() -> bool) {
    while !is_true() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process that is killed on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
