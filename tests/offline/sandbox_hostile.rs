//! Sends hostile files through the whole pipeline with the sandbox. Each file ends with a verdict from a score or as a REJECT with
//! its reason, in time and in bounded memory, and the parent process continues.
//!
//! A few hundred mutated files are always tried. The ignored test tries 100,000 and prints progress, times (limit 200 ms per image)
//! and peak memory:
//! `cargo build --release -p cellgate-edge && cargo test --release -p cellgate-tests --test sandbox_hostile -- --ignored --nocapture`

mod tiff_builder;

use cellgate_edge::pipeline::Pipeline;
use cellgate_edge::sandbox::{Sandbox, SandboxOptions};
use cellgate_models::conversion::{ConversionSpec, Method, Size};
use cellgate_models::engine::{Engine, EngineError, MapSumLimit, Output};
use cellgate_models::policy::{Reason, Rule, Verdict};
use cellgate_models::radiograph::RadiographLimits;
use cellgate_test_support::models::{equal_shares, first_component};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tiff_builder::{Form, levels, random};

/// Longest time for an image, from path to verdict.
const MAX_TIME: Duration = Duration::from_millis(200);
/// The sandbox's share of `MAX_TIME`. The remaining time is for ending a sandbox process that was killed, for reading the file, for
/// the conversion and for the network.
const DEADLINE: Duration = Duration::from_millis(150);
/// `MAX_TIME` and `DEADLINE` for a machine that may be busy with other tests.
const BUSY_MAX_TIME: Duration = Duration::from_secs(5);
const BUSY_DEADLINE: Duration = Duration::from_secs(1);
/// The most memory of the sandbox's process: 16 megapixels of 2 bytes, a file of 32 MiB, the program, and 64 MiB in reserve.
const MAX_WORKER_KIB: u64 = 160 << 10;
/// The most memory of the test's own process, the sandbox's parent.
const MAX_PARENT_KIB: u64 = 256 << 10;
const SIZE: Size = Size { height: 32, width: 64 };

/// A network whose logit is its input's mean, with a map of equal shares and the logit as first component of the features.
struct MeanEngine;

impl Engine for MeanEngine {
    fn input_size(&self) -> Size {
        SIZE
    }

    fn run(&mut self, input: &[f32]) -> Result<Output, EngineError> {
        let logit = input.iter().sum::<f32>() / input.len() as f32;
        Ok(Output { logit, map: equal_shares(SIZE, logit), features: first_component(logit) })
    }
}

/// Statistics over all images.
#[derive(Default)]
struct Seen {
    reasons: BTreeMap<&'static str, u64>,
    slowest: Duration,
    slowest_name: String,
    over_time: u64,
    worker_peak_kib: u64,
}

/// A pipeline with its sandbox, and what the test has seen of it.
struct TestedPipeline {
    pipeline: Pipeline,
    rule: Rule,
    /// The file that each image is written to.
    path: PathBuf,
    _folder: tempfile::TempDir,
    seen: Seen,
}

impl TestedPipeline {
    fn start(deadline: Duration) -> Self {
        let limits = RadiographLimits { max_pixels: 16 << 20, max_file_bytes: 32 << 20, ..RadiographLimits::default() };
        let program = cellgate_test_support::program("cellgate-edge").expect("the built program");
        let sandbox =
            Sandbox::start(SandboxOptions { program, deadline, ..SandboxOptions::new(limits) }).expect("a worker");
        eprintln!("protections: {}; missing: {}", sandbox.protections(), sandbox.protections().missing());
        let spec = ConversionSpec::new(Method::Naive).with_size(SIZE);
        let rule = cellgate_test_support::models::policy([-0.85, 0.85]).rule();
        let envelope = cellgate_test_support::models::open_envelope();
        let map_sum = MapSumLimit::of_golden([(&equal_shares(SIZE, 1.0), 1e-3)]);
        let engine = Box::new(MeanEngine);
        let pipeline = Pipeline::new(&spec, envelope, map_sum, engine, sandbox).expect("matching sizes");
        let folder = tempfile::tempdir().expect("a folder");
        Self { pipeline, rule, path: folder.path().join("part.tif"), _folder: folder, seen: Seen::default() }
    }

