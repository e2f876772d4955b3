//! Reads PyTorch checkpoints. A Python program, `checkpoint.py`, converts a checkpoint to safetensors.
//!
//! A checkpoint is a pickle, and a pickle can run code. PyTorch can read a checkpoint without running code from the
//! file (`weights_only=True`). PyTorch also knows all formats that it ever wrote, and it is installed with every
//! libtorch that comes as a Python package. The text of `checkpoint.py` is compiled into this Rust program. Python runs
//! it in a separate process with limits on memory, disk and time.

use super::error::WeightsError;
use super::no_weights::NoWeights;
use super::safetensors_file;
use crate::network::libtorch;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tch::Tensor;

const PROGRAM: &str = include_str!("checkpoint.py");
/// Environment variable with the path of Python. If it is set and not empty, the default paths are not tried.
const VARIABLE: &str = "CELLGATE_PYTHON";
/// Longest time for the Python program. Importing torch takes seconds, or a minute or two from a slow network drive.
const TIME_LIMIT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The output of the Python program.
#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
    #[serde(default)]
    found: String,
    #[serde(default)]
    other: Vec<String>,
    #[serde(default)]
    not_plain: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Refusal {
    NoTorch,
    TorchScript,
    Refused,
    Malformed,
}

/// The content of a weights file.
#[derive(Default)]
pub(super) struct Content {
    /// The floating-point tensors. A name is the keys of all enclosing dictionaries, joined with full stops.
    pub(super) tensors: HashMap<String, Tensor>,
    /// Descriptions of the other content, for people.
    pub(super) other: Vec<String>,
    /// Tensors that were left out because they are quantised, sparse, without data or of integers: the name and the
    /// form of each.
    pub(super) not_plain: Vec<String>,
}

/// Whether `bytes` begin like a file of `torch.save`: a zip archive (since PyTorch 1.6) or a pickle. A safetensors file can
/// begin with the same two bytes as a pickle, but its ninth byte is a brace.
pub(super) fn is_checkpoint(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || (matches!(bytes, [0x80, 2..=5, ..]) && bytes.get(8) != Some(&b'{'))
}

/// Reads the checkpoint at `path`.
pub(super) fn read(path: &Path) -> Result<Content, WeightsError> {
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let python = find(path)?;
    let folder = tempfile::tempdir().map_err(io)?;
    let converted = folder.path().join("weights.safetensors");
    let failed = |detail: String| WeightsError::Python { path: path.to_owned(), python: python.clone(), detail };
    let answer = run(&python, path, &converted, folder.path()).map_err(|error| failed(error.to_string()))?;
    content(answer, path, &python, &converted)
}

/// The content of the checkpoint at `path`, from the Python program's answer and the file `converted` that it wrote.
fn content(answer: Answer, path: &Path, python: &Path, converted: &Path) -> Result<Content, WeightsError> {
    match answer.error {
        None => {}
        Some(Refusal::NoTorch) => {
            return Err(WeightsError::Python {
                path: path.to_owned(),
                python: python.to_owned(),
                detail: answer.found,
            });
        }
        Some(Refusal::TorchScript) => {
            return Err(WeightsError::NoWeights { path: path.to_owned(), found: NoWeights::TorchScript });
        }
        Some(Refusal::Refused) => {
            return Err(WeightsError::Unsupported {
                path: path.to_owned(),
                found: answer.found,
                expected: "tensors and plain data: save the weights again with torch.save(model.state_dict(), FILE)"
                    .into(),
            });
        }
        Some(Refusal::Malformed) => {
            let expected = "a checkpoint of torch.save, or safetensors".into();
            return Err(WeightsError::Malformed { path: path.to_owned(), found: answer.found, expected });
        }
    }
    let bytes = std::fs::read(converted).map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
    let tensors = safetensors_file::parse(&bytes, path)?;
    Ok(Content { tensors, other: answer.other, not_plain: answer.not_plain })
}

/// Runs the Python program.
fn run(python: &Path, checkpoint: &Path, converted: &Path, folder: &Path) -> io::Result<Answer> {
    let (answer, log) = (folder.join("answer.json"), folder.join("log"));
    let mut child = Command::new(python)
        // -I isolates Python: PYTHON* variables and the user's packages have no effect.
        .args(["-I", "-B", "-c", PROGRAM])
        .args([checkpoint, converted])
        .envs([("CUDA_VISIBLE_DEVICES", ""), ("OMP_NUM_THREADS", "1")])
        .stdin(Stdio::null())
        .stdout(File::create(&answer)?)
        .stderr(File::create(&log)?)
        .spawn()?;
    let status = wait(&mut child, TIME_LIMIT)?;
    let answer = std::fs::read(&answer)?;
    serde_json::from_slice(&answer).map_err(|_| {
        let log = std::fs::read(&log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        io::Error::other(format!("{status}: {}", log.lines().last().unwrap_or("no output")))
    })
}

/// Waits until `child` exits. After `limit`, kills it and returns an error.
fn wait(child: &mut Child, limit: Duration) -> io::Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            let message = format!("no answer within {} s", limit.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// The Python for the checkpoint at `path`: the one in `CELLGATE_PYTHON`, or the first of [`places`] that exists.
fn find(path: &Path) -> Result<PathBuf, WeightsError> {
    let named = std::env::var_os(VARIABLE).filter(|named| !named.is_empty());
    let looked_for = match named {
        Some(named) => vec![PathBuf::from(named)],
        None => places(libtorch::folder().ok().as_deref(), std::env::current_exe().ok().as_deref()),
    };
    let found = looked_for.iter().find(|python| python.is_file()).cloned();
    found.ok_or_else(|| WeightsError::NoPython { path: path.to_owned(), looked_for })
}

/// The default paths of Python, in order: in the Python environment that `libtorch` is installed in, then in a `.venv`
/// in each folder above `program`.
fn places(libtorch: Option<&Path>, program: Option<&Path>) -> Vec<PathBuf> {
    // ENVIRONMENT/lib/python3.11/site-packages/torch/lib
    let environment = libtorch.and_then(|folder| folder.ancestors().nth(5));
    let above = program.into_iter().flat_map(Path::ancestors).skip(1).map(|folder| folder.join(".venv"));
    environment.map(Path::to_owned).into_iter().chain(above).map(|folder| folder.join("bin/python3")).collect()
}

#[cfg(test)]
mod tests;
