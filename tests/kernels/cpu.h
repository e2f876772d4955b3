// Defines the macros of edge/kernels/gpu.h for the processor instead of the GPU. Blocks, and the threads of each block, run one
// after the other, either from the first to the last or from the last to the first.
//
// If a thread writes shared memory within an EACH_THREAD and another thread reads this memory within the same EACH_THREAD, the
// two orders give different results. Sequential execution can show no other races.

#include <cmath>
#include <cstddef>
#include <cstring>
#include <utility>

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
#define UNROLL
#define SHARED_MEMORY (running.shared)
#define ATOMIC_ADD(address, value) (*(address) += (value))

using std::floor;
using std::rint;

// Reads an argument at an address. It uses memcpy, because arguments are stored as bytes that may not be aligned.
template <typename Argument> static Argument argument_at(const void* address)
{
    Argument argument;
    std::memcpy(&argument, address, sizeof argument);
    return argument;
}

template <typename... Arguments, std::size_t... Index>
static void call(void (*kernel)(Arguments...), const void* const* arguments, std::index_sequence<Index...>)
{
    kernel(argument_at<Arguments>(arguments[Index])...);
}

// The arguments of a launch: their addresses, as for cuLaunchKernel, their sizes, and their number.
struct Given {
    const void* const* addresses;
    const std::size_t* sizes;
    std::size_t number;
};

// Runs a kernel's blocks. Returns false if the kernel has other arguments.
template <typename... Arguments>
static bool launch(void (*kernel)(Arguments...), const unsigned* blocks, unsigned threads, unsigned char* shared,
                   bool backward, const Given& given)
{
    const std::size_t sizes[] = {sizeof(Arguments)...};
    if (given.number != sizeof...(Arguments) || std::memcmp(given.sizes, sizes, sizeof sizes))
        return false;
    const unsigned total = blocks[0] * blocks[1];
    for (unsigned step = 0; step < total; step++) {
        const unsigned block = backward ? total - 1 - step : step;
        running = {block % blocks[0], block / blocks[0], threads, backward, shared};
        call(kernel, given.addresses, std::index_sequence_for<Arguments...>());
    }
    return true;
}
