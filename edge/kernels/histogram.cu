// Counts how often each of the 65,536 levels occurs in an image: its histogram.

struct HistogramParameters {
    u32 pixels;
    // Below 65,536, so that a block's count of one level fits into 16 bits. A multiple of 8, because `Eight` must be aligned.
    u32 pixels_per_block;
};

// Eight levels, two per word, read at once.
struct alignas(16) Eight {
    u32 pairs[4];
};

// Number of neighbouring levels that a block counts in shared memory, with two 16-bit counters per word. Nearly all levels of a
// radiograph lie close together. A level outside of the window is counted in global memory.
constexpr u32 WINDOW = 16384;

DEVICE void count_level(u32* window, u32 first, u32* counts, u32 level)
{
    // For a level below `first` the subtraction wraps around to a number far above WINDOW.
    const u32 at = level - first;
    if (at < WINDOW)
        ATOMIC_ADD(&window[at / 2], at % 2 ? 0x10000u : 1u);
    else
        ATOMIC_ADD(&counts[level], 1u);
}

// Adds the number of pixels of each level to `counts`. Blocks: pixels / pixels_per_block, rounded up. Shared memory: WINDOW
// counters of 16 bits.
KERNEL(512) histogram(HistogramParameters p, const u16* __restrict__ levels, u32* __restrict__ counts)
{
    u32* window = (u32*)SHARED_MEMORY;
    const u32 begin = BLOCK_X * p.pixels_per_block;
    const u32 pixels = smaller(p.pixels_per_block, p.pixels - begin);
    const u16* own = levels + begin;
    // The window is centred on one of the block's own levels.
    const u32 middle = own[pixels / 2];
    const u32 first = middle > WINDOW / 2 ? smaller(middle - WINDOW / 2, LEVELS16 - WINDOW) : 0;

    EACH_THREAD
    {
        for (u32 at = thread; at < WINDOW / 2; at += THREADS)
            window[at] = 0;
    }
    EACH_THREAD
    {
        for (u32 at = thread; at < pixels / 8; at += THREADS) {
            const Eight eight = ((const Eight*)own)[at];
            for (u32 pair : eight.pairs) {
                count_level(window, first, counts, pair & 0xffff);
                count_level(window, first, counts, pair >> 16);
            }
        }
        for (u32 at = pixels / 8 * 8 + thread; at < pixels; at += THREADS)
            count_level(window, first, counts, own[at]);
    }
    EACH_THREAD
    {
        for (u32 at = thread; at < WINDOW / 2; at += THREADS) {
            const u32 even = window[at] & 0xffff;
            const u32 odd = window[at] >> 16;
            if (even)
                ATOMIC_ADD(&counts[first + 2 * at], even);
            if (odd)
                ATOMIC_ADD(&counts[first + 2 * at + 1], odd);
        }
    }
}