    fn judge(&mut self, bytes: &[u8], name: &dyn Fn() -> String) {
        std::fs::write(&self.path, bytes).expect("a written file");
        let start = Instant::now();
        let judgement = self.pipeline.judge(&self.path, &self.rule);
        let took = start.elapsed();
        let (verdict, reason) = (judgement.decision.verdict, judgement.decision.reason);
        // The verdict comes from a score, or it is a REJECT with a detail text.
        assert_eq!(judgement.score.is_none(), judgement.detail.is_some(), "{}", name());
        assert!(judgement.score.is_some() || verdict == Verdict::Reject, "{}: {verdict} {reason}", name());
        assert_eq!(judgement.score.is_some(), judgement.output.is_some(), "{}", name());
        let keeps_map = judgement.output.is_none_or(|Output { logit, map, .. }| map.sums_to(logit, 1e-3));
        assert!(keeps_map, "{}", name());
        assert_ne!(reason, Reason::DecoderFailed, "{}: {:?}", name(), judgement.detail);
        *self.seen.reasons.entry(reason.name()).or_default() += 1;
        self.seen.over_time += u64::from(took > MAX_TIME);
        if took > self.seen.slowest {
            self.seen.slowest = took;
            self.seen.slowest_name = format!("{} ({verdict} {reason})", name());
        }
        let judged: u64 = self.seen.reasons.values().sum();
        if judged.is_multiple_of(64) {
            self.look_at_worker();
        }
    }

    /// Reads the peak memory of the sandbox's process.
    fn look_at_worker(&mut self) {
        let peak = self.pipeline.sandbox().worker_id().and_then(|id| memory_kib(&id.to_string(), "VmHWM"));
        self.seen.worker_peak_kib = self.seen.worker_peak_kib.max(peak.unwrap_or(0));
    }

    fn finish(mut self, what: &str) -> Seen {
        self.look_at_worker();
        let parent_peak_kib = memory_kib("self", "VmHWM").unwrap_or(0);
        let seen = self.seen;
        eprintln!(
            "{what}: slowest {:.1?}: {}; {} over {MAX_TIME:?}; peak memory: parent {parent_peak_kib} KiB, worker {} KiB; {:?}",
            seen.slowest, seen.slowest_name, seen.over_time, seen.worker_peak_kib, seen.reasons
        );
        assert!(seen.worker_peak_kib < MAX_WORKER_KIB && parent_peak_kib < MAX_PARENT_KIB);
        seen
    }
}

/// A field of /proc/PROCESS/status in KiB.
fn memory_kib(process: &str, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?.split_whitespace().next()?.parse().ok()
}

/// Valid small files of many forms, and the shared files if present.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut files = shared_files();
    for (is_bigtiff, is_little_endian) in [(false, true), (true, false), (false, false)] {
        for compression in [1, 5, 8, 32773] {
            for (bits, predicted) in [(16, true), (16, false), (12, false)] {
                for tile in [None, Some((16, 16))] {
                    let form =
                        Form { is_bigtiff, is_little_endian, compression, bits, predicted, tile, ..Form::default() };
                    let name = format!(
                        "made: BigTIFF {is_bigtiff} little-endian {is_little_endian} code {compression} bits {bits} tile {tile:?}"
                    );
                    files.push((name, form.build(40, &levels(40 * 24, bits))));
                }
            }
        }
    }
    files
}

fn shared_files() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = cellgate_test_support::shared("tiffs") else { return Vec::new() };
    let mut paths: Vec<_> = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| (path.display().to_string(), std::fs::read(path).expect("a readable file"))).collect()
}

/// Makes one to four edits. Returns a description of them.
fn mutate(file: &mut Vec<u8>, seeds: &[(String, Vec<u8>)], state: &mut u64) -> String {
    let mut done = String::new();
    for _ in 0..=random(state) % 4 {
        let at = random(state) as usize % file.len().max(1);
        let name = match random(state) % 5 {
            0 => {
                flip(file, at, state);
                "flip"
            }
            1 => {
                file.truncate(at);
                "cut"
            }
            2 => {
                let (_, other) = &seeds[random(state) as usize % seeds.len()];
                let from = random(state) as usize % other.len().max(1);
                let len = (random(state) as usize % 64).min(other.len() - from);
                file.splice(at..at, other[from..from + len].iter().copied());
                "splice"
            }
            3 => {
                let to = random(state) as usize % file.len().max(1);
                let len = (random(state) as usize % 64).min(file.len() - at.max(to));
                file.copy_within(at..at + len, to);
                "copy"
            }
            _ => {
                edit_tag(file, state);
                "tag"
            }
        };
        let _ = write!(done, " {name}@{at}");
    }
    done
}

