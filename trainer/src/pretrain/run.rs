//! Runs the training loop: fetches batches, does a step with each, and saves regularly.

use super::PretrainError;
use super::checkpoint::{self, Row, State};
use super::config::{Budget, PretrainConfig, Run};
use super::feed::Feed;
use super::held_out::HeldOut;
use super::loss::{TERMS, loss, normalised};
use super::network::TrainableNetwork;
use super::optimizer::{optimizer, rate};
use super::output;
use super::stream::{Batch, Stream};
use super::summary::{Summary, share, summary};
use crate::adamw::AdamW;
use crate::files;
use crate::progress;
use indicatif::ProgressBar;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tch::{Cuda, Device, Kind, Tensor};

/// Time after which the next checkpoint is due. It is written with the next row of the loss curve.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(300);
/// Lock file of a pre-training's folder. The process that trains there holds the lock.
const LOCK: &str = ".lock";
/// Number of steps in one row of the loss curve.
const ROW_STEPS: u64 = 10;

/// Starts the pre-training, or continues it if its folder holds a checkpoint.
///
/// # Errors
/// - Another process trains in the folder, or the folder holds files but no checkpoint.
/// - The checkpoint is damaged or has other settings.
/// - The loss is not finite, libtorch fails, or a file can't be written.
pub fn run(run: &Run<'_>) -> Result<Summary, PretrainError> {
    let _lock = lock(run.out)?;
    let path = run.out.join(checkpoint::FILE);
    let (state, network, optimizer) = match checkpoint::read(&path, run.device)? {
        Some(checkpoint) => checkpoint,
        None => {
            let network = TrainableNetwork::random(run.config.seed, run.device)?;
            let optimizer = optimizer(&network)?;
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
    training.train()?;
    Ok(summary(run, &training.state))
}

/// Creates the pre-training's folder if it is missing, locks it against other processes, and removes temporary files
/// that a killed process has left there. Refuses a folder with other files and no checkpoint.
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
    let (temporary, names): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| name.to_string_lossy().starts_with(files::TEMPORARY));
    if !names.is_empty() && !names.iter().any(|name| name == checkpoint::FILE) {
        return Err(PretrainError::OtherFiles { path: folder.to_owned(), expected: checkpoint::FILE });
    }
    for name in temporary {
        std::fs::remove_file(folder.join(name)).map_err(io)?;
    }
    Ok(file)
}

/// A pre-training in progress.
struct Training<'a> {
    run: &'a Run<'a>,
    /// The path of the checkpoint.
    path: PathBuf,
    state: State,
    network: TrainableNetwork,
    optimizer: AdamW,
    held_out: HeldOut,
}

impl Training<'_> {
    fn train(&mut self) -> Result<(), PretrainError> {
        if self.run.device.is_cuda() {
            Cuda::cudnn_set_benchmark(true);
        }
        let bar = self.bar();
        let stream = Arc::new(Stream::of_training(&self.run.config));
        let mut feed = Feed::new(&stream, self.state.steps, rendering_threads(self.run.device));
        // Training time of earlier processes, and the start of this process's training.
        let (earlier_s, start) = (self.state.seconds, Instant::now());
        let mut saved = Instant::now();
        let (mut sums, mut summed) = (self.no_sums(), 0);
        while share(self.run.budget, &self.state) < 1.0 && !self.run.stop.load(Ordering::Relaxed) {
            let waiting = Instant::now();
            let (batch, took) = feed.next()?;
            self.state.waited_s += waiting.elapsed().as_secs_f64();
            self.state.rendered_s += took.as_secs_f64();
            let learning_rate = self.step(&batch, &mut sums)?;
            summed += 1;
            self.state.seconds = earlier_s + start.elapsed().as_secs_f64();
            if self.state.steps.is_multiple_of(ROW_STEPS) {
                self.add_row(&sums, summed, learning_rate)?;
                (sums, summed) = (self.no_sums(), 0);
                self.show(&bar, start.elapsed(), earlier_s);
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

    /// Trains on `batch`. Adds the terms of the loss to `sums`, which stays on the CPU or GPU that trains. Returns the
    /// learning rate.
    fn step(&mut self, batch: &Batch, sums: &mut Tensor) -> Result<f64, PretrainError> {
        let learning_rate = self.run.config.learning_rate * rate(share(self.run.budget, &self.state));
        let answers = batch.tensors(self.run.device)?;
        let loss = loss(&self.network.forward(&normalised(&answers.levels)?, true)?, &answers)?;
        loss.total.f_backward()?;
        self.optimizer.step(&self.network.tensors, |_| learning_rate)?;
        *sums += loss.terms;
        self.state.steps += 1;
        Ok(learning_rate)
    }

    /// Adds a row to the loss curve. `sums` holds the terms of the last `summed` steps. After an interruption, `summed`
    /// can be less than the number of steps since the previous row, because the sums of the earlier process are lost.
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
        let (total, done, unit) = match self.run.budget {
            Budget::Steps(steps) => (steps, self.state.steps, "steps"),
            Budget::Minutes(minutes) => ((60.0 * minutes) as u64, self.state.seconds as u64, "seconds"),
        };
        progress::resumed_bar(total, done, unit)
    }

    fn show(&self, bar: &ProgressBar, elapsed: Duration, earlier_s: f64) {
        let images = |steps: u64| steps as f64 * self.run.config.batch as f64;
        let Some(row) = self.state.rows.last() else { return };
        let images_per_s = images(row.step) / (earlier_s + elapsed.as_secs_f64());
        bar.set_message(format!("step {}, loss {:.3}, {images_per_s:.1} images/s", row.step, row.loss));
        bar.set_position(match self.run.budget {
            Budget::Steps(_) => self.state.steps,
            Budget::Minutes(_) => self.state.seconds as u64,
        });
    }

    /// Computes the held-out figures, and writes checkpoint, weights, loss curve and model card.
    fn save(&mut self) -> Result<(), PretrainError> {
        let step = self.state.steps;
        if self.state.held_out.last().is_none_or(|figures| figures.step != step) {
            self.state.held_out.push(self.held_out.figures(&self.network, step)?);
        }
        checkpoint::write(&self.path, &self.state, &self.network, &self.optimizer)?;
        output::write(self.run, &self.state, &self.network)
    }
}

/// The number of rendering threads.
///
/// | trained on | threads | reason |
/// |---|---|---|
/// | CPU | 1 | libtorch uses all cores, and rendering takes a small share of the time |
/// | GPU | all cores but one | the GPU trains faster than several cores can render |
fn rendering_threads(device: Device) -> usize {
    if device.is_cuda() {
        std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1))
    } else {
        1
    }
}

#[cfg(test)]
mod tests;
