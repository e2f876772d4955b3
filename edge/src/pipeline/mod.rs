//! Judges one image: reads and decodes it, compares it with the model's envelope, converts it, runs the network, and decides by the rule
//! of the bundle.

mod activate;
mod alive;
mod error;
mod file;
mod image_check;
mod no_score;
mod options;
mod proof;
mod scorer;
mod select;
mod stage;

pub use alive::Alive;
pub use error::{ActivationError, ProofError};
pub use no_score::{NoScore, SetupError};
pub use options::{Activation, EngineChoice, EngineOptions, TensorRtOptions};
pub use proof::{Deviation, compare};
pub use select::Chosen;
pub use stage::{Stage, Times};

pub(crate) use alive::unwatched;
pub(crate) use scorer::Scorer;

use crate::acquire::{Change, ImageFile};
use crate::sandbox::Sandbox;
use cellgate_models::conversion::{ConversionSpec, Size};
use cellgate_models::digest::Digest;
use cellgate_models::engine::{Engine, MapSumLimit, Output};
use cellgate_models::envelope::{Envelope, Measurer, Measures, OutsideEnvelope};
use cellgate_models::policy::{Decision, Reason, Rule, distinct};
use cellgate_models::radiograph::{BUFFER_START, RadiographView};
use scorer::CpuScorer;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// Judges one radiograph after another and reuses its buffers. Each thread needs its own pipeline.
pub struct Pipeline {
    source: Source,
    envelope: Envelope,
    measurer: Measurer,
    scorer: Box<dyn Scorer>,
    /// How far the sum of a part's map may be from its logit.
    map_sum: MapSumLimit,
    /// The network's time for each golden image at its last proof.
    golden_times: Vec<Duration>,
}

/// Turns a path into a radiograph.
struct Source {
    sandbox: Sandbox,
    /// Buffer for the file's bytes.
    memory: Vec<u8>,
}

/// What the network computed for one image.
struct Scored {
    output: Output,
    /// The size of the radiograph.
    size: Size,
    /// The measures that are outside of a soft range of the envelope.
    outside: Option<OutsideEnvelope>,
}

/// The verdict for one image, with its reason, score, outputs, digest, explanation and times.
#[derive(Debug)]
pub struct Judgement {
    /// The verdict and its reason.
    pub decision: Decision,
    /// The score, 0..=1. `None` if there is no logit or if it is not finite.
    pub score: Option<f32>,
    /// The network's outputs. If the logit is finite, the map sums to it. `None` if the network did not run, or its outputs contradict
    /// each other.
    pub output: Option<Output>,
    /// The distance of the part by the rule of its bundle, unchecked. `None` if `output` is.
    pub distance: Option<f64>,
    /// The size of the radiograph. `None` if `output` is.
    pub size: Option<Size>,
    /// The measures of the radiograph, which were compared with the model's envelope. `None` if it could not be decoded.
    pub measures: Option<Measures>,
    /// The digest of the file's bytes. `None` if they could not be read.
    pub image: Option<Digest>,
    /// The error as text, if there was one. Else the measures that are outside of the model's envelope, if there are any. Else,
    /// for [`Reason::UnlikeTraining`], the distance and the largest distance.
    pub detail: Option<String>,
    /// The same without the image's path, for output that names the image anyway.
    pub detail_without_path: Option<String>,
    /// How long each stage took.
    pub times: Times,
}

impl Pipeline {
    /// Creates a pipeline from a model's conversion and envelope, the limit for the sum of a map, an engine with its network, and the
    /// sandbox that decodes.
    ///
    /// # Errors
    /// [`SetupError`]: the conversion does not fit the network, or memory is missing.
    pub fn new(
        conversion: &ConversionSpec,
        envelope: Envelope,
        map_sum: MapSumLimit,
        engine: Box<dyn Engine>,
        sandbox: Sandbox,
    ) -> Result<Self, SetupError> {
        Self::with_scorer(Box::new(CpuScorer::new(conversion, engine)?), envelope, map_sum, sandbox)
    }

    fn with_scorer(
        scorer: Box<dyn Scorer>,
        envelope: Envelope,
        map_sum: MapSumLimit,
        sandbox: Sandbox,
    ) -> Result<Self, SetupError> {
        let (source, measurer) = (Source::new(sandbox)?, Measurer::default());
        Ok(Self { source, envelope, measurer, scorer, map_sum, golden_times: Vec::new() })
    }

