//! Building in a process of its own.
//!
//! TensorRT's parser is C++, and a damaged network can make it crash: of the flipped bits in a small network, 11 of 2320 ended
//! with a segmentation fault. So a program builds in a child, which is itself under a hidden subcommand: a crash there is an
//! error here, stopping is killing, and what TensorRT leaves in memory goes with the child. The child ends with its parent.
//!
//! Parent to child: a line of JSON, then the bytes of the network. Child to parent: lines of JSON (steps, then an error or the
//! plan's description), then the bytes of the plan. Lines that are none of these are TensorRT's, and logged.

use super::cache::MAX_ENTRY_BYTES;
use super::log::LOG_TARGET;
use super::{Built, Network, PlanError, Progress, Request, Step, Target, TensorRt, build};
use crate::model::Precision;
use crate::conversion::Size;
use crate::digest::Digest;
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The hidden subcommand that a program must answer with [`serve`].
pub const SUBCOMMAND: &str = "plan-worker";

/// The running program, also where its file was replaced meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// Longest line in bytes.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// How often the caller is told of the last step again while the child says nothing.
const AGAIN_EVERY: Duration = Duration::from_millis(100);
/// How long the child may say nothing. TensorRT 11 tries kernels on the GPU between two steps.
const SILENT_MOST: Duration = Duration::from_secs(15 * 60);

/// What the parent asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    precision: Precision,
    target: Target,
    library: Option<PathBuf>,
    network_bytes: u64,
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Step { phase: String, done: u32, of: u32 },
    Error(PlanError),
    Built { network: Network, size: Size, tensorrt: TensorRt, plan_bytes: u64, sha256: Digest },
}

/// What was read of it.
enum Heard {
    Step { phase: String, done: u32, of: u32 },
    End(Result<Built, PlanError>),
}

/// Builds a plan as [`build()`] does, in a child process: this program with [`SUBCOMMAND`]. `progress` is told of each step, on
/// this thread, and of the last one again ten times a second; where it says to stop, the child is killed.
///
/// # Errors
/// [`PlanError`], also [`PlanError::Crashed`] where the child ended without an answer, or gave no sign for 15 minutes.
pub fn build_in_child(
    request: &Request<'_>,
    progress: &dyn Fn(Step<'_>) -> ControlFlow<()>,
) -> Result<Built, PlanError> {
    build_by(Command::new(OWN_PROGRAM).arg(SUBCOMMAND), request, progress)
}

/// Builds a plan in the child that `command` starts.
fn build_by(
    command: &mut Command,
    request: &Request<'_>,
    progress: &dyn Fn(Step<'_>) -> ControlFlow<()>,
) -> Result<Built, PlanError> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut worker = Worker(child.map_err(|error| crashed(format!("it could not be started: {error}")))?);
    let (Some(input), Some(output)) = (worker.0.stdin.take(), worker.0.stdout.take()) else {
        return Err(crashed("it has no pipes"));
    };
    std::thread::scope(|scope| {
        // Each beside the other, so that a child that neither reads nor speaks can be stopped too. One that ended early says
        // why, or its exit status does.
        scope.spawn(|| ask(input, request).ok());
        let (say, heard) = sync_channel(16);
        scope.spawn(move || listen(output, &say));
        // Dropped first, and so killed, or the two might never end.
        let mut worker = worker;
        follow(&mut worker, &heard, progress)
    })
}

/// Waits for the end of what the child says.
fn follow(
    worker: &mut Worker,
    heard: &Receiver<Heard>,
    progress: &dyn Fn(Step<'_>) -> ControlFlow<()>,
) -> Result<Built, PlanError> {
    let (mut phase, mut done, mut of) = ("starting".to_owned(), 0, 0);
    let mut sign = Instant::now();
    loop {
        match heard.recv_timeout(AGAIN_EVERY) {
            Ok(Heard::Step { phase: next_phase, done: next_done, of: next_of }) => {
                (phase, done, of) = (next_phase, next_done, next_of);
                sign = Instant::now();
            }
            Ok(Heard::End(built)) => return built,
            Err(RecvTimeoutError::Timeout) if sign.elapsed() < SILENT_MOST => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(worker.ended()),
        }
        if progress(Step { phase: &phase, done, of }).is_break() {
            return Err(PlanError::Cancelled);
        }
    }
}

/// Reads until the child has no more to say, or nobody wants to hear it.
fn listen(output: impl Read, say: &SyncSender<Heard>) -> Option<()> {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        output.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line).ok().filter(|&bytes| bytes > 0)?;
        let heard = match serde_json::from_slice(&line) {
            Ok(Said::Step { phase, done, of }) => Heard::Step { phase, done, of },
            Ok(Said::Error(error)) => Heard::End(Err(error)),
            Ok(Said::Built { network, size, tensorrt, plan_bytes, sha256 }) => {
                let mut plan = Vec::new();
                output.by_ref().take(plan_bytes.min(MAX_ENTRY_BYTES)).read_to_end(&mut plan).ok()?;
                // One that was cut on the way is none.
                (Digest::of(&plan) == sha256).then_some(())?;
                Heard::End(Ok(Built { plan, network, size, tensorrt }))
            }
            Err(_) => {
                let line = String::from_utf8_lossy(&line);
                tracing::debug!(target: LOG_TARGET, "{}", line.trim_end().escape_debug());
                continue;
            }
        };
        say.send(heard).ok()?;
    }
}

/// Sends the request; the pipe is closed at its end.
fn ask(input: impl Write, request: &Request<'_>) -> io::Result<()> {
    let Request { network, precision, target, library } = request;
    let asked =
        Asked { precision: *precision, target: *target, library: library.clone(), network_bytes: network.len() as u64 };
    let mut input = BufWriter::new(input);
    write_line(&mut input, &asked)?;
    input.write_all(network)?;
    input.flush()
}

