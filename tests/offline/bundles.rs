//! Judges 200 parts of three synthetic bundles on a simulated line: the real appliance with a model that the trainer made, over a pair
//! of pseudo-terminals. All parts of the second bundle are bad, and the third one is unlike the training. `tests/oracle/bundles.py`
//! computes offsets and verdicts again from the exported journal.
//!
//! Needs socat and the Python packages that `scripts/setup` installs.

use anyhow::{Context as _, Result, ensure};
use cellgate_models::radiograph::{self, Radiograph, RadiographLimits};
use cellgate_test_support::memory::folder_in_memory;
use cellgate_test_support::{oracle, program, root, stdout_of};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TRAINER: &str = "cellgate-trainer";
const EDGE: &str = "cellgate-edge";
/// How many reference parts a bundle needs.
const REFERENCE_PARTS: usize = 5;

const CONFIGURATION: &str = "[device]\nid = 1\n[model]\npath = \"model\"\nthreads = 1\n\
    [acquire]\nfolder = \"scans\"\nmatch = \"part-id\"\n\
    archive = \"archive\"\nmin_free_mib = 1\nallow_weaker_sandbox = true\n[plc]\nport = \"device\"\n[journal]\npath = \"verdicts.sqlite\"\n";

/// A process that is killed at the end of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A labelled image of a data set.
#[derive(Clone)]
struct Labelled {
    image: PathBuf,
    bundle: String,
    is_good: bool,
}