    /// The sandbox that decodes.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.source.sandbox
    }

    /// The network's longest time for a golden image, of those at each image's last proof.
    #[must_use]
    pub fn slowest_inference(&self) -> Duration {
        self.golden_times.iter().copied().max().unwrap_or_default()
    }

    /// Whether the GPU failed in a way that only a new process can recover from.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.scorer.is_lost()
    }

    /// Judges the image in the file at `path` by the rule of its bundle. Every error becomes a REJECT with its reason.
    pub fn judge(&mut self, path: &Path, rule: &Rule) -> Judgement {
        self.judge_telling(path, None, rule, &mut |_| {})
    }

    /// Like [`Self::judge`]. If `expected` is given, any other file at `path` is refused. Calls `begins` before each stage, so
    /// that a supervisor knows the current stage.
    pub fn judge_telling(
        &mut self,
        path: &Path,
        expected: Option<&ImageFile>,
        rule: &Rule,
        begins: &mut dyn FnMut(Stage),
    ) -> Judgement {
        let mut times = Times::default();
        let mut measures = None;
        let (scored, image) = self.scored(path, expected, (&mut times, &mut measures), begins);
        let start = Instant::now();
        let (decision, score, distance) = match &scored {
            Ok(Scored { output: Output { logit, features, .. }, outside, .. }) => {
                let decision = rule.decide(*logit, features);
                let decision = if outside.is_some() { decision.of_unlike_image() } else { decision };
                (decision, rule.score(*logit), Some(rule.distance(features)))
            }
            Err(error) => (error.reason().into(), None, None),
        };
        times.decide = start.elapsed();
        let (detail, detail_without_path) = match &scored {
            Ok(Scored { outside, .. }) => {
                let outside = outside.as_ref().map(ToString::to_string);
                let explanation = outside.or_else(|| explanation(decision, distance, rule));
                (explanation.clone(), explanation)
            }
            Err(error) => (Some(error.to_string()), Some(error.without_path())),
        };
        let (output, size) = scored.ok().map(|Scored { output, size, .. }| (output, size)).unzip();
        Judgement { decision, score, output, distance, size, measures, image, detail, detail_without_path, times }
    }

    /// Reads and decodes the image at `path` without judging it. Returns the radiograph and the digest of the file's bytes.
    ///
    /// # Errors
    /// [`NoScore`]: the image can't be read or decoded.
    pub fn radiograph(&mut self, path: &Path) -> Result<(RadiographView<'_>, Digest), NoScore> {
        let Source { sandbox, memory } = &mut self.source;
        let (bytes, _) = file::read(path, None, sandbox.limits(), memory)?;
        let digest = Digest::of(bytes);
        Ok((sandbox.decode(bytes, path)?, digest))
    }

    /// Returns what the network computed, where the map sums to the logit, and the digest of the file's bytes. Writes the times of
    /// the stages and the measures of the radiograph. The file is read once, so the digest is that of the decoded bytes.
    /// Measures and digest together take about as long as the conversion, so a thread computes them beside it. The network sees the
    /// image after its measures are known.
    fn scored(
        &mut self,
        path: &Path,
        expected: Option<&ImageFile>,
        (times, measures): (&mut Times, &mut Option<Measures>),
        begins: &mut dyn FnMut(Stage),
    ) -> (Result<Scored, NoScore>, Option<Digest>) {
        let Self { source: Source { sandbox, memory }, envelope, measurer, scorer, map_sum, .. } = self;
        begins(Stage::Read);
        let start = Instant::now();
        let (bytes, must_be) = match file::read(path, expected, sandbox.limits(), memory) {
            Ok(found) => found,
            Err(error) => {
                times.read = start.elapsed();
                return (Err(error), None);
            }
        };
        let radiograph = sandbox.decode(bytes, path);
        times.read = start.elapsed();
        std::thread::scope(|scope| {
            let (measured, found) = sync_channel(1);
            let image = radiograph.as_ref().ok().copied();
            let digest = std::thread::Builder::new().name("digest".to_owned()).spawn_scoped(scope, move || {
                if let Some(image) = image {
                    let _ = measured.send(measurer.measure(image));
                }
                Digest::of(bytes)
            });
            let mut waited = Duration::ZERO;
            let scored = radiograph.map_err(NoScore::from).and_then(|radiograph| {
                let size = Size { height: radiograph.height(), width: radiograph.width() };
                let mut outside = None;
                let output = scorer.run(radiograph, times, &mut |stage| {
                    if stage == Stage::Infer {
                        let start = Instant::now();
                        // If the other thread could not be started or panicked, this thread measures.
                        let found = found.recv().unwrap_or_else(|_| Measures::of(radiograph));
                        waited = start.elapsed();
                        *measures = Some(found);
                        outside = image_check::check(envelope, &found, path)?;
                    }
                    begins(stage);
                    Ok(())
                })?;
                map_sum.check(&output)?;
                Ok(Scored { output, size, outside })
            });
            begins(Stage::Read);
            times.read += waited;
            let rest = Instant::now();
            // If the digest's thread could not be started or panicked, this thread computes the digest.
            let digest = digest.ok().and_then(|digest| digest.join().ok()).unwrap_or_else(|| Digest::of(bytes));
            times.read += rest.elapsed();
            if must_be.is_some_and(|must_be| must_be != digest) {
                return (Err(NoScore::Changed { path: path.to_owned(), change: Change::Written }), None);
            }
            (scored, Some(digest))
        })
    }
}

impl Source {
    /// Allocates the buffer for the largest file.
    fn new(sandbox: Sandbox) -> Result<Self, SetupError> {
        let file_bytes = sandbox.limits().max_file_bytes;
        // `read_open_file` writes the bytes from BUFFER_START on, and tries to read one byte more to notice a file that grows.
        let buffer_bytes = usize::try_from(file_bytes).unwrap_or(usize::MAX).saturating_add(BUFFER_START + 1);
        let mut memory = Vec::new();
        memory.try_reserve_exact(buffer_bytes).map_err(|_| SetupError::Memory { file_bytes })?;
        Ok(Self { sandbox, memory })
    }
}

/// The distance and the largest distance in words, for a part that does not pass because of its distance.
fn explanation(decision: Decision, distance: Option<f64>, rule: &Rule) -> Option<String> {
    let (found, most) = distance.zip(rule.largest_distance())?;
    (decision.reason == Reason::UnlikeTraining).then(|| {
        let [found, most] = distinct(found, most);
        format!("found distance {found} from normal parts, expected at most {most}: a person decides")
    })
}
