use super::super::{Weights, file};
use super::*;
use cellgate_models::digest::Digest;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};

/// A Python program that runs [`PROGRAM`] on one checkpoint after another.
const LOOP: &str = r#"
import json, sys

program = {"__name__": "checkpoint"}
exec(sys.argv[1], program)
for line in sys.stdin:
    program["main"](*json.loads(line))
    print(flush=True)
"#;

/// One Python process that reads many checkpoints. Importing torch takes seconds, so a process for each checkpoint would
/// take minutes.
struct Reader {
    folder: tempfile::TempDir,
    python: PathBuf,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reader {
    fn start() -> Self {
        let python = find(Path::new("x.pth")).unwrap();
        let mut child = Command::new(&python)
            .args(["-I", "-B", "-c", LOOP, PROGRAM])
            .envs([("CUDA_VISIBLE_DEVICES", ""), ("OMP_NUM_THREADS", "1")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { folder: tempfile::tempdir().unwrap(), python, child, input, output }
    }

    /// Does what [`Weights::read`] does for a checkpoint, but with this Python process instead of a new one.
    fn read(&mut self, path: &Path) -> Result<Weights, WeightsError> {
        let bytes = file(path)?;
        assert!(is_checkpoint(&bytes), "{}", path.display());
        let converted = self.folder.path().join("weights.safetensors");
        writeln!(self.input, "{}", serde_json::json!([path, converted])).unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        let content = content(serde_json::from_str(&answer).unwrap(), path, &self.python, &converted)?;
        Weights::of(content, Digest::of(&bytes), path)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn checkpoints_are_read_or_refused_with_their_content() {
    let folder = tempfile::tempdir().unwrap();
    cellgate_test_support::oracle("checkpoints.py", &[folder.path().to_str().unwrap()]).unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut reader = Reader::start();

    let (expected, bias) = reader.read(&path("plain.pth")).unwrap().fc().unwrap();
    assert_eq!((expected.len(), bias.len()), (512_000, 1000));
    for name in ["legacy.pth", "example.pth"] {
        assert!(reader.read(&path(name)).unwrap().fc().unwrap().0 == expected, "{name}");
    }
    assert!(reader.read(&path("encoder.ckpt")).unwrap().fc().is_none());

    let mut errors = String::new();
    let mut refused = |name: &str| {
        let error = reader.read(&path(name)).unwrap_err();
        errors += &format!("{error}\n").replace(&folder.path().display().to_string(), "FOLDER");
        error
    };
    for name in ["resnet18.pth", "one.pth", "ema.pth"] {
        assert!(matches!(refused(name), WeightsError::NotResNet34 { .. }), "{name}");
    }
    for name in ["sparse.pth", "quantised.pth", "integers.pth", "bias.pth", "meta.pth"] {
        let error = refused(name);
        assert!(matches!(&error, WeightsError::NotPlain { tensors, .. } if tensors.len() == 1), "{error}");
    }
    let script = refused("script.pt");
    assert!(matches!(script, WeightsError::NoWeights { found: NoWeights::TorchScript, .. }), "{script}");
    for name in ["code.pth", "code.pkl", "module.pth"] {
        let error = refused(name);
        assert!(matches!(error, WeightsError::Unsupported { .. }), "{error}");
    }
    // Older versions of NumPy write 73.3 instead of np.float64(73.3).
    let filters = vec![(r"np\.float64\(([^)]*)\)", "$1")];
    insta::with_settings!({ filters => filters }, { insta::assert_snapshot!("refused_checkpoints", errors) });

    // These errors contain texts of PyTorch, which differ between its versions.
    for name in ["bomb.pth", "torn.pth"] {
        let error = reader.read(&path(name)).unwrap_err();
        assert!(matches!(error, WeightsError::Malformed { .. }), "{name}: {error}");
    }
    for name in ["plain.pth", "legacy.pth"] {
        let bytes = std::fs::read(path(name)).unwrap();
        for length in [5, 100, 5000, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(path(name), &bytes[..length]).unwrap();
            let error = reader.read(&path(name)).unwrap_err();
            assert!(matches!(error, WeightsError::Malformed { .. }), "{name}, {length} bytes: {error}");
        }
    }

    // `Weights::read` starts a new Python process, as in `cellgate-trainer`.
    let error = Weights::read(&path("code.pth")).unwrap_err();
    assert!(matches!(&error, WeightsError::Unsupported { found, .. } if found.contains("posix.mkdir")), "{error}");
    assert!(!path("code").exists(), "code from a checkpoint was run");
}

#[test]
fn python_is_looked_for_beside_libtorch_and_then_above_the_program() {
    let libtorch = Path::new("/opt/env/lib/python3.11/site-packages/torch/lib");
    let places = places(Some(libtorch), Some(Path::new("/src/target/debug/program")));
    let expected = ["/opt/env", "/src/target/debug/.venv", "/src/target/.venv", "/src/.venv", "/.venv"];
    assert_eq!(places, expected.map(|folder| Path::new(folder).join("bin/python3")));
}

#[test]
fn checkpoints_are_detected_by_their_first_bytes() {
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
fn the_error_of_a_failed_python_ends_with_the_last_text_that_it_printed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |python: &str| run(Path::new(python), Path::new("x.pth"), Path::new("x"), folder.path()).err().unwrap();
    // cat has no option -I. The last line of cat's error message is about `cat --help`.
    let error = run("/bin/cat").to_string();
    assert!(error.contains("exit status: 1") && error.contains("cat --help"), "{error}");
    assert_eq!(run("/nowhere/python3").kind(), io::ErrorKind::NotFound);
}
