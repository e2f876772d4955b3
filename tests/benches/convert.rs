//! Compares the speed of this code with that of the paper's way in Python, from a TIFF to the network's input. Each round
//! measures both.
//!
//! `cargo bench -p cellgate-tests --bench convert -- [ROUNDS]`, or `scripts/bench`. Rust and Python each use one core. The floor is
//! the time to write only the 24 MB of the tensor, measured in the same rounds.
//!
//! Exit status 0: all targets are met. 1: targets are missed; a message names them. 2: nothing could be measured.

use anyhow::{Context as _, ensure};
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Method, Size};
use cellgate_models::digest::Digest;
use cellgate_models::radiograph::{Radiograph, RadiographLimits, RadiographReader};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

/// The paper's largest electrode.
const HEIGHT: u32 = 2115;
const WIDTH: u32 = 1219;
const BOUNDS: &str = "1700,2800";
/// Images per round, for Python and for this code. There are several, so that the processor's caches are mostly in the state
/// that the previous image left, as in production.
const IN_A_ROW: usize = 4;
/// The methods with their targets: the factor by which this code must be faster than Python.
const METHODS: [(Method, f64); 2] = [(Method::Global, 5.0), (Method::Local, 10.0)];

fn main() -> ExitCode {
    match measure() {
        Ok(missed) if missed.is_empty() => ExitCode::SUCCESS,
        Ok(missed) => {
            eprintln!("missed: {}", missed.join("; "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Measures both ways, and returns the missed targets.
fn measure() -> anyhow::Result<Vec<String>> {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(31);
    let folder = tempfile::tempdir()?;
    let image = folder.path().join("electrode.tif");
    std::fs::write(&image, uncompressed_tiff(&electrode()))?;
    let mut python = PythonWay::start(&image)?;
    let mut tensor = vec![0.0; 3 * Size::PAPER.pixels()];

    println!(
        "{HEIGHT} x {WIDTH} 16-bit TIFF to 3 x {} f32, {rounds} turns of {IN_A_ROW}, milliseconds: median (best)",
        Size::PAPER
    );
    println!("{:8} {:>16} {:>16} {:>16} {:>14} {:>5}", "method", "Python", "this", "floor", "times faster", "asked");
    let mut missed = Vec::new();
    for (method, asked) in METHODS {
        let spec = ConversionSpec::new(method).with_bounds(BOUNDS.parse::<Bounds>()?).with_size(Size::PAPER);
        let (mut reader, mut converter) = (RadiographReader::new(RadiographLimits::default()), Converter::new(&spec)?);
        run(&image, &mut reader, &mut converter, &mut tensor)?;
        let bytes: Vec<u8> = tensor.iter().flat_map(|value| value.to_ne_bytes()).collect();
        ensure!(python.ask("digest", method)? == Digest::of(&bytes).to_string(), "{method}: the tensors differ");

        let (mut theirs, mut ours, mut floor) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            for _ in 0..IN_A_ROW {
                theirs.push(python.ask("time", method)?.parse()?);
            }
            for _ in 0..IN_A_ROW {
                ours.push(milliseconds(|| run(&image, &mut reader, &mut converter, &mut tensor))?);
            }
            for _ in 0..IN_A_ROW {
                floor.push(milliseconds(|| {
                    black_box(&mut tensor).fill(black_box(1.0));
                    Ok(())
                })?);
            }
        }
        let (theirs, ours, floor) = (Times::of(theirs), Times::of(ours), Times::of(floor));
        let faster = Times { median: theirs.median / ours.median, best: theirs.best / ours.best };
        if faster.median < asked {
            missed.push(format!("{method}: {:.2} times as fast, asked: {asked}", faster.median));
        }
        println!("{method:8} {theirs:>16} {ours:>16} {floor:>16} {faster:>14} {asked:5}");
        println!("{:8} {:.1} times the floor", "", ours.median / floor.median);
    }
    stages(&image, rounds)?;
    Ok(missed)
}

/// Reads the TIFF and converts it to the tensor.
fn run(
    image: &Path,
    reader: &mut RadiographReader,
    converter: &mut Converter,
    tensor: &mut [f32],
) -> anyhow::Result<()> {
    converter.to_tensor(reader.read(image)?, black_box(tensor))?;
    Ok(())
}

/// Measures single steps and prints their times.
fn stages(image: &Path, rounds: usize) -> anyhow::Result<()> {
    let mut reader = RadiographReader::new(RadiographLimits::default());
    let radiograph = reader.read(image)?.clone();
    let spec = |method| -> anyhow::Result<ConversionSpec> {
        Ok(ConversionSpec::new(method).with_bounds(BOUNDS.parse::<Bounds>()?).with_size(Size::PAPER))
    };
    let (mut global, mut local) = (Converter::new(&spec(Method::Global)?)?, Converter::new(&spec(Method::Local)?)?);
    let mut tensor = vec![0.0; 3 * Size::PAPER.pixels()];
    let stage = |name: &str, work: &mut dyn FnMut() -> anyhow::Result<()>| {
        let times: anyhow::Result<Vec<f64>> = (0..rounds).map(|_| milliseconds(&mut *work)).collect();
        times.map(|times| println!("  {name:32} {:>16}", Times::of(times)))
    };
    stage("read and decode", &mut || {
        black_box(reader.read(image)?);
        Ok(())
    })?;
    stage("global: to resized 8 bits", &mut || {
        black_box(global.to_levels8(&radiograph)?);
        Ok(())
    })?;
    stage("global: to the tensor", &mut || Ok(global.to_tensor(&radiograph, black_box(&mut tensor))?))?;
    stage("local: to the tensor", &mut || Ok(local.to_tensor(&radiograph, black_box(&mut tensor))?))?;
    // The image gets darker from row to row. The search for the local bounds can then skip few pixels and uses a histogram
    // (models/src/conversion/local_bounds.rs).
    let shade = |(at, level): (usize, &u16)| level + 1000 - (1000 * at / radiograph.levels().len()) as u16;
    let shaded = radiograph.levels().iter().enumerate().map(shade).collect();
    let shaded = Radiograph::new(WIDTH, HEIGHT, shaded)?;
    stage("local: to the tensor, shaded", &mut || Ok(local.to_tensor(&shaded, black_box(&mut tensor))?))
}

/// A Python process that waits for requests.
struct PythonWay {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl PythonWay {
    fn start(image: &Path) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = std::env::var_os("CELLGATE_PYTHON").map_or(root.join("../.venv/bin/python"), PathBuf::from);
        let mut process = Command::new(&python)
            .arg(root.join("benches/convert_python_way.py"))
            .arg(image)
            .args([&Size::PAPER.to_string(), BOUNDS])
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{}: run scripts/setup, or set CELLGATE_PYTHON", python.display()))?;
        let requests = process.stdin.take().context("no stdin")?;
        let answers = BufReader::new(process.stdout.take().context("no stdout")?);
        Ok(Self { process, requests, answers })
    }

    fn ask(&mut self, request: &str, method: Method) -> anyhow::Result<String> {
        writeln!(self.requests, "{request} {method}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(!answer.is_empty(), "the Python process gave no answer: {:?}", self.process.try_wait()?);
        Ok(answer.trim().to_owned())
    }
}

fn milliseconds(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// Times of several rounds. The shortest time is the one that other programs have disturbed least.
struct Times {
    median: f64,
    best: f64,
}

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self { median: times[times.len() / 2], best: times[0] }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(&format!("{:.2} ({:.2})", self.median, self.best))
    }
}

/// An image with levels of about 1640 to 2600, similar to the paper's: a bright coating with a soft shading and noise, on a
/// darker frame.
fn electrode() -> Radiograph {
    let mut state = 1_u64;
    let mut noise = || {
        // A sum of uniform numbers is approximately normal. They come from a linear congruential generator (Knuth, MMIX).
        (0..4).fold(0.0, |sum, _| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum + (state >> 40) as f64 / f64::from(1 << 24) - 0.5
        })
    };
    let levels = (0..HEIGHT * WIDTH).map(|at| {
        let (y, x) = (f64::from(at / WIDTH) / f64::from(HEIGHT), f64::from(at % WIDTH) / f64::from(WIDTH));
        let inside = (0.04..0.96).contains(&x) && (0.03..0.97).contains(&y);
        let mean = if inside { 2300.0 + 120.0 * (3.0 * x).sin() * (2.0 * y).cos() } else { 1820.0 };
        (mean + 90.0 * noise()) as u16
    });
    Radiograph::new(WIDTH, HEIGHT, levels.collect()).expect("as many levels as pixels")
}

/// A little-endian TIFF of one strip without compression, as scanners write it.
fn uncompressed_tiff(radiograph: &Radiograph) -> Vec<u8> {
    let pixels: Vec<u8> = radiograph.levels().iter().flat_map(|level| level.to_le_bytes()).collect();
    let entries: [[u32; 3]; 9] = [
        // Tag, type (3 for 16 bits, 4 for 32 bits), value. The tags are width, height, bits per sample, compression (none),
        // photometric interpretation (black is zero), strip offset, samples per pixel, rows per strip, strip length.
        [256, 4, radiograph.width()],
        [257, 4, radiograph.height()],
        [258, 3, 16],
        [259, 3, 1],
        [262, 3, 1],
        [273, 4, 8],
        [277, 3, 1],
        [278, 4, radiograph.height()],
        [279, 4, pixels.len() as u32],
    ];
    let mut file = b"II\x2a\0".to_vec();
    file.extend((8 + pixels.len() as u32).to_le_bytes());
    file.extend(pixels);
    file.extend((entries.len() as u16).to_le_bytes());
    for [tag, kind, value] in entries {
        file.extend((tag as u16).to_le_bytes());
        file.extend((kind as u16).to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file
}
