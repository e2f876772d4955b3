//! The loop: batch, step, now and then a checkpoint.

use super::PretrainError;
use super::checkpoint::{self, Row, State};
use super::config::{Budget, PretrainConfig, Run};
use super::feed::Feed;
use super::held_out::HeldOut;
use super::loss::{TERMS, loss, normalised};
use super::network::TrainableNetwork;
use super::optimizer::{Optimizer, rate};
use super::output;
use super::stream::{Batch, Stream};
use super::summary::{Summary, share, summary};
use crate::files;
use crate::progress;
use indicatif::ProgressBar;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tch::{Cuda, Device, Kind, Tensor};

/// From one checkpoint to the next.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(300);
/// Held by the process that trains in a folder.
const LOCK: &str = ".lock";
/// Steps that a line of the curve stands for.
const ROW_STEPS: u64 = 10;

/// Begins the run, or goes on with it where its folder holds a checkpoint.
///
/// # Errors
/// Another process trains in the folder, or it holds something else; a checkpoint of another configuration or a damaged one; a
/// loss that is not finite; libtorch's; files that can't be written.
pub fn run(run: &Run<'_>) -> Result<Summary, PretrainError> {
    let _lock = lock(run.out)?;
    let path = run.out.join(checkpoint::FILE);
    let (state, network, optimizer) = match checkpoint::read(&path, run.device)? {
        Some(checkpoint) => checkpoint,
        None => {
            let network = TrainableNetwork::random(run.config.seed, run.device)?;
            let optimizer = Optimizer::new(&network)?;
            (State::new(run.config), network, optimizer)
        }
    };
    if state.config != run.config {
        let (found, expected) = (format!("{:?}", state.config), format!("{:?}", run.config));
        return Err(PretrainError::OtherRun { path, found, expected });
    }
    let PretrainConfig { seed, batch, crop, .. } = run.config;
    let held_out = HeldOut::new(seed, batch, crop)?;
    let mut training = Training { run, path, state, network, optimizer, held_out };
    training.go_on()?;
    Ok(summary(run, &training.state))
}

/// Keeps other processes out of the run's folder, which is made where it is missing, and removes what a kill left half
/// written.
fn lock(folder: &Path) -> Result<File, PretrainError> {
    let io = |source| PretrainError::Io { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(io)?;
    let path = folder.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(PretrainError::Locked { path: folder.to_owned() }),
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    let entries = std::fs::read_dir(folder).map_err(io)?.collect::<std::io::Result<Vec<_>>>();
    let mut names: Vec<_> = entries.map_err(io)?.iter().map(std::fs::DirEntry::file_name).collect();
    names.retain(|name| name != LOCK);
    let is_begun = names.iter().any(|name| name == checkpoint::FILE);
    for name in names.iter().filter(|name| name.to_string_lossy().starts_with(files::TEMPORARY)) {
        std::fs::remove_file(folder.join(name)).map_err(io)?;
    }
    names.retain(|name| !name.to_string_lossy().starts_with(files::TEMPORARY));
    if is_begun || names.is_empty() {
        Ok(file)
    } else {
        Err(PretrainError::OtherFiles { path: folder.to_owned(), expected: checkpoint::FILE })
    }
}

/// A run under way.
struct Training<'a> {
    run: &'a Run<'a>,
    path: PathBuf,
    state: State,
    network: TrainableNetwork,
    optimizer: Optimizer,
    held_out: HeldOut,
}

