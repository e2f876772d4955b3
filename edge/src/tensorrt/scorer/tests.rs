//! Tests the scorer with a simulated CUDA driver and a network on the processor: the order of calls, the time limits, and the
//! state after an error. Needs gcc, and NVRTC of `.venv`.

use super::*;
use cellgate_models::conversion::Method;
use cellgate_models::radiograph::Radiograph;
use cellgate_test_support::pretended::{Pretended, run_alone};

const SIZE: Size = Size { height: 7, width: 5 };
/// `CUDA_ERROR_NOT_READY`: the GPU has not reached an event.
const NOT_READY: i32 = 600;
/// `CUDA_ERROR_ILLEGAL_ADDRESS`: every call returns it after a kernel's fault.
const ILLEGAL_ADDRESS: i32 = 700;

/// A network that writes the next of its scores in each run. In a run whose score is `None`, it writes nothing. After the last
/// score, a run fails to start.
struct Scores {
    scores: Vec<Option<f32>>,
    output: u64,
    size: Size,
}

impl Scores {
    fn new(scores: impl Into<Vec<Option<f32>>>) -> Self {
        let mut scores = scores.into();
        scores.reverse();
        // The score of the first run, while the scorer is created.
        scores.push(Some(0.5));
        Self { scores, output: 0, size: SIZE }
    }
}

impl Network for Scores {
    fn input_size(&self) -> Size {
        self.size
    }

    unsafe fn bind(&mut self, input: u64, output: u64) -> Result<(), PlanError> {
        assert!(input != 0 && output != 0 && input != output);
        self.output = output;
        Ok(())
    }

    unsafe fn enqueue(&mut self, _: &CudaStream) -> Result<(), PlanError> {
        match self.scores.pop() {
            // SAFETY: the simulated driver's memory is the host's, and this is the address of one value of f32.
            Some(Some(score)) => unsafe { (self.output as *mut f32).write(score) },
            Some(None) => {}
            None => return Err(PlanError::TensorRt { message: "NO_SCORES_LEFT".to_owned() }),
        }
        Ok(())
    }
}

fn scorer(scores: impl Into<Vec<Option<f32>>>) -> Result<GpuScorer<Scores>, GpuScorerError> {
    let spec = ConversionSpec::new(Method::Naive).with_size(SIZE);
    GpuScorer::new(&spec, 100, || Ok(Scores::new(scores)), &unwatched())
}

fn score(scorer: &mut GpuScorer<Scores>, pixels: u32) -> Result<f32, NoScore> {
    let radiograph = Radiograph::new(pixels, 1, vec![1700; pixels as usize]).unwrap();
    scorer.logit(radiograph.view(), &mut Times::default(), &mut |_| {})
}

/// Scores a part, which must fail, and checks the state after that: the part's reason is ENGINE_FAILED, the scorer never scores
/// again, and nothing is freed. Returns the text of the error.
fn assert_gives_up(mut scorer: GpuScorer<Scores>, pretended: &Pretended) -> String {
    let freed = || ["cuMemFreeAsync", "cuMemFreeHost", "cuStreamDestroy_v2"].map(|name| pretended.calls(name));
    let before = freed();
    let error = score(&mut scorer, 10).unwrap_err();
    assert_eq!(error.reason(), Reason::EngineFailed, "{error}");
    assert!(scorer.is_lost());
    for function in ["cuEventQuery", "cuMemcpyDtoHAsync_v2"] {
        pretended.answers(function, 0);
    }
    let later = score(&mut scorer, 10).unwrap_err();
    assert_eq!(later.reason(), Reason::EngineFailed, "{later}");
    drop(scorer);
    assert_eq!(before, freed());
    error.to_string()
}

fn alone(scenario: &str) {
    run_alone(module_path!(), scenario, None);
}

#[test]
fn images_are_scored() {
    alone("scenario_scores");
}

#[test]
fn a_missing_score_is_nan_and_not_the_previous_one() {
    alone("scenario_nothing_written");
}

#[test]
fn after_an_image_that_is_too_large_the_next_one_is_scored() {
    alone("scenario_too_large");
}

#[test]
fn a_gpu_that_does_not_answer_is_given_up_at_the_time_limit() {
    alone("scenario_no_answer");
}

