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

// Computes, for each thread, the sum of the values of all threads up to and including it. All arrays are shared memory and are
// overwritten; `warp_sums` has a word per warp, the others a word per thread. The values may come from an EACH_LANE: no thread reads
// another warp's value before a barrier of the block. Returns the array that holds the sums.
DEVICE u32* running_sums(u32* values, u32* other, u32* warp_sums)
{
    // The sums within each warp.
    for (u32 distance = 1; distance < 32; distance *= 2) {
        EACH_LANE
        {
            other[thread] = values[thread] + (thread % 32 >= distance ? values[thread - distance] : 0);
        }
        u32* sums = other;
        other = values;
        values = sums;
    }
    EACH_THREAD
    {
        if (thread % 32 == 31)
            warp_sums[thread / 32] = values[thread];
    }
    EACH_THREAD
    {
        u32 sum = values[thread];
        for (u32 warp = 0; warp < thread / 32; warp++)
            sum += warp_sums[warp];
        other[thread] = sum;
    }
    return other;
}

// Shared memory of `local_bounds`.
struct BoundsShared {
    u32 values[1024];
    u32 other[1024];
    u32 warp_sums[32];
    // Four ranks: those below and above the first percentile, below and above the second.
    u32 ranks[4];
    // For each rank: the group of levels that it lies in, the rank within the group, and the level at the rank.
    u32 groups[4];
    u32 group_ranks[4];
    u32 found[4];
};

// Writes the spread between the image's own bounds. Blocks: one. Shared memory: a `BoundsShared`.
KERNEL(1024) local_bounds(BoundsParameters p, const u32* __restrict__ counts, Spread* __restrict__ spread)
{
    BoundsShared& shared = *(BoundsShared*)SHARED_MEMORY;
    // Each warp adds up a group of levels. Neighbouring threads read neighbouring counts.
    const u32 group_levels = LEVELS16 / 32;
    EACH_LANE
    {
        if (thread < 4) {
            const Place place = place_of(thread < 2 ? p.shares[0] : p.shares[1], p.pixels);
            shared.ranks[thread] = thread % 2 ? place.above : place.below;
        }
        u32 sum = 0;
        // Eight reads at once keep the memory busy.
        UNROLL(8)
        for (u32 at = thread % 32; at < group_levels; at += 32)
            sum += counts[thread / 32 * group_levels + at];
        shared.values[thread] = sum;
    }
    const u32* sums = running_sums(shared.values, shared.other, shared.warp_sums);
    EACH_THREAD
    {
        if (thread % 32 == 31) {
            const u32 group = thread / 32;
            const u32 before = group ? sums[thread - 32] : 0;
            for (u32 which = 0; which < 4; which++) {
                const u32 rank = shared.ranks[which];
                if (rank >= before && rank < sums[thread]) {
                    shared.groups[which] = group;
                    shared.group_ranks[which] = rank - before;
                }
            }
        }
    }
    // A quarter of the block searches the group of one rank. Each thread adds up the counts of eight levels.
    const u32 quarter = 1024 / 4;
    const u32 each = group_levels / quarter;
    EACH_LANE
    {
        const u32 first = shared.groups[thread / quarter] * group_levels + thread % quarter * each;
        u32 sum = 0;
        for (u32 at = 0; at < each; at++)
            sum += counts[first + at];
        shared.values[thread] = sum;
    }
    sums = running_sums(shared.values, shared.other, shared.warp_sums);
    EACH_THREAD
    {
        const u32 which = thread / quarter;
        // The sums include the quarters before this one.
        const u32 others = which ? sums[which * quarter - 1] : 0;
        const u32 before = thread ? sums[thread - 1] - others : 0;
        const u32 rank = shared.group_ranks[which];
        if (rank >= before && rank < sums[thread] - others) {
            u32 level = shared.groups[which] * group_levels + thread % quarter * each;
            for (u32 seen = before + counts[level]; seen <= rank; seen += counts[level])
                level++;
            shared.found[which] = level;
        }
    }
    EACH_THREAD
    {
        if (thread == 0) {
            const u32 lo = percentile(place_of(p.shares[0], p.pixels), shared.found[0], shared.found[1]);
            const u32 hi = percentile(place_of(p.shares[1], p.pixels), shared.found[2], shared.found[3]);
            const u32 range = hi > lo ? hi - lo : 1;
            const u64 step = ((256ull << 32) + range - 1) / range;
            *spread = {lo, range, (u32)(step >> 16), (u32)(step & 0xffff)};
        }
    }
}