impl Training<'_> {
    fn go_on(&mut self) -> Result<(), PretrainError> {
        let PretrainConfig { seed, batch, crop, .. } = self.run.config;
        if self.run.device.is_cuda() {
            Cuda::cudnn_set_benchmark(true);
        }
        let bar = self.bar();
        let stream = Arc::new(Stream::new(seed, batch, crop));
        let mut feed = Feed::new(&stream, self.state.steps, rendering_threads(self.run.device));
        let (before, start) = (self.state.seconds, Instant::now());
        let mut saved = Instant::now();
        let (mut sums, mut summed) = (self.no_sums(), 0);
        while share(self.run.budget, &self.state) < 1.0 && !self.run.stop.load(Ordering::Relaxed) {
            let waiting = Instant::now();
            let (batch, took) = feed.next()?;
            self.state.waited_s += waiting.elapsed().as_secs_f64();
            self.state.rendered_s += took.as_secs_f64();
            let learning_rate = self.step(&batch, &mut sums)?;
            summed += 1;
            self.state.seconds = before + start.elapsed().as_secs_f64();
            if self.state.steps.is_multiple_of(ROW_STEPS) {
                self.add_row(&sums, summed, learning_rate)?;
                (sums, summed) = (self.no_sums(), 0);
                self.show(&bar, start.elapsed(), before);
            }
            if saved.elapsed() >= CHECKPOINT_INTERVAL && self.state.steps.is_multiple_of(ROW_STEPS) {
                self.save()?;
                saved = Instant::now();
            }
        }
        bar.finish_and_clear();
        self.save()
    }

    fn no_sums(&self) -> Tensor {
        Tensor::zeros([TERMS.len() as i64], (Kind::Float, self.run.device))
    }

    /// Trains on `batch`; the learning rate it used. Adds the loss's terms to `sums`, on the device.
    fn step(&mut self, batch: &Batch, sums: &mut Tensor) -> Result<f64, PretrainError> {
        let learning_rate = self.run.config.learning_rate * rate(share(self.run.budget, &self.state));
        let answers = batch.tensors(self.run.device)?;
        let loss = loss(&self.network.forward(&normalised(&answers.levels)?, true)?, &answers)?;
        loss.total.f_backward()?;
        self.optimizer.step(&self.network, learning_rate)?;
        *sums += loss.terms;
        self.state.steps += 1;
        Ok(learning_rate)
    }

    /// `sums` are over `summed` steps: after a stop fewer than since the row before.
    fn add_row(&mut self, sums: &Tensor, summed: u64, learning_rate: f64) -> Result<(), PretrainError> {
        let step = self.state.steps;
        let sums = Vec::<f32>::try_from(sums.f_to_device(Device::Cpu)?)?;
        let terms: Vec<f64> = sums.iter().map(|sum| f64::from(*sum) / summed as f64).collect();
        let loss = terms.iter().zip(TERMS).map(|(term, (_, weight))| term * weight).sum::<f64>();
        if !loss.is_finite() {
            return Err(PretrainError::Diverged { step, found: format!("a loss of {loss}") });
        }
        self.state.rows.push(Row { step, seconds: self.state.seconds, learning_rate, loss, terms });
        Ok(())
    }

    fn bar(&self) -> ProgressBar {
        let (total, done, what) = match self.run.budget {
            Budget::Steps(steps) => (steps, self.state.steps, "steps"),
            Budget::Minutes(minutes) => ((60.0 * minutes) as u64, self.state.seconds as u64, "seconds"),
        };
        progress::resumed_bar(total, done, what)
    }

    fn show(&self, bar: &ProgressBar, elapsed: Duration, before: f64) {
        let images = |steps: u64| steps as f64 * self.run.config.batch as f64;
        let Some(row) = self.state.rows.last() else { return };
        let of_whole = images(row.step) / (before + elapsed.as_secs_f64());
        bar.set_message(format!("step {}, loss {:.3}, {of_whole:.1} images/s", row.step, row.loss));
        bar.set_position(match self.run.budget {
            Budget::Steps(_) => self.state.steps,
            Budget::Minutes(_) => self.state.seconds as u64,
        });
    }

    /// Writes checkpoint, weights, curve and model card.
    fn save(&mut self) -> Result<(), PretrainError> {
        let step = self.state.steps;
        if self.state.held_out.last().is_none_or(|figures| figures.step != step) {
            self.state.held_out.push(self.held_out.figures(&self.network, step)?);
        }
        checkpoint::write(&self.path, &self.state, &self.network, &self.optimizer)?;
        output::write(self.run, &self.state, &self.network)
    }
}

/// On a CPU, libtorch itself takes all cores and rendering is a small part of the work; a GPU is faster than several
/// cores can render.
fn rendering_threads(device: Device) -> usize {
    if device.is_cuda() {
        std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1))
    } else {
        1
    }
}

#[cfg(test)]
mod tests;
