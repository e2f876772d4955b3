// Defines the macros that the kernels use, for a GPU. tests/kernels/cpu.h defines the same macros for a processor, to run the
// same kernels there.

// KERNEL(threads) name(parameters): a kernel that is launched with `threads` threads per block.
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
// DEVICE type name(parameters): a function that kernels call.
#define DEVICE __device__ __forceinline__

// The position of the running block in the grid, and the number of its threads.
#define BLOCK_X (blockIdx.x)
#define BLOCK_Y (blockIdx.y)
#define THREADS (blockDim.x)

// EACH_THREAD statement: each thread of the block runs the statement with its number in `thread`. Then all threads wait for the
// last one, so that the next statement sees what this one wrote. The statement must not be left by break, return or goto. All
// code outside of the statement must do the same in all threads of a block. Variables of a single thread must be local to the
// statement.
#define EACH_THREAD                                                                                                   \
    for (unsigned thread = threadIdx.x, unfinished = 1; unfinished; unfinished = 0, __syncthreads())

// EACH_LANE statement: like EACH_THREAD, but a thread waits only for the threads of its warp: the 32 threads whose numbers have the
// same quotient by 32. The next statement sees only what threads of the same warp wrote. All threads of the block must run it.
#define EACH_LANE                                                                                                     \
    for (unsigned thread = threadIdx.x, unfinished = 1; unfinished; unfinished = 0, __syncwarp())

// Placed before a loop: the compiler unrolls it by the factor `times`.
#define UNROLL(times) PRAGMA(unroll times)
#define PRAGMA(text) _Pragma(#text)

// The memory that the threads of a block share. The launch sets its size.
extern __shared__ __align__(16) unsigned char shared_memory[];
#define SHARED_MEMORY (shared_memory)

// Adds to a value that other threads and blocks may add to at the same time.
#define ATOMIC_ADD(address, value) atomicAdd(address, value)