#[test]
fn after_a_fault_or_a_network_that_does_not_start_the_gpu_is_given_up() {
    alone("scenario_fault");
    alone("scenario_no_start");
}

#[test]
fn a_refused_plan_a_wrong_input_size_and_a_fault_in_the_first_run_are_errors() {
    alone("scenario_loading");
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_scores() {
    let mut scorer = scorer([Some(0.25), Some(0.75), Some(0.25)]).unwrap();
    let pretended = Pretended::open();
    for (pixels, expected) in [(10, 0.25), (10, 0.75), (3, 0.25)] {
        let radiograph = Radiograph::new(pixels, 1, vec![1700; pixels as usize]).unwrap();
        let (mut times, mut stages) = (Times::default(), Vec::new());
        let found = scorer.logit(radiograph.view(), &mut times, &mut |stage| stages.push(stage)).unwrap();
        assert_eq!((found, stages), (expected, vec![Stage::Convert, Stage::Infer]));
        // The simulated driver reports 2 ms between any two events.
        assert_eq!((times.convert.as_millis(), times.infer.as_millis()), (2, 2));
    }
    assert!(!scorer.is_lost());
    drop(scorer);
    for (made, gone) in [
        ("cuMemAllocAsync", "cuMemFreeAsync"),
        ("cuMemHostAlloc", "cuMemFreeHost"),
        ("cuEventCreate", "cuEventDestroy_v2"),
        ("cuStreamCreate", "cuStreamDestroy_v2"),
        ("cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2"),
    ] {
        assert_eq!(pretended.calls(made), pretended.calls(gone), "{made}");
    }
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_nothing_written() {
    let mut scorer = scorer([Some(0.25), None]).unwrap();
    assert_eq!(score(&mut scorer, 10).unwrap(), 0.25);
    assert!(score(&mut scorer, 10).unwrap().is_nan());
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_too_large() {
    let mut scorer = scorer([Some(0.25)]).unwrap();
    assert_eq!(score(&mut scorer, 101).unwrap_err().reason(), Reason::ConversionFailed);
    assert!(!scorer.is_lost());
    assert_eq!(score(&mut scorer, 100).unwrap(), 0.25);
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_no_answer() {
    let (scorer, pretended) = (scorer([Some(0.25)]).unwrap(), Pretended::open());
    pretended.answers("cuEventQuery", NOT_READY);
    let start = Instant::now();
    assert_gives_up(scorer, &pretended);
    assert!(start.elapsed() >= MAX_RUN_TIME && start.elapsed() < MAX_FIRST_RUN_TIME, "{:?}", start.elapsed());
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_fault() {
    let (scorer, pretended) = (scorer([Some(0.25), Some(0.25)]).unwrap(), Pretended::open());
    pretended.answers("cuMemcpyDtoHAsync_v2", ILLEGAL_ADDRESS);
    let error = assert_gives_up(scorer, &pretended);
    assert!(error.contains("CUDA_ERROR_ILLEGAL_ADDRESS"), "{error}");
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_no_start() {
    let error = assert_gives_up(scorer([]).unwrap(), &Pretended::open());
    assert!(error.contains("NO_SCORES_LEFT"), "{error}");
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_loading() {
    let pretended = Pretended::open();
    let spec = ConversionSpec::new(Method::Naive).with_size(SIZE);
    let refused = || Err(PlanError::Refused { message: "other build".to_owned() });
    let error = GpuScorer::<Scores>::new(&spec, 100, refused, &unwatched()).err().unwrap();
    assert!(matches!(error, GpuScorerError::Plan(PlanError::Refused { .. })) && !error.is_lost(), "{error}");
    let other = || Ok(Scores { size: Size { height: 7, width: 6 }, ..Scores::new([]) });
    let error = GpuScorer::new(&spec, 100, other, &unwatched()).err().unwrap();
    assert!(matches!(error, GpuScorerError::Setup(SetupError::Size { .. })) && !error.is_lost(), "{error}");
    pretended.answers("cuEventQuery", ILLEGAL_ADDRESS);
    let error = scorer([]).err().unwrap();
    assert!(matches!(error, GpuScorerError::First(_)) && error.is_lost(), "{error}");
}
