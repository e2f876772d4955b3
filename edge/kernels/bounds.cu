// Computes an image's own bounds from its histogram, like `Bounds::local` in models/src/conversion/bounds.rs.

struct BoundsParameters {
    // The two percentiles as shares, 0..=1.
    double shares[2];
    u32 pixels;
    u32 reserved;
};

// The position of a percentile among the levels of all pixels in ascending order. It lies between the ranks `below` and `above`:
// on `below` if `weight` is 0, and the nearer to `above` the nearer `weight` is to 1.
struct Place {
    u32 below;
    u32 above;
    double weight;
};

DEVICE Place place_of(double share, u32 pixels)
{
    const u32 last = pixels - 1;
    const double place = (double)last * share;
    if (place >= (double)last)
        return {last, last, 0.0};
    const double below = floor(place);
    return {(u32)below, (u32)below + 1, place - below};
}

// Interpolates between the levels at the two ranks as NumPy does, in the same order of operations. Rounds to a whole level, half
// to even.
DEVICE u32 percentile(const Place& place, u32 below, u32 above)
{
    const double low = below;
    const double high = above;
    const double step = high - low;
    return (u32)rint(place.weight >= 0.5 ? high - step * (1.0 - place.weight) : low + step * place.weight);
}

// Writes the spread between the image's own bounds. Blocks: one, with a number of threads that divides 65,536. Shared memory:
// two words of 32 bits per thread, and four more.
KERNEL(1024) local_bounds(BoundsParameters p, const u32* __restrict__ counts, Spread* __restrict__ spread)
{
    u32* sums = (u32*)SHARED_MEMORY;
    // The levels at four ranks: below and above the first percentile, below and above the second.
    u32* found = sums + 2 * THREADS;
    // Levels per thread.
    const u32 each = LEVELS16 / THREADS;

    EACH_THREAD
    {
        u32 sum = 0;
        for (u32 at = 0; at < each; at++)
            sum += counts[thread * each + at];
        sums[thread] = sum;
    }
    sums = running_sums(sums, sums + THREADS, THREADS);
    EACH_THREAD
    {
        const u32 before = thread ? sums[thread - 1] : 0;
        for (u32 which = 0; which < 4; which++) {
            const Place place = place_of(p.shares[which / 2], p.pixels);
            const u32 rank = which % 2 ? place.above : place.below;
            if (rank < before || rank >= sums[thread])
                continue;
            u32 level = thread * each;
            for (u32 seen = before + counts[level]; seen <= rank; seen += counts[level])
                level++;
            found[which] = level;
        }
    }
    EACH_THREAD
    {
        if (thread == 0) {
            const u32 lo = percentile(place_of(p.shares[0], p.pixels), found[0], found[1]);
            const u32 hi = percentile(place_of(p.shares[1], p.pixels), found[2], found[3]);
            const u32 range = hi > lo ? hi - lo : 1;
            const u64 step = ((256ull << 32) + range - 1) / range;
            *spread = {lo, range, (u32)(step >> 16), (u32)(step & 0xffff)};
        }
    }
}