fn write_line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    output.write_all(&line)
}

/// The child; killed when dropped.
struct Worker(Child);

impl Worker {
    /// Why the child ended without an answer.
    fn ended(&mut self) -> PlanError {
        // It has closed its end of the pipe, or talks nonsense; either way it is done.
        let killed_here = self.0.try_wait().is_ok_and(|status| status.is_none()) && !self.ends_soon();
        match self.0.wait() {
            Ok(_) if killed_here => crashed("it stopped answering"),
            Ok(status) => crashed(match status.signal() {
                Some(11) => "a segmentation fault (signal 11)".to_owned(),
                Some(signal) => format!("signal {signal}"),
                None => format!("{status}"),
            }),
            Err(error) => crashed(error.to_string()),
        }
    }

    /// Waits up to two seconds for its end: a dying process closes its pipes before it can be waited for. Then kills it.
    fn ends_soon(&mut self) -> bool {
        for _ in 0..200 {
            if self.0.try_wait().is_ok_and(|status| status.is_some()) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        false
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn crashed(how: impl Into<String>) -> PlanError {
    PlanError::Crashed { how: how.into() }
}

/// The child's side: builds what stdin asks for, and answers on stdout. A program calls it for [`SUBCOMMAND`], before it has
/// written anything to stdout.
///
/// # Errors
/// The pipes fail: the parent is gone, or is no parent of this program's version.
pub fn serve() -> io::Result<()> {
    // A killed parent tells nobody to stop, and a step of TensorRT's can take minutes.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut input = BufReader::new(io::stdin().lock());
    let mut line = Vec::new();
    input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    let asked: Asked = serde_json::from_slice(&line)?;
    let mut network = Vec::new();
    input.take(asked.network_bytes).read_to_end(&mut network)?;
    if network.len() as u64 != asked.network_bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let Asked { precision, target, library, .. } = asked;
    let output = Arc::new(Mutex::new(io::stdout()));
    let steps = Arc::clone(&output);
    let progress: Progress = Arc::new(move |step: Step<'_>| {
        let said = Said::Step { phase: step.phase.to_owned(), done: step.done, of: step.of };
        let mut output = steps.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody listens any more: there is no use in going on.
        match write_line(&mut *output, &said).and_then(|()| output.flush()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    let built = build(&Request { network: &network, precision, target, library }, progress);
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    match built {
        Err(error) => write_line(&mut *output, &Said::Error(error))?,
        Ok(Built { plan, network, size, tensorrt }) => {
            let (plan_bytes, sha256) = (plan.len() as u64, Digest::of(&plan));
            write_line(&mut *output, &Said::Built { network, size, tensorrt, plan_bytes, sha256 })?;
            output.write_all(&plan)?;
        }
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ComputeCapability;

    /// What comes of a child that runs this shell script.
    fn of_script(script: &str) -> PlanError {
        let target = Target::Named(ComputeCapability::new(8, 6));
        // Larger than a pipe holds: a child that never reads must not be waited for.
        let network = vec![0; 1 << 20];
        let request = Request { network: &network, precision: Precision::F32, target, library: None };
        build_by(Command::new("sh").args(["-c", script]), &request, &|step| match step.done {
            9 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .unwrap_err()
    }

    #[test]
    fn however_a_child_ends_there_is_an_error() {
        let crashed = |how: &str| PlanError::Crashed { how: how.to_owned() };
        assert_eq!(of_script("kill -SEGV $$"), crashed("a segmentation fault (signal 11)"));
        assert_eq!(of_script("cat >/dev/null; kill -KILL $$"), crashed("signal 9"));
        assert_eq!(of_script("exit 3"), crashed("exit status: 3"));
        assert_eq!(of_script("echo noise; echo '{\"other\":1}'; exit 0"), crashed("exit status: 0"));
        assert_eq!(of_script("exec sleep 60 >&-"), crashed("it stopped answering"));
        let step = "echo '{\"step\":{\"phase\":\"a\",\"done\":9,\"of\":9}}'";
        assert_eq!(of_script(&format!("cat >/dev/null; {step}; exec sleep 60")), PlanError::Cancelled);
        let error = "cat >/dev/null; echo '{\"error\":\"Cancelled\"}'";
        assert_eq!(of_script(error), PlanError::Cancelled);
    }

    #[test]
    fn a_child_that_says_nothing_is_stopped_too() {
        let request = Request { network: &[], precision: Precision::F32, target: Target::Device, library: None };
        let (start, calls) = (Instant::now(), std::cell::Cell::new(0));
        let stopped = build_by(Command::new("sleep").arg("60"), &request, &|step| {
            assert_eq!((step.phase, step.done, step.of), ("starting", 0, 0));
            calls.set(calls.get() + 1);
            if calls.get() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(stopped.unwrap_err(), PlanError::Cancelled);
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_plan_that_was_cut_on_the_way_is_none() {
        let version = crate::plan::Version { major: 1, minor: 7, patch: 1, build: 116 };
        let said = Said::Built {
            network: Network { inputs: Vec::new(), outputs: Vec::new(), layers: 1, layers_f16: 0, layers_f32: 1 },
            size: Size { height: 2, width: 1 },
            tensorrt: TensorRt { flavour: crate::plan::Flavour::Rtx, version },
            plan_bytes: 4,
            sha256: Digest::of(b"plan"),
        };
        let line = serde_json::to_string(&said).unwrap();
        let cut = of_script(&format!("cat >/dev/null; echo '{line}'; printf pla"));
        assert_eq!(cut, PlanError::Crashed { how: "exit status: 0".to_owned() });
    }
}
