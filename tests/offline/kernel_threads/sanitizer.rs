//! Compiles `tests/kernels/threads.cpp` with a sanitizer of the C++ compiler, and runs it.

use super::case::Case;
use anyhow::{Context as _, Result, ensure};
use cellgate_test_support::{root, skipped};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// What the compiler adds to the program, to find faults while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sanitizer {
    /// ThreadSanitizer reports data races.
    Thread,
    /// AddressSanitizer reports accesses outside of allocations, UndefinedBehaviorSanitizer misaligned addresses and operations that
    /// C++ leaves undefined.
    Memory,
}

/// A report of a sanitizer: its kind, for example `data race`, and the name of the source file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Report {
    pub(super) kind: String,
    pub(super) file: String,
}

/// What a run gave.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The bytes of the tensor. Empty if a report ended the program.
    pub(super) tensor: Vec<u8>,
    pub(super) reports: Vec<Report>,
    /// The sanitizer's text, for the message of a failed test.
    pub(super) text: String,
}

/// The exit status after a report.
const REPORTED: i32 = 66;

impl Sanitizer {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Thread => &["-fsanitize=thread"],
            Self::Memory => {
                &["-fsanitize=address,undefined,float-divide-by-zero,float-cast-overflow", "-fno-sanitize-recover=all"]
            }
        }
    }

    /// The compiled program. `None`, with a message, if this compiler does not have the sanitizer, or if it does not run here.
    pub(super) fn program(self) -> Result<Option<&'static Path>> {
        static PROGRAMS: [OnceLock<Result<Option<PathBuf>, String>>; 2] = [OnceLock::new(), OnceLock::new()];
        let compiled = PROGRAMS[self as usize].get_or_init(|| self.compile().map_err(|error| format!("{error:#}")));
        let program = compiled.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?.as_deref();
        if program.is_none() {
            let flags = self.flags().join(" ");
            skipped(&format!("the C++ compiler makes no programs with {flags}, or they don't run here"));
        }
        Ok(program)
    }

    fn compile(self) -> Result<Option<PathBuf>> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Other test processes may compile at the same time.
        let named = |name: &str| folder.join(format!("{name}-{self:?}-{}", std::process::id()));
        let (source, probe) = (named("probe").with_extension("cpp"), named("probe"));
        std::fs::write(&source, "int main() {}\n")?;
        // Where the kernel randomises addresses too much for a sanitizer (vm.mmap_rnd_bits), only some runs fail.
        let runs = || (0..10).all(|_| Command::new(&probe).output().is_ok_and(|output| output.status.success()));
        let works = self.compiler(&source, &probe)?.status.success() && runs();
        std::fs::remove_file(source)?;
        if !works {
            return Ok(None);
        }
        std::fs::rename(probe, folder.join(format!("probe-{self:?}")))?;
        let compiled = self.compiler(&root().join("tests/kernels/threads.cpp"), &named("threads"))?;
        ensure!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let program = folder.join(format!("threads-{self:?}"));
        std::fs::rename(named("threads"), &program)?;
        Ok(Some(program))
    }

    fn compiler(self, source: &Path, program: &Path) -> Result<Output> {
        let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        Command::new(&compiler)
            // The rounding is that of build.rs.
            .args(["-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-ffp-contract=off"])
            .args(self.flags())
            .arg(source)
            .arg("-o")
            .arg(program)
            .output()
            .with_context(|| format!("starting the C++ compiler {}: scripts/setup installs it", compiler.display()))
    }
}

/// Runs a case in a program of [`Sanitizer::program`].
pub(super) fn run(program: &Path, case: &Case) -> Result<Outcome> {
    let options = format!("exitcode={REPORTED}:print_summary=1");
    let mut input = tempfile::tempfile()?;
    input.write_all(&case.to_bytes())?;
    input.rewind()?;
    let output = Command::new(program)
        .env("TSAN_OPTIONS", &options)
        // Finding leaks needs rights that a container may not have.
        .env("ASAN_OPTIONS", format!("{options}:detect_leaks=0"))
        .env("UBSAN_OPTIONS", format!("{options}:report_error_type=1"))
        .stdin(input)
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let reports: Vec<Report> = text.lines().filter_map(report).collect();
    match output.status.code() {
        Some(0) if reports.is_empty() => {}
        Some(REPORTED) if !reports.is_empty() => {}
        _ => anyhow::bail!("the program ended with {} and {} reports: {text}", output.status, reports.len()),
    }
    Ok(Outcome { tensor: output.stdout, reports, text })
}

/// The report of a line such as `SUMMARY: ThreadSanitizer: data race /kernels/common.h:46 in running_sums`.
fn report(line: &str) -> Option<Report> {
    let (_, summary) = line.strip_prefix("SUMMARY: ")?.split_once(": ")?;
    let (kind, place) = summary.split_once(" /").unwrap_or((summary, ""));
    let path = place.split(':').next().unwrap_or_default();
    let file = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    Some(Report { kind: kind.to_owned(), file })
}