fn flip(file: &mut [u8], at: usize, state: &mut u64) {
    if let Some(byte) = file.get_mut(at) {
        *byte ^= 1 << (random(state) % 8);
    }
}

/// Writes a critical number to the tag, type, count or value of a random entry of the first directory.
fn edit_tag(file: &mut [u8], state: &mut u64) {
    let is_little_endian = file.first() == Some(&b'I');
    let is_bigtiff = file.get(2..4).is_some_and(|magic| magic.contains(&43));
    let number = |bytes: &[u8]| {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if is_little_endian { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
    };
    // `pointer` is the place in the header that holds the directory's position. The other numbers are the bytes of the entry count,
    // of an entry, and of a value.
    let (pointer, head, entry_bytes, width) = if is_bigtiff { (8..16, 8, 20, 8) } else { (4..8, 2, 12, 4) };
    let Some(directory) = file.get(pointer).map(number).and_then(|at| usize::try_from(at).ok()) else { return };
    let index = random(state) as usize % 16;
    let (field, len) = [(0, 2), (2, 2), (4, width), (4 + width, width), (4 + width, 2)][random(state) as usize % 5];
    let Some(start) = directory.checked_add(head + index * entry_bytes + field) else { return };
    let Some(place) = start.checked_add(len).and_then(|end| file.get_mut(start..end)) else { return };
    let critical =
        [0, 1, 2, 3, 16, 273, 4096, 0x7fff, 0xffff, 1 << 20, 1 << 24, u64::from(u32::MAX), u64::MAX, random(state)];
    let value = critical[random(state) as usize % critical.len()];
    let bytes =
        if is_little_endian { value.to_le_bytes()[..len].to_vec() } else { value.to_be_bytes()[8 - len..].to_vec() };
    place.copy_from_slice(&bytes);
}

fn run_mutations(count: u64, deadline: Duration) -> Seen {
    let (seeds, mut state) = (seeds(), 20_261_123);
    let mut tested = TestedPipeline::start(deadline);
    let start = Instant::now();
    for index in 0..count {
        let (name, seed) = &seeds[random(&mut state) as usize % seeds.len()];
        let mut file = seed.clone();
        let done = mutate(&mut file, &seeds, &mut state);
        tested.judge(&file, &|| format!("mutation {index} of {name}:{done}"));
        if (index + 1).is_multiple_of(count.div_ceil(20)) {
            let (took, share) = (start.elapsed(), (index + 1) as f64 / count as f64);
            eprintln!("{} of {count}, {took:.1?}, {:.0?} left", index + 1, took.mul_f64(1.0 / share - 1.0));
        }
    }
    eprintln!("{count} mutations in {:.1?}", start.elapsed());
    let seen = tested.finish("mutations");
    // Both outcomes are frequent, otherwise the mutations are too weak or too strong.
    let accepted: u64 = seen.reasons.iter().filter(|(name, _)| name.starts_with("SCORE")).map(|(_, count)| count).sum();
    assert!(accepted > count / 50 && accepted < count * 9 / 10, "{accepted} of {count} were images");
    seen
}

#[test]
fn each_shared_file_ends_in_time() {
    let mut tested = TestedPipeline::start(BUSY_DEADLINE);
    for (name, bytes) in shared_files() {
        tested.judge(&bytes, &|| name.clone());
    }
    assert!(tested.finish("shared files").slowest < BUSY_MAX_TIME);
}

#[test]
fn some_hundred_mutations_end_in_time() {
    assert!(run_mutations(600, BUSY_DEADLINE).slowest < BUSY_MAX_TIME);
}

#[test]
#[ignore = "takes minutes; the command is at the top of this file"]
fn a_hundred_thousand_mutations_end_within_200_ms() {
    assert_eq!(run_mutations(100_000, DEADLINE).over_time, 0);
}
