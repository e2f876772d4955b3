// Dynamic histogram equalisation: models/src/conversion/dhe.rs.

struct DheParameters {
    u32 emphasis;
};

// Sums of counts, of counts times level and of counts times level squared, over the levels below each one.
struct Moments {
    u64 pixels;
    u64 sum;
    u64 squares;
};

// Levels from `start` to before `end`.
struct Part {
    u32 start;
    u32 end;
};

// What the threads share.
struct DheMemory {
    Moments below[LEVELS8 + 1];
    u128 factors[LEVELS8];
    // The ranges given out before each part.
    u128 given[LEVELS8 + 1];
    u32 counts[LEVELS8];
    Part parts[LEVELS8];
    // Of each level whether a part starts with it, then the number of its part.
    u32 starts[LEVELS8];
    // Parts, and the occupied levels.
    u32 number;
    Part occupied;
};

DEVICE u64 smoothed(const u32* counts, u32 level)
{
    return (u64)counts[level ? level - 1 : 0] + counts[level] + counts[smaller(level + 1, 255)];
}

// The occupied levels, parted at the minima of the smoothed histogram; by one thread.
DEVICE void part_at_minima(DheMemory& m)
{
    u32 first = 0;
    while (!m.counts[first])
        first++;
    u32 end = LEVELS8;
    while (!m.counts[end - 1])
        end--;
    m.occupied = {first, end};
    m.number = 0;
    u32 start = first;
    bool falling = false;
    for (u32 level = first + 1; level < end; level++) {
        const u64 before = smoothed(m.counts, level - 1);
        const u64 now = smoothed(m.counts, level);
        if (falling && now > before) {
            m.parts[m.number++] = {start, level};
            start = level;
        }
        falling = now < before || (falling && now == before);
    }
    m.parts[m.number++] = {start, end};
}

// Narrows a part to the levels within one standard deviation of its mean, where they hold less than 68.3 % of its pixels.
DEVICE bool narrow_to_middle(const DheMemory& m, Part& part)
{
    const Moments& low = m.below[part.start];
    const Moments& high = m.below[part.end];
    const u64 pixels = high.pixels - low.pixels;
    const u64 sum = high.sum - low.sum;
    const u128 variance = (u128)pixels * (high.squares - low.squares) - (u128)sum * sum;
    u32 start = part.start;
    u32 end = part.end;
    for (; start < part.end; start++) {
        const u64 far = start * pixels < sum ? sum - start * pixels : start * pixels - sum;
        if ((u128)far * far <= variance)
            break;
    }
    if (start == part.end)
        return false;
    for (; end > start; end--) {
        const u64 far = (end - 1) * pixels < sum ? sum - (end - 1) * pixels : (end - 1) * pixels - sum;
        if ((u128)far * far <= variance)
            break;
    }
    const u64 held = m.below[end].pixels - m.below[start].pixels;
    if (1000 * held >= 683 * pixels)
        return false;
    part = {start, end};
    return true;
}

// The logarithm to base 2 with 16 bits behind the point, rounded down.
DEVICE u64 log2_fixed(u64 number)
{
    u32 whole = 0;
    while (number >> whole > 1)
        whole++;
    u128 mantissa = (u128)number << (63 - whole);
    u64 log = whole;
    for (u32 bit = 0; bit < 16; bit++) {
        mantissa = mantissa * mantissa >> 63;
        const u32 carry = (u32)(mantissa >> 64);
        mantissa >>= carry;
        log = log << 1 | carry;
    }
    return log;
}

// Writes the equalised level of each 8-bit level, from a histogram that is not empty. One block. Shared: a DheMemory.
KERNEL(256) dhe_table(DheParameters p, const u32* __restrict__ counts, u8* __restrict__ table)
{
    DheMemory& m = *(DheMemory*)SHARED_MEMORY;

    EACH_THREAD
    {
        for (u32 level = thread; level < LEVELS8; level += THREADS) {
            m.counts[level] = counts[level];
            m.starts[level] = 0;
        }
    }
    EACH_THREAD
    {
        if (thread == 0)
            part_at_minima(m);
        // Another warp, where there is one.
        if (thread == THREADS / 2) {
            Moments seen = {0, 0, 0};
            for (u64 level = 0; level < LEVELS8; level++) {
                m.below[level] = seen;
                seen.pixels += m.counts[level];
                seen.sum += m.counts[level] * level;
                seen.squares += m.counts[level] * level * level;
            }
            m.below[LEVELS8] = seen;
        }
    }
    // A part that its middle does not dominate is cut around it, and the middle once more.
    EACH_THREAD
    {
        for (u32 at = thread; at < m.number; at += THREADS) {
            const u32 end = m.parts[at].end;
            Part part = m.parts[at];
            m.starts[part.start] = 1;
            for (u32 cut = 0; cut < 2 && narrow_to_middle(m, part); cut++) {
                m.starts[part.start] = 1;
                if (part.end < end)
                    m.starts[part.end] = 1;
            }
        }
    }
    EACH_THREAD
    {
        if (thread == 0) {
            m.number = 0;
            for (u32 level = m.occupied.start; level < m.occupied.end; level++) {
                if (m.starts[level]) {
                    if (m.number)
                        m.parts[m.number - 1].end = level;
                    m.parts[m.number++].start = level;
                }
                m.starts[level] = m.number - 1;
            }
            m.parts[m.number - 1].end = m.occupied.end;
        }
    }
    EACH_THREAD
    {
        for (u32 at = thread; at < m.number; at += THREADS) {
            const Part part = m.parts[at];
            const u64 log = log2_fixed(m.below[part.end].pixels - m.below[part.start].pixels + 1);
            u128 factor = part.end - part.start;
            for (u32 power = 0; power < p.emphasis; power++)
                factor *= log;
            m.factors[at] = factor;
        }
    }
    EACH_THREAD
    {
        if (thread == 0) {
            u128 given = 0;
            for (u32 at = 0; at < m.number; at++) {
                m.given[at] = given;
                given += m.factors[at];
            }
            m.given[m.number] = given;
        }
    }
    EACH_THREAD
    {
        for (u32 level = thread; level < LEVELS8; level += THREADS) {
            u32 equalised = level < m.occupied.start ? 0 : 255;
            if (level >= m.occupied.start && level < m.occupied.end) {
                const u32 at = m.starts[level];
                const Part part = m.parts[at];
                const u128 total = m.given[m.number];
                const u32 start = (u32)(255 * m.given[at] / total);
                const u32 range = (u32)(255 * m.given[at + 1] / total) - start;
                const u64 pixels = m.below[part.end].pixels - m.below[part.start].pixels;
                const u64 seen = m.below[level + 1].pixels - m.below[part.start].pixels;
                equalised = start + (pixels ? (u32)(range * seen / pixels) : 0);
            }
            table[level] = (u8)equalised;
        }
    }
}
