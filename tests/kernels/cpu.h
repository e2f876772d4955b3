// Defines the macros of edge/kernels/gpu.h for the processor instead of the GPU. Blocks, and the threads of each block, run one
// after the other, either from the first to the last or from the last to the first.
//
// If a thread writes shared memory within an EACH_THREAD and another thread reads this memory within the same EACH_THREAD, the
// two orders give different results. Sequential execution can show no other races; threads.h shows them.

#define KERNEL(threads) static void
#define DEVICE inline

// The block that is running, and what its launch gave it.
struct Running {
    unsigned block_x;
    unsigned block_y;
    unsigned threads;
    bool backward;
    unsigned char* shared;
};
static thread_local Running running;

static inline unsigned in_order(unsigned step, unsigned of) { return running.backward ? of - 1 - step : step; }

#define BLOCK_X (running.block_x)
#define BLOCK_Y (running.block_y)
#define THREADS (running.threads)
#define EACH_THREAD                                                                                                   \
    for (unsigned step = 0, thread = in_order(0, THREADS); step < THREADS; thread = in_order(++step, THREADS))
// Where threads run one after the other, waiting for a warp and waiting for the block are the same.
#define EACH_LANE EACH_THREAD
#define UNROLL(times)
#define SHARED_MEMORY (running.shared)
#define ATOMIC_ADD(address, value) (*(address) += (value))
