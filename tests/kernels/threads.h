// Defines the macros of edge/kernels/gpu.h with a thread of the operating system for each thread of a block, and with real barriers.
// A sanitizer of the compiler then judges the kernels: ThreadSanitizer reports two accesses to the same memory, of which one is a
// write, if no barrier orders them. It needs no luck with the times: it looks at the barriers.

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

// How the threads of each block of a launch run.
struct Threads {
    unsigned number;
    // 0: all at once. Otherwise one after the other, after each barrier in another random order, which the seed determines.
    std::uint64_t seed;
    // The number of the barrier that no thread waits at, the first is 1. 0: none. Shows that its absence is found.
    unsigned left_out;
};

// An allocation of exactly `bytes` bytes that starts `shift` bytes after a multiple of `alignment`.
class Memory {
public:
    Memory(std::size_t bytes, std::size_t alignment, std::size_t shift = 0)
    {
        void* memory;
        if (posix_memalign(&memory, alignment, bytes + shift))
            std::abort();
        allocation.reset(memory);
        start = static_cast<unsigned char*>(memory) + shift;
        // Poison: reading what nobody wrote changes results.
        std::memset(start, 0xa5, bytes);
    }
    unsigned char* at() const { return start; }

private:
    struct Free {
        void operator()(void* memory) const { std::free(memory); }
    };
    std::unique_ptr<void, Free> allocation;
    unsigned char* start;
};

// A running block. The code between two barriers is a section; the first section has the number 0.
class Block {
public:
    Block(unsigned x, unsigned y, const Threads& threads, std::size_t shared_bytes)
        : x(x), y(y), threads(threads), shared(shared_bytes, 16), may_start(threads.number)
    {
        std::mt19937_64 random(threads.seed + (std::uint64_t(y) << 32) + x);
        for (Order& order : orders) {
            std::vector<unsigned> all(threads.number);
            std::iota(all.begin(), all.end(), 0);
            std::shuffle(all.begin(), all.end(), random);
            order.first = all[0];
            order.after.resize(threads.number);
            for (unsigned at = 1; at < threads.number; at++)
                order.after[all[at - 1]] = all[at];
        }
    }

    // Runs the kernel in all threads of the block.
    template <typename Kernel> void run(Kernel kernel)
    {
        std::vector<std::thread> all;
        for (unsigned thread = 0; thread < threads.number; thread++)
            all.emplace_back([this, thread, kernel] {
                running = {this, thread, 0, 0};
                wait(thread, 0);
                kernel();
                end_section();
            });
        start(0);
        for (std::thread& thread : all)
            thread.join();
    }

    // Waits for all threads of the block.
    static void barrier()
    {
        Block& block = *running.block;
        if (++running.barriers == block.threads.left_out)
            return;
        const unsigned section = running.section;
        block.end_section();
        block.wait(running.thread, ++running.section);
        block.arrived[section % 2].load(std::memory_order_acquire);
    }

    // What a thread knows about itself.
    struct Running {
        Block* block;
        unsigned thread;
        unsigned section;
        unsigned barriers;
    };
    static thread_local Running running;

    const unsigned x;
    const unsigned y;
    const Threads threads;
    const Memory shared;

private:
    // An order of the threads: the first one, and for each thread but the last one the one that comes after it.
    struct Order {
        unsigned first;
        std::vector<unsigned> after;
    };

    void end_section()
    {
        const unsigned section = running.section;
        // Release here and acquire in `barrier` are all that orders the threads' accesses.
        const unsigned before = arrived[section % 2].fetch_add(1, std::memory_order_release);
        if (before + 1 == (section / 2 + 1) * threads.number)
            start(section + 1);
        else if (threads.seed)
            let(orders[section % ORDERS].after[running.thread], section);
    }

    void start(unsigned section)
    {
        if (threads.seed)
            let(orders[section % ORDERS].first, section);
        else
            for (unsigned thread = 0; thread < threads.number; thread++)
                let(thread, section);
    }

    // Lets a thread start a section, and waits until a thread may. ThreadSanitizer must not take the turns for barriers. Therefore the
    // accesses are relaxed, and the waiting is left to the kernel: what the C++ library waits with orders accesses.
    void let(unsigned thread, unsigned section)
    {
        may_start[thread].store(section + 1, std::memory_order_relaxed);
        syscall(SYS_futex, &may_start[thread], FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
    }
    void wait(unsigned thread, unsigned section)
    {
        std::atomic<unsigned>& may = may_start[thread];
        for (unsigned sections; (sections = may.load(std::memory_order_relaxed)) <= section;)
            syscall(SYS_futex, &may, FUTEX_WAIT_PRIVATE, sections, nullptr, nullptr, 0);
    }

    static constexpr unsigned ORDERS = 8;
    Order orders[ORDERS];
    // How many sections each thread may start.
    std::vector<std::atomic<unsigned>> may_start;
    // How many threads have arrived at the barriers with even and with odd numbers. With a single counter, the threads that are ahead
    // by a section would be ordered before the others.
    std::atomic<unsigned> arrived[2] = {};
};
inline thread_local Block::Running Block::running;

#define KERNEL(threads) static void
#define DEVICE inline

#define BLOCK_X (Block::running.block->x)
#define BLOCK_Y (Block::running.block->y)
#define THREADS (Block::running.block->threads.number)
#define EACH_THREAD                                                                                                   \
    for (unsigned thread = Block::running.thread, unfinished = 1; unfinished; unfinished = 0, Block::barrier())
#define UNROLL
#define SHARED_MEMORY (Block::running.block->shared.at())
#define ATOMIC_ADD(address, value) __atomic_fetch_add(address, value, __ATOMIC_RELAXED)
