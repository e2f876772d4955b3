// What the kernels need of a GPU. tests/kernels/cpu.h gives the same words another meaning, to run the same kernels on a
// processor.

// KERNEL(threads) name(arguments): a kernel, started with that many threads a block.
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
#define DEVICE __device__ __forceinline__

// The place of the running block in the grid, and the number of its threads.
#define BLOCK_X (blockIdx.x)
#define BLOCK_Y (blockIdx.y)
#define THREADS (blockDim.x)

// EACH_THREAD statement: each thread of the block runs the statement with its number in `thread`; then all wait until the
// last one is done, so that the next statement sees what this one wrote. The statement must not leave by break, return
// or goto. Everything outside of it is the same for all threads of a block; what threads know on their own ends with it.
#define EACH_THREAD                                                                                                   \
    for (unsigned thread = threadIdx.x, unfinished = 1; unfinished; unfinished = 0, __syncthreads())

// Before a loop whose turns are known.
#define UNROLL _Pragma("unroll")

// The memory that the threads of a block share; its size comes with the launch.
extern __shared__ __align__(16) unsigned char shared_memory[];
#define SHARED_MEMORY (shared_memory)

// Adds to what other threads and blocks may add to at the same time.
#define ATOMIC_ADD(address, value) atomicAdd(address, value)