fn synth(folder: &Path, name: &str, parts: &str, bundles: &str, seed: &str) -> Result<Vec<Labelled>> {
    let data = folder.join(name);
    let options = ["--parts", parts, "--bundles", bundles, "--scale", "0.1", "--seed", seed];
    stdout_of(TRAINER, &[&["synth", text(&data)?][..], &options[..]].concat(), 0)?;
    let manifest = fs::read_to_string(data.join("manifest.csv"))?;
    let labelled = manifest.lines().skip(1).map(|line| {
        let mut fields = line.split(',');
        let mut next = || fields.next().context("image, bundle, label");
        let (image, bundle, label) = (next()?, next()?, next()?);
        Ok(Labelled { image: data.join(image), bundle: bundle.to_owned(), is_good: label == "normal" })
    });
    labelled.collect()
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// Trains a model for bundles with reference parts.
fn make_model(folder: &Path) -> Result<()> {
    synth(folder, "data", "160", "8", "5")?;
    let [data, run, cache, model] = ["data", "run", "cache", "model"].map(|name| folder.join(name));
    let backbone = root().join("models/weights/resnet34-electrodes.safetensors");
    let reference = REFERENCE_PARTS.to_string();
    let places =
        ["train", text(&data)?, "--out", text(&run)?, "--cache", text(&cache)?, "--backbone", text(&backbone)?];
    let options = ["--method", "local", "--size", "160x80", "--max-escape", "0.15", "--reference", &reference];
    stdout_of(TRAINER, &[&places[..], &options[..]].concat(), 0)?;
    stdout_of(TRAINER, &["export", text(&run)?, "--out", text(&model)?], 0)?;
    Ok(())
}

/// Replaces an image by one with half of the exposure, or by its upper half.
fn spoil(image: &Path, is_cropped: bool) -> Result<()> {
    let sound = radiograph::read(image, &RadiographLimits::default())?;
    let (width, height) = (sound.width(), sound.height());
    let spoilt = if is_cropped {
        Radiograph::new(width, height / 2, sound.levels()[..(width * (height / 2)) as usize].to_vec())
    } else {
        Radiograph::new(width, height, sound.levels().iter().map(|level| level / 2).collect())
    };
    Ok(radiograph::write(image, &spoilt?)?)
}

/// Starts the cable and the appliance.
fn start_line(folder: &Path) -> Result<[Running; 2]> {
    fs::create_dir(folder.join("scans"))?;
    fs::write(folder.join("edge.toml"), CONFIGURATION)?;
    let end = |name: &str| format!("pty,raw,echo=0,link={}", folder.join(name).display());
    let cable = Command::new("socat").args([end("plc"), end("device")]).stderr(Stdio::null()).spawn();
    let cable = Running(cable.context("this test needs socat, which scripts/setup installs")?);
    let start = Instant::now();
    while !(folder.join("plc").exists() && folder.join("device").exists()) {
        ensure!(start.elapsed() < Duration::from_secs(20), "waited 20 s for the cable");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut appliance = Command::new(program(EDGE)?);
    appliance.current_dir(folder).args(["run", "--config", "edge.toml"]).stderr(File::create(folder.join("log"))?);
    Ok([cable, Running(appliance.spawn()?)])
}

/// Judges `parts` as bundle `bundle`, with part numbers from `first` on. The PLC confirms those of the first 30 parts that `is_confirmed`
/// says. The device refuses the confirmation of a part after the last one that was needed.
fn judge(
    folder: &Path,
    bundle: usize,
    first: usize,
    parts: &[Labelled],
    is_confirmed: &dyn Fn(&Labelled) -> bool,
) -> Result<()> {
    let mut plc = Command::new(program(EDGE)?);
    plc.current_dir(folder).args(["plc-sim", "--port", "plc", "--model", "model", "--json", "--patience", "60"]);
    let numbers = [("--bundle", bundle), ("--first-part", first), ("--parts", parts.len())];
    for (name, number) in numbers {
        plc.args([name, &number.to_string()]);
    }
    let confirmed = parts.iter().take(30).enumerate().filter(|(_, part)| is_confirmed(part));
    plc.arg("--confirm").args(confirmed.map(|(index, _)| (first + index).to_string()));
    plc.args(["--into", "scans", "--images"]).args(parts.iter().map(|part| &part.image));
    let output = plc.output()?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(
        matches!(output.status.code(), Some(0 | 1)),
        "{}{}",
        said(&output.stderr),
        fs::read_to_string(folder.join("log"))?
    );
    let stdout = said(&output.stdout);
    let summary: Value = serde_json::from_str(stdout.lines().last().context("a summary")?)?;
    println!("{summary}");
    let expected = [("parts", parts.len()), ("rejected_by_gate", 0), ("without_verdict", 0)];
    ensure!(expected.iter().all(|(name, number)| summary[name] == *number), "{summary}");
    ensure!(summary["bundle"]["confirmed"] == REFERENCE_PARTS && summary["bundle"]["missing"] == 0, "{summary}");
    Ok(())
}

/// The images of the parts that the model rejects without a bundle.
fn rejected(model: &Path, parts: &[Labelled]) -> Result<BTreeSet<PathBuf>> {
    let mut arguments = vec!["inspect", "--model", text(model)?];
    for part in parts {
        arguments.push(text(&part.image)?);
    }
    let said = stdout_of(EDGE, &arguments, 1)?;
    let mut rejected = BTreeSet::new();
    for line in said.lines() {
        let judged: Value = serde_json::from_str(line)?;
        if judged["verdict"] == "REJECT" {
            rejected.insert(PathBuf::from(judged["path"].as_str().context("a path")?));
        }
    }
    ensure!(!rejected.is_empty() && rejected.len() < parts.len(), "{said}");
    Ok(rejected)
}

#[test]
fn offsets_and_verdicts_of_three_bundles_equal_those_of_python() -> Result<()> {
    let place = folder_in_memory();
    let folder = place.path();
    make_model(folder)?;
    fs::create_dir(folder.join("parts"))?;
    let one = synth(folder, "parts/one", "400", "3", "9")?;
    let other = synth(folder, "parts/other", "200", "3", "10")?;
    let of = |data: &'_ [Labelled], bundle: &str, is_wanted: fn(&Labelled) -> bool, count: usize| {
        let parts = data.iter().filter(|part| part.bundle == bundle && is_wanted(part)).take(count);
        let parts: Vec<Labelled> = parts.cloned().collect();
        ensure!(parts.len() == count, "found {} parts of {bundle}, expected {count}", parts.len());
        Ok(parts)
    };
    let good = of(&one, "bundle 1", |_| true, 100)?;
    let bad = of(&one, "bundle 2", |part| !part.is_good, 40)?;
    let unlike_training = of(&other, "bundle 3", |_| true, 60)?;
    for (part, is_cropped) in good.iter().rev().zip([true, true, false, false, false, false]) {
        spoil(&part.image, is_cropped)?;
    }
    let rejected = rejected(&folder.join("model"), &bad)?;
    let line = start_line(folder)?;
    judge(folder, 1, 1, &good, &|part| part.is_good)?;
    // A person takes bad parts for good ones, but none that the model rejects.
    judge(folder, 2, 101, &bad, &|part| !rejected.contains(&part.image))?;
    judge(folder, 3, 141, &unlike_training, &|part| part.is_good)?;
    drop(line);

    let journal = folder.join("verdicts.sqlite");
    stdout_of(EDGE, &["journal", "verify", text(&journal)?, "--verdicts"], 0)?;
    let export = ["journal", "export", text(&journal)?, "--format", "jsonl"];
    let [rows, events] = ["rows.jsonl", "events.jsonl"].map(|name| folder.join(name));
    fs::write(&rows, stdout_of(EDGE, &export, 0)?)?;
    fs::write(&events, stdout_of(EDGE, &[&export[..], &["--events"]].concat(), 0)?)?;
    let [model, images] = ["model", "parts"].map(|name| folder.join(name));
    let said = oracle("bundles.py", &[text(&model)?, text(&rows)?, text(&events)?, text(&images)?])?;
    println!("{said}");

    let found = said.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let (summary, bundles) = found.split_last().context("a summary")?;
    ensure!(summary["rows"] == 200 && bundles.len() == 3, "{said}");
    let is_refused = |bundle: &Value| bundle["refused"] != Value::Array(Vec::new());
    ensure!(bundles.iter().any(is_refused), "the guard refused no bundle: {said}");
    ensure!(bundles[0]["offset"] != 0.0, "the first bundle has no offset: {said}");
    ensure!(bundles[1]["limited"] == true, "the bad parts did not reach the limit of the offset: {said}");
    // How many rows there are of each step and verdict, and which reasons there are.
    let (mut counts, mut reasons) = (BTreeMap::<[String; 2], u64>::new(), BTreeSet::new());
    for count in summary["counts"].as_array().context("counts")? {
        let key = [1, 2].map(|field| count[field].to_string().replace('"', ""));
        reasons.insert(count[3].as_str().context("a reason")?);
        *counts.entry(key).or_default() += count[4].as_u64().context("a number")?;
    }
    let count =
        |step: &str, verdict: &str| counts.get(&[step, verdict].map(str::to_owned)).copied().unwrap_or_default();
    for reason in [
        "REFERENCE_PART",
        "UNLIKE_TRAINING",
        "BUNDLE_UNLIKE_TRAINING",
        "IMAGE_UNLIKE_TRAINING",
        "IMAGE_OUT_OF_ENVELOPE",
    ] {
        ensure!(reasons.contains(reason), "no part with the reason {reason}: {reasons:?}");
    }
    for verdict in ["PASS", "REVIEW", "REJECT"] {
        ensure!(count("OFFSET", verdict) > 0, "no {verdict} with an offset: {counts:?}");
    }
    ensure!(count("REFERENCE", "PASS") == 0 && count("UNLIKE_TRAINING", "PASS") == 0, "{counts:?}");
    Ok(())
}
