//! Checkpoints of PyTorch: a Python program makes a safetensors file of one.
//!
//! A checkpoint is a pickle, which is a program. PyTorch itself reads it without running anything that the file asks for
//! (`weights_only=True`), knows all formats that it ever had, and lies beside every libtorch that came as a Python package. The
//! Python program is part of this one; it runs as a process of its own with limits on memory, disk and time.

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
/// Names the Python to use instead of those that are looked for.
const VARIABLE: &str = "CELLGATE_PYTHON";
/// Importing torch takes seconds, on a slow network file system a minute or two.
const TIME_LIMIT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What the Python program says.
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

/// What a checkpoint holds.
#[derive(Default)]
pub(super) struct Content {
    /// Its tensors of floating-point numbers, by their names in all dictionaries, joined with full stops.
    pub(super) tensors: HashMap<String, Tensor>,
    /// What else it holds, for people.
    pub(super) other: Vec<String>,
    /// Tensors that are quantised, sparse, without data or of integers, each with its name and which of these it is.
    pub(super) not_plain: Vec<String>,
}

/// Whether `bytes` begin like a file of `torch.save`: a zip archive (since PyTorch 1.6), or pickles. The length of a safetensors
/// header can look like a pickle's version; after it comes a brace.
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
    match answer.error {
        None => {}
        Some(Refusal::NoTorch) => return Err(failed(answer.found)),
        Some(Refusal::TorchScript) => {
            return Err(WeightsError::NoWeights { path: path.to_owned(), found: NoWeights::TorchScript });
        }
        Some(Refusal::Refused) => {
            return Err(WeightsError::Unsupported {
                path: path.to_owned(),
                found: answer.found,
                expected:
                    "tensors and plain data; where the file was made, torch.save(model.state_dict(), FILE) writes them"
                        .into(),
            });
        }
        Some(Refusal::Malformed) => {
            let expected = "a checkpoint of torch.save, or safetensors".into();
            return Err(WeightsError::Malformed { path: path.to_owned(), found: answer.found, expected });
        }
    }
    let bytes = std::fs::read(&converted).map_err(io)?;
    let tensors = safetensors_file::parse(&bytes, path)?;
    Ok(Content { tensors, other: answer.other, not_plain: answer.not_plain })
}

/// Runs the Python program.
fn run(python: &Path, checkpoint: &Path, converted: &Path, folder: &Path) -> io::Result<Answer> {
    let (answer, log) = (folder.join("answer.json"), folder.join("log"));
    let mut child = Command::new(python)
        // Isolated: neither variables nor the user's own packages change what it does.
        .args(["-I", "-B", "-c", PROGRAM])
        .args([checkpoint, converted])
        .envs([("CUDA_VISIBLE_DEVICES", ""), ("OMP_NUM_THREADS", "1")])
        .stdin(Stdio::null())
        .stdout(File::create(&answer)?)
        .stderr(File::create(&log)?)
        .spawn()?;
    let status = wait(&mut child, TIME_LIMIT)?;
    let said = std::fs::read(&answer)?;
    serde_json::from_slice(&said).map_err(|_| {
        let log = std::fs::read(&log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        io::Error::other(format!("{status}: {}", log.lines().last().unwrap_or("it said nothing")))
    })
}

/// Waits for the end of `child`, or kills it after `limit`.
fn wait(child: &mut Child, limit: Duration) -> io::Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("it took longer than {} s", limit.as_secs())));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// The Python that reads the checkpoint at `path`: the one that is named, else one that exists.
fn find(path: &Path) -> Result<PathBuf, WeightsError> {
    let named = std::env::var_os(VARIABLE).filter(|named| !named.is_empty());
    let looked_for = match named {
        Some(named) => vec![PathBuf::from(named)],
        None => places(libtorch::folder().ok().as_deref(), std::env::current_exe().ok().as_deref()),
    };
    let found = looked_for.iter().find(|python| python.is_file()).cloned();
    found.ok_or_else(|| WeightsError::NoPython { path: path.to_owned(), looked_for })
}

/// Where Python is looked for: the environment whose package the libtorch in `libtorch` is, then `.venv` above `program`.
fn places(libtorch: Option<&Path>, program: Option<&Path>) -> Vec<PathBuf> {
    // ENVIRONMENT/lib/python3.11/site-packages/torch/lib
    let environment = libtorch.and_then(|folder| folder.ancestors().nth(5));
    let above = program.into_iter().flat_map(Path::ancestors).skip(1).map(|folder| folder.join(".venv"));
    environment.map(Path::to_owned).into_iter().chain(above).map(|folder| folder.join("bin/python3")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_is_that_of_libtorch_and_else_above_the_program() {
        let libtorch = Path::new("/opt/env/lib/python3.11/site-packages/torch/lib");
        let places = places(Some(libtorch), Some(Path::new("/src/target/debug/program")));
        let expected = ["/opt/env", "/src/target/debug/.venv", "/src/target/.venv", "/src/.venv", "/.venv"];
        assert_eq!(places, expected.map(|folder| Path::new(folder).join("bin/python3")));
    }

    #[test]
    fn checkpoints_are_known_by_their_first_bytes() {
        for bytes in [&b"PK\x03\x04"[..], b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9", b"\x80\x04."] {
            assert!(is_checkpoint(bytes));
        }
        for bytes in [&b""[..], b"\x80", b"\x80\x02\0\0\0\0\0\0{\"a\":", b"\x80\x10\0\0\0\0\0\0{"] {
            assert!(!is_checkpoint(bytes));
        }
    }

    #[test]
    fn a_process_that_does_not_end_is_killed() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let error = wait(&mut child, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(child.try_wait().unwrap().is_some());
    }

    #[test]
    fn a_python_that_fails_is_told_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let run =
            |python: &str| run(Path::new(python), Path::new("x.pth"), Path::new("x"), folder.path()).err().unwrap();
        // cat knows no -I.
        let said = run("/bin/cat").to_string();
        assert!(said.contains("exit status: 1: ") && said.contains("cat --help"), "{said}");
        assert_eq!(run("/nowhere/python3").kind(), io::ErrorKind::NotFound);
    }
}
