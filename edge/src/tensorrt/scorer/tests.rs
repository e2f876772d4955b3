//! Tests the scorer with a simulated CUDA driver and a network on the processor: the order of calls, the time limits, and the
//! state after an error. Needs gcc, and NVRTC of `.venv`.

use super::*;
use cellgate_models::conversion::Method;
use cellgate_models::radiograph::Radiograph;
use cellgate_test_support::pretended::{Pretended, run_alone};

/// An input with 2 x 3 cells.
const SIZE: Size = Size { height: 20, width: 36 };
const CELLS: usize = 6;
/// `CUDA_ERROR_NOT_READY`: the GPU has not reached an event.
const NOT_READY: i32 = 600;
/// `CUDA_ERROR_ILLEGAL_ADDRESS`: every call returns it after a kernel's fault.
const ILLEGAL_ADDRESS: i32 = 700;
/// How often an upload queries the event of an earlier copy, if the image is smaller than a staging buffer and has another size than
/// the previous one: once for the resize weights, once for the levels. With the size of the previous image: once.
const QUERIES_OF_A_NEW_SIZE: i32 = 2;

/// What a network writes in one run: the logit, the first share of the map, and the first component of the features. Each further
/// share or component is one more.
#[derive(Clone, Copy)]
struct Written {
    logit: Option<f32>,
    map: Option<f32>,
    features: Option<f32>,
}

impl Written {
    const NOTHING: Self = Self { logit: None, map: None, features: None };

    fn all(logit: f32, first_share: f32) -> Self {
        Self { logit: Some(logit), map: Some(first_share), features: Some(logit - first_share) }
    }
}

/// `first`, and each further number one more.
fn ascending<const COUNT: usize>(first: f32) -> [f32; COUNT] {
    std::array::from_fn(|index| first + index as f32)
}

/// A network that writes the next outputs in each run. After the last ones, a run fails to start.
struct Prepared {
    written: Vec<Written>,
    bound: Option<Addresses>,
    size: Size,
}

impl Prepared {
    fn new(written: &[Written]) -> Self {
        let mut written: Vec<_> = written.iter().rev().copied().collect();
        // The outputs of the first run, while the scorer is created.
        written.push(Written::all(0.5, 0.5));
        Self { written, bound: None, size: SIZE }
    }
}

impl Network for Prepared {
    fn input_size(&self) -> Size {
        self.size
    }

    unsafe fn bind(&mut self, tensors: Addresses) -> Result<(), PlanError> {
        let Addresses { input, logit, map, features } = tensors;
        let mut addresses = [0, input, logit, map, features];
        addresses.sort_unstable();
        assert!(addresses.is_sorted_by(|one, next| one < next), "{tensors:?}");
        self.bound = Some(tensors);
        Ok(())
    }

    unsafe fn enqueue(&mut self, _: &CudaStream) -> Result<(), PlanError> {
        let no_start = || PlanError::TensorRt { message: "NO_OUTPUTS_LEFT".to_owned() };
        let Written { logit, map, features } = self.written.pop().ok_or_else(no_start)?;
        let bound = self.bound.expect("bound addresses");
        if let Some(logit) = logit {
            // SAFETY: the simulated driver's memory is the host's, and this is the address of one value of f32.
            unsafe { (bound.logit as *mut f32).write(logit) };
        }
        if let Some(first) = map {
            // SAFETY: as above, with one value for each cell.
            unsafe { (bound.map as *mut [f32; CELLS]).write(ascending(first)) };
        }
        if let Some(first) = features {
            // SAFETY: as above, with one value for each component.
            unsafe { (bound.features as *mut [f32; WhitenedFeatures::COUNT]).write(ascending(first)) };
        }
        Ok(())
    }
}

fn scorer(written: &[Written]) -> Result<GpuScorer<Prepared>, GpuScorerError> {
    let spec = ConversionSpec::new(Method::Naive).with_size(SIZE);
    GpuScorer::new(&spec, 100, || Ok(Prepared::new(written)), &unwatched())
}

fn score(scorer: &mut GpuScorer<Prepared>, pixels: u32) -> Result<Output, NoScore> {
    let radiograph = Radiograph::new(pixels, 1, vec![1700; pixels as usize]).unwrap();
    scorer.run(radiograph.view(), &mut Times::default(), &mut |_| Ok(()))
}

/// The output that [`Written::all`] writes.
fn output(logit: f32, first_share: f32) -> Output {
    let map = LogitMap::new(Size { height: 2, width: 3 }, ascending::<CELLS>(first_share).to_vec()).unwrap();
    Output { logit, map, features: WhitenedFeatures::new(ascending(logit - first_share)) }
}

