//! The input of the program `tests/kernels/threads.cpp`: memory and launches of one conversion.

use crate::kernels::random;
use cellgate_edge::convert::{Argument, Kernel, Launch, LaunchSequence, LaunchStep};

/// An allocation of exactly these bytes.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    /// How many bytes the allocation starts behind an aligned address.
    pub(super) shift: usize,
}

/// An argument of a kernel.
#[derive(Debug)]
pub(super) enum Given {
    Value(Vec<u8>),
    /// An address as index of a buffer and offset in it.
    Address(usize, usize),
}

/// A launch, with the order in which threads and blocks run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) kernel: Kernel,
    pub(super) arguments: Vec<Given>,
    pub(super) shared_bytes: usize,
    /// The positions of the blocks in the order in which they start. Three run at once.
    pub(super) blocks: Vec<[u32; 2]>,
    /// 0: the threads of a block run at once. Otherwise they run one after the other, after each barrier in another random order.
    pub(super) seed: u64,
    /// The number of the barrier that orders less than it should, see `Team` in `threads.h`; the first of each block is 1. 0: none.
    pub(super) weakened: usize,
}

#[derive(Debug)]
pub(super) enum Step {
    /// Sets a buffer to 0.
    Clear(usize),
    Run(Run),
}

/// A conversion of one image.
#[derive(Debug)]
pub(super) struct Case {
    /// The tensor is the first.
    pub(super) buffers: Vec<Buffer>,
    pub(super) steps: Vec<Step>,
}

/// The order in which the blocks of a launch start.
#[derive(Debug, Clone, Copy)]
pub(super) enum Blocks {
    Forward,
    Backward,
    Random,
}

impl Case {
    /// The conversion of an image with these levels. The threads run at once.
    pub(super) fn new(sequence: &LaunchSequence, levels: &[u16]) -> Self {
        let filled = |from: &[u8], len: usize| {
            let mut bytes = from.to_vec();
            // Reading what nobody wrote changes results.
            bytes.resize(len, 0xa5);
            Buffer { bytes, shift: 0 }
        };
        let levels: Vec<u8> = levels.iter().flat_map(|level| level.to_ne_bytes()).collect();
        let mut buffers = vec![filled(&[], sequence.tensor_bytes())];
        for range in sequence.ranges() {
            let known =
                if *range == sequence.levels() { Some(&levels[..]) } else { sequence.fixed().get(range.clone()) };
            buffers.push(filled(known.unwrap_or_default(), range.len()));
        }
        // The first buffer is the tensor.
        let buffer = |offset: usize| {
            1 + sequence.ranges().iter().position(|range| range.contains(&offset)).expect("an address in a range")
        };
        let argument = |argument: &Argument| match argument {
            Argument::Value(bytes) => Given::Value(bytes.clone()),
            Argument::Memory(offset) => {
                let at = buffer(*offset);
                Given::Address(at, offset - sequence.ranges()[at - 1].start)
            }
            Argument::Tensor => Given::Address(0, 0),
        };
        let run = |launch: &Launch| Run {
            kernel: launch.kernel,
            arguments: launch.arguments.iter().map(argument).collect(),
            shared_bytes: launch.shared_bytes as usize,
            blocks: (0..launch.blocks[1]).flat_map(|y| (0..launch.blocks[0]).map(move |x| [x, y])).collect(),
            seed: 0,
            weakened: 0,
        };
        let step = |step: &LaunchStep| match step {
            LaunchStep::Clear(range) => Step::Clear(buffer(range.start)),
            LaunchStep::Launch(launch) => Step::Run(run(launch)),
        };
        Self { buffers, steps: sequence.steps().iter().map(step).collect() }
    }

    /// Sets the order of blocks, and the seed for the order of threads, for all launches.
    pub(super) fn ordered(mut self, blocks: Blocks, seed: u64) -> Self {
        for run in self.runs() {
            run.seed = seed;
            match blocks {
                Blocks::Forward => {}
                Blocks::Backward => run.blocks.reverse(),
                Blocks::Random => {
                    let mut state = seed;
                    for left in (1..run.blocks.len()).rev() {
                        run.blocks.swap(left, random(&mut state) as usize % (left + 1));
                    }
                }
            }
        }
        self
    }

    /// All launches.
    pub(super) fn runs(&mut self) -> impl Iterator<Item = &mut Run> {
        self.steps.iter_mut().filter_map(|step| match step {
            Step::Run(run) => Some(run),
            Step::Clear(_) => None,
        })
    }

    /// The launch of `kernel`. Removes the steps after it.
    pub(super) fn last_run(&mut self, kernel: Kernel) -> &mut Run {
        let is_of_kernel = |step: &Step| matches!(step, Step::Run(run) if run.kernel == kernel);
        let at = self.steps.iter().position(is_of_kernel).expect("a launch of the kernel");
        self.steps.truncate(at + 1);
        self.runs().last().expect("the launch")
    }

    /// The bytes for the program's stdin.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut to = Numbers::default();
        to.number(self.buffers.len());
        for Buffer { bytes, shift } in &self.buffers {
            to.number(bytes.len()).number(*shift).raw(bytes);
        }
        to.number(self.steps.len());
        for step in &self.steps {
            match step {
                Step::Clear(buffer) => to.number(0).number(*buffer),
                Step::Run(run) => to.number(1).run(run),
            };
        }
        to.0
    }
}

/// The input under construction. `threads.cpp` documents the format.
#[derive(Debug, Default)]
struct Numbers(Vec<u8>);

impl Numbers {
    fn number(&mut self, number: usize) -> &mut Self {
        self.raw(&(number as u64).to_ne_bytes())
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len()).raw(bytes)
    }

    fn run(&mut self, run: &Run) -> &mut Self {
        self.text(run.kernel.name().as_bytes()).number(run.kernel.threads() as usize);
        self.number(run.seed as usize).number(run.weakened).number(run.shared_bytes);
        self.number(run.blocks.len());
        for [x, y] in &run.blocks {
            self.number(*x as usize).number(*y as usize);
        }
        self.number(run.arguments.len());
        for argument in &run.arguments {
            match argument {
                Given::Value(bytes) => self.number(0).text(bytes),
                Given::Address(buffer, offset) => self.number(1).number(*buffer).number(*offset),
            };
        }
        self
    }
}
