// Defines the macros of edge/kernels/gpu.h with a thread of the operating system for each thread of a block, and with real barriers.
// A sanitizer of the compiler then judges the kernels: ThreadSanitizer reports two accesses to the same memory, of which one is a
// write, if no barrier of their block or warp orders them. It needs no luck with the times: it looks at the barriers.

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

struct Block {
    unsigned x;
    unsigned y;
    Memory shared;
};

// The threads of a block. They run one block after the other. The code between two barriers is a section; the first has the number 0.
class Team {
public:
    // `seed` 0: the threads run at once. Otherwise they run one after the other, after each barrier in another random order, which the
    // seed determines. `weakened`: the number of the barrier of each block that orders less than it should, to show that this is found:
    // a block's barrier orders only the threads of each warp, and a warp's barrier orders nothing. The first is 1. 0: none.
    Team(unsigned threads, std::uint64_t seed, unsigned weakened)
        : threads(threads), in_turns(seed != 0), weakened(weakened), may_start(threads), warps(threads / 32)
    {
        std::mt19937_64 random(seed);
        for (Order& order : orders) {
            std::vector<unsigned> all(threads);
            std::iota(all.begin(), all.end(), 0);
            std::shuffle(all.begin(), all.end(), random);
            order.first = all[0];
            order.after.resize(threads);
            for (unsigned at = 1; at < threads; at++)
                order.after[all[at - 1]] = all[at];
        }
    }

    // Runs the kernel for each of the blocks, in all threads. Each block has shared memory of its own, so no thread waits for the others
    // between two blocks.
    template <typename Kernel> void run(const std::vector<Block>& blocks, Kernel kernel)
    {
        std::vector<std::thread> all;
        for (unsigned thread = 0; thread < threads; thread++)
            all.emplace_back([this, thread, &blocks, kernel] {
                unsigned section = 0;
                wait(thread, section);
                for (const Block& block : blocks) {
                    running = {this, &block, thread, section, 0};
                    kernel();
                    section = running.section;
                }
                end_section();
            });
        start(0);
        for (std::thread& thread : all)
            thread.join();
    }

    // Whose accesses a barrier orders.
    enum Scope { NOBODY, WARP, BLOCK };

    // Waits for all threads of the block, but orders only the accesses of `scope`.
    static void barrier(Scope scope)
    {
        Team& team = *running.team;
        if (++running.barriers == team.weakened)
            scope = scope == BLOCK ? WARP : NOBODY;
        // Release here and acquire below are all that orders the threads' accesses.
        Meeting& meeting = scope == BLOCK ? team.block : team.warps[running.thread / 32];
        std::atomic<unsigned>& met = meeting.arrived[running.section % 2];
        if (scope != NOBODY)
            met.fetch_add(1, std::memory_order_release);
        team.end_section();
        team.wait(running.thread, ++running.section);
        if (scope != NOBODY)
            met.load(std::memory_order_acquire);
    }

    // What a thread knows about itself.
    struct Running {
        Team* team;
        const Block* block;
        unsigned thread;
        unsigned section;
        unsigned barriers;
    };
    static thread_local Running running;

    const unsigned threads;

private:
    // An order of the threads: the first one, and for each thread but the last one the one that comes after it.
    struct Order {
        unsigned first;
        std::vector<unsigned> after;
    };

    void end_section()
    {
        const unsigned section = running.section;
        const unsigned before = arrived[section % 2].fetch_add(1, std::memory_order_relaxed);
        if (before + 1 == (section / 2 + 1) * threads)
            start(section + 1);
        else if (in_turns)
            let(orders[section % ORDERS].after[running.thread], section);
    }

    void start(unsigned section)
    {
        if (in_turns)
            let(orders[section % ORDERS].first, section);
        else
            for (unsigned thread = 0; thread < threads; thread++)
                let(thread, section);
    }

    // Lets a thread start a section, and waits until a thread may. ThreadSanitizer must not take the turns for barriers. Therefore the
    // accesses are relaxed, and the waiting is left to the operating system: what the C++ library waits with orders accesses.
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

    const bool in_turns;
    const unsigned weakened;
    static constexpr unsigned ORDERS = 8;
    Order orders[ORDERS];
    // How many sections each thread may start.
    std::vector<std::atomic<unsigned>> may_start;
    // How many threads have arrived at the barriers with even and with odd numbers.
    std::atomic<unsigned> arrived[2] = {};
    // What the threads of a block or a warp order their accesses with, at the barriers with even and with odd numbers. With a single
    // counter, the threads that are ahead by a section would be ordered before the others.
    struct Meeting {
        std::atomic<unsigned> arrived[2] = {};
    };
    Meeting block;
    std::vector<Meeting> warps;
};
inline thread_local Team::Running Team::running;

#define KERNEL(threads) static void
#define DEVICE inline

#define BLOCK_X (Team::running.block->x)
#define BLOCK_Y (Team::running.block->y)
#define THREADS (Team::running.team->threads)
#define EACH_THREAD                                                                                                   \
    for (unsigned thread = Team::running.thread, unfinished = 1; unfinished; unfinished = 0, Team::barrier(Team::BLOCK))
#define EACH_LANE                                                                                                     \
    for (unsigned thread = Team::running.thread, unfinished = 1; unfinished; unfinished = 0, Team::barrier(Team::WARP))
#define UNROLL(times)
#define SHARED_MEMORY (Team::running.block->shared.at())
#define ATOMIC_ADD(address, value) __atomic_fetch_add(address, value, __ATOMIC_RELAXED)