/// Scores a part, which must fail, and checks the state after that: the part's reason is ENGINE_FAILED, the scorer never scores
/// again, and nothing is freed. Returns the text of the error.
fn assert_gives_up(mut scorer: GpuScorer<Prepared>, pretended: &Pretended) -> String {
    let freed = || ["cuMemFreeAsync", "cuMemFreeHost", "cuStreamDestroy_v2"].map(|name| pretended.calls(name));
    let before = freed();
    let error = score(&mut scorer, 10).unwrap_err();
    assert_eq!(error.reason(), Reason::EngineFailed, "{error}");
    assert!(scorer.is_lost());
    pretended.answers("cuEventQuery", 0);
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
fn a_missing_output_is_nan_and_not_the_previous_one() {
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
    let outputs = [(0.25, -1.0), (0.75, 2.0), (0.25, 0.125)];
    let mut scorer = scorer(&outputs.map(|(logit, first_share)| Written::all(logit, first_share))).unwrap();
    let pretended = Pretended::open();
    for (pixels, (logit, first_share)) in [10, 10, 3].into_iter().zip(outputs) {
        let radiograph = Radiograph::new(pixels, 1, vec![1700; pixels as usize]).unwrap();
        let (mut times, mut stages) = (Times::default(), Vec::new());
        let found = scorer
            .run(radiograph.view(), &mut times, &mut |stage| {
                stages.push(stage);
                Ok(())
            })
            .unwrap();
        assert_eq!((found, stages), (output(logit, first_share), vec![Stage::Convert, Stage::Infer]));
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
    ] {
        assert_eq!(pretended.calls(made), pretended.calls(gone), "{made}");
    }
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_nothing_written() {
    let all = Written::all(0.25, 1.0);
    let some = [Written { map: None, ..all }, Written { logit: None, ..all }, Written { features: None, ..all }];
    let runs = [all, some[0], all, some[1], all, some[2], all, Written::NOTHING];
    let mut scorer = scorer(&runs).unwrap();
    // Texts, because a NaN does not equal itself.
    let texts = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>();
    for Written { logit, map, features } in runs {
        let found = score(&mut scorer, 10).unwrap();
        assert_eq!(texts(&[found.logit]), texts(&[logit.unwrap_or(f32::NAN)]));
        assert_eq!(texts(found.map.shares()), texts(&map.map_or([f32::NAN; CELLS], ascending)));
        let expected = features.map_or([f32::NAN; WhitenedFeatures::COUNT], ascending);
        assert_eq!(texts(found.features.components()), texts(&expected));
    }
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_too_large() {
    let mut scorer = scorer(&[Written::all(0.25, 1.0)]).unwrap();
    assert_eq!(score(&mut scorer, 101).unwrap_err().reason(), Reason::ConversionFailed);
    assert!(!scorer.is_lost());
    assert_eq!(score(&mut scorer, 100).unwrap(), output(0.25, 1.0));
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_no_answer() {
    let (scorer, pretended) = (scorer(&[Written::all(0.25, 1.0)]).unwrap(), Pretended::open());
    pretended.answers_after("cuEventQuery", QUERIES_OF_A_NEW_SIZE, NOT_READY);
    let start = Instant::now();
    let error = assert_gives_up(scorer, &pretended);
    assert!(error.contains("did not answer in time") && !error.contains("earlier copy"), "{error}");
    assert!(start.elapsed() >= MAX_RUN_TIME && start.elapsed() < MAX_FIRST_RUN_TIME, "{:?}", start.elapsed());
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_fault() {
    let (scorer, pretended) = (scorer(&[Written::all(0.25, 1.0); 2]).unwrap(), Pretended::open());
    pretended.answers_after("cuEventQuery", QUERIES_OF_A_NEW_SIZE, ILLEGAL_ADDRESS);
    let error = assert_gives_up(scorer, &pretended);
    assert!(error.contains("waiting for the GPU: CUDA_ERROR_ILLEGAL_ADDRESS"), "{error}");
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_no_start() {
    let error = assert_gives_up(scorer(&[]).unwrap(), &Pretended::open());
    assert!(error.contains("NO_OUTPUTS_LEFT"), "{error}");
}

#[test]
#[ignore = "a scenario of the tests above"]
fn scenario_loading() {
    let pretended = Pretended::open();
    let spec = ConversionSpec::new(Method::Naive).with_size(SIZE);
    let refused = || Err(PlanError::Refused { message: "other build".to_owned() });
    let error = GpuScorer::<Prepared>::new(&spec, 100, refused, &unwatched()).err().unwrap();
    assert!(matches!(error, GpuScorerError::Plan(PlanError::Refused { .. })) && !error.is_lost(), "{error}");
    let other = || Ok(Prepared { size: Size { height: 20, width: 37 }, ..Prepared::new(&[]) });
    let error = GpuScorer::new(&spec, 100, other, &unwatched()).err().unwrap();
    assert!(matches!(error, GpuScorerError::Setup(SetupError::Size { .. })) && !error.is_lost(), "{error}");
    // The image is uploaded twice, the second time with the size of the first.
    pretended.answers_after("cuEventQuery", QUERIES_OF_A_NEW_SIZE + 1, ILLEGAL_ADDRESS);
    let error = scorer(&[]).err().unwrap();
    assert!(matches!(error, GpuScorerError::First(_)) && error.is_lost(), "{error}");
    assert!(error.to_string().contains("waiting for the GPU: CUDA_ERROR_ILLEGAL_ADDRESS"), "{error}");
}
