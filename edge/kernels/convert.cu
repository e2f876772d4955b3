// Converts 16-bit levels to the network's input: maps to 8 bits (or keeps 16), resizes in two passes, normalises, writes channel
// by channel. models/src/conversion/resize defines the resize.

// The mapping of a level before the resize.
enum Mapping : u32 {
    // Spread between bounds, to 8 bits.
    SPREAD = 0,
    // Clamped to the bounds, minus the lower bound, in 16 bits.
    CUT = 1,
};

struct ConvertParameters {
    u32 input_width;
    u32 output_width;
    u32 output_height;
    u32 mapping;
    // Number of spreads: 1, or 3 if each plane has its own.
    u32 channels;
    // Input pixels per output pixel along the width and along the height.
    u32 x_taps;
    u32 y_taps;
    // 1 if the pass along the columns is the first, otherwise 0.
    u32 columns_first;
    // Size of a block's tile of output pixels.
    u32 tile_width;
    u32 tile_height;
    // Size of the largest input region that a tile depends on.
    u32 region_width;
    u32 region_height;
};

// The input, the spreads, and for each of the two passes the first input pixel of every output pixel, and the weights. The weights
// are in this order: the first weight of every output pixel, then the second, and so on.
struct Source {
    const u16* levels;
    const Spread* spreads;
    const u32* x_firsts;
    const u32* x_weights;
    const u32* y_firsts;
    const u32* y_weights;
};

// The level of an input pixel before the resize.
DEVICE u32 mapped(const ConvertParameters& p, const Source& s, const Spread& spread, u32 x, u32 y)
{
    const u32 level = s.levels[y * p.input_width + x];
    return p.mapping == SPREAD ? spread_level(spread, level) : above_bound(spread, level);
}

// A weighted sum of levels. Weights have 22 fractional bits. The sum starts with one half, so that it rounds to the nearest
// level.
template <typename Level> struct Sum;
template <> struct Sum<u8> {
    u32 value = 1u << 21;
    DEVICE void add(u32 level, u32 weight) { value += level * weight; }
    DEVICE u32 level() const { return smaller(value >> 22, 255); }
};
template <> struct Sum<u16> {
    u64 value = 1u << 21;
    DEVICE void add(u32 level, u32 weight) { value += (u64)level * weight; }
    DEVICE u32 level() const { return value >> 22 < 65535 ? (u32)(value >> 22) : 65535; }
};

// The weighted sum of `taps` levels. The first level and the first weight have the indices `at` and `weight_at`. The distances are those
// to the next level and to the next weight.
template <typename Level>
DEVICE u32 weighted(const Level* levels, u32 at, u32 distance, const u32* weights, u32 weight_at, u32 weight_distance, u32 taps)
{
    Sum<Level> sum;
    for (u32 tap = 0; tap < taps; tap++, at += distance, weight_at += weight_distance)
        sum.add(levels[at], weights[weight_at]);
    return sum.level();
}

// The values of a resized level in the tensor's planes.
template <typename Level> struct Normalisation;
template <> struct Normalisation<u8> {
    // 256 values per plane, computed by the host.
    const float* values;
    DEVICE float value(u32 plane, u32 level) const { return values[plane * 256 + level]; }
};
template <> struct Normalisation<u16> {
    // The level that becomes 1.0 before mean and std are applied.
    float full;
    float mean[3];
    float std[3];
    DEVICE float value(u32 plane, u32 level) const { return ((float)level / full - mean[plane]) / std[plane]; }
};

// Normalises a resized level and writes it to the plane of its channel, or to all three planes if there is one channel.
template <typename Level>
DEVICE void write(const ConvertParameters& p, const Normalisation<Level>& normalisation, float* tensor, u32 channel, u32 x,
                  u32 y, u32 level)
{
    float* at = tensor + y * p.output_width + x;
    UNROLL(3)
    for (u32 plane = 0; plane < 3; plane++)
        if (p.channels == 1 || plane == channel)
            at[plane * p.output_width * p.output_height] = normalisation.value(plane, level);
}

// One block computes a tile of the output. The mapped input region and the result of the first pass stay in shared memory.
template <typename Level>
DEVICE void convert_tile(const ConvertParameters& p, const Source& s, const Normalisation<Level>& normalisation, float* tensor)
{
    Level* region = (Level*)SHARED_MEMORY;
    Level* halfway = region + p.region_width * p.region_height;
    const u32 left = BLOCK_X * p.tile_width;
    const u32 top = BLOCK_Y * p.tile_height;
    const u32 width = smaller(p.tile_width, p.output_width - left);
    const u32 height = smaller(p.tile_height, p.output_height - top);
    const u32 region_left = s.x_firsts[left];
    const u32 region_top = s.y_firsts[top];
    const u32 region_width = s.x_firsts[left + width - 1] + p.x_taps - region_left;
    const u32 region_height = s.y_firsts[top + height - 1] + p.y_taps - region_top;

    for (u32 channel = 0; channel < p.channels; channel++) {
        const Spread spread = s.spreads[channel];
        // In all three steps a warp processes 32 neighbours of a row, then those of the next row of the warp. What depends on the column
        // alone is computed once for all rows.
        EACH_THREAD
        {
            for (u32 x = thread % 32; x < region_width; x += 32)
                for (u32 y = thread / 32; y < region_height; y += THREADS / 32)
                    region[y * region_width + x] = (Level)mapped(p, s, spread, region_left + x, region_top + y);
        }
        EACH_THREAD
        {
            if (p.columns_first) {
                for (u32 x = thread % 32; x < region_width; x += 32)
                    for (u32 y = thread / 32; y < height; y += THREADS / 32)
                        halfway[y * region_width + x] =
                            (Level)weighted(region, (s.y_firsts[top + y] - region_top) * region_width + x, region_width,
                                            s.y_weights, top + y, p.output_height, p.y_taps);
            } else {
                for (u32 x = thread % 32; x < width; x += 32)
                    for (u32 y = thread / 32; y < region_height; y += THREADS / 32)
                        halfway[y * width + x] =
                            (Level)weighted(region, y * region_width + s.x_firsts[left + x] - region_left, 1, s.x_weights,
                                            left + x, p.output_width, p.x_taps);
            }
        }
        EACH_THREAD
        {
            for (u32 x = thread % 32; x < width; x += 32)
                for (u32 y = thread / 32; y < height; y += THREADS / 32) {
                    const u32 level =
                        p.columns_first
                            ? weighted(halfway, y * region_width + s.x_firsts[left + x] - region_left, 1, s.x_weights,
                                       left + x, p.output_width, p.x_taps)
                            : weighted(halfway, (s.y_firsts[top + y] - region_top) * width + x, width, s.y_weights,
                                       top + y, p.output_height, p.y_taps);
                    write(p, normalisation, tensor, channel, left + x, top + y, level);
                }
        }
    }
}

// One thread computes a pixel of the output, for sizes whose tiles don't fit into shared memory.
template <typename Level>
DEVICE void convert_pixel(const ConvertParameters& p, const Source& s, const Normalisation<Level>& normalisation, float* tensor)
{
    EACH_THREAD
    {
        const u32 at = BLOCK_X * THREADS + thread;
        if (at < p.output_width * p.output_height) {
            const u32 x = at % p.output_width;
            const u32 y = at / p.output_width;
            const u32 outer_taps = p.columns_first ? p.x_taps : p.y_taps;
            const u32 inner_taps = p.columns_first ? p.y_taps : p.x_taps;
            for (u32 channel = 0; channel < p.channels; channel++) {
                const Spread spread = s.spreads[channel];
                Sum<Level> outer;
                for (u32 outer_tap = 0; outer_tap < outer_taps; outer_tap++) {
                    Sum<Level> inner;
                    // Twice, so that a thread needs at most 40 registers.
                    UNROLL(2)
                    for (u32 inner_tap = 0; inner_tap < inner_taps; inner_tap++) {
                        const u32 x_tap = p.columns_first ? outer_tap : inner_tap;
                        const u32 y_tap = p.columns_first ? inner_tap : outer_tap;
                        const u32 weight = p.columns_first ? s.y_weights[y_tap * p.output_height + y]
                                                           : s.x_weights[x_tap * p.output_width + x];
                        inner.add(mapped(p, s, spread, s.x_firsts[x] + x_tap, s.y_firsts[y] + y_tap), weight);
                    }
                    outer.add(inner.level(), p.columns_first ? s.x_weights[outer_tap * p.output_width + x]
                                                             : s.y_weights[outer_tap * p.output_height + y]);
                }
                write(p, normalisation, tensor, channel, x, y, outer.level());
            }
        }
    }
}

// Defines a kernel. convert_kernels.cu uses this macro once for each kernel. `work` is one of two functions:
// convert_tile: blocks are the tiles along the width by the tiles along the height. Shared memory: the region, and the result of
// the first pass (the region's columns by the tile's height, or the tile's width by the region's rows).
// convert_pixel: enough blocks for a thread per output pixel. No shared memory.
#define CONVERT_KERNEL(name, work, Level)                                                                             \
    KERNEL(256) name(ConvertParameters p, const u16* __restrict__ levels, const Spread* __restrict__ spreads,         \
                const u32* __restrict__ x_firsts, const u32* __restrict__ x_weights,                                  \
                const u32* __restrict__ y_firsts, const u32* __restrict__ y_weights,                                  \
                Normalisation<Level> normalisation, float* __restrict__ tensor)                                       \
    {                                                                                                                 \
        const Source source = {levels, spreads, x_firsts, x_weights, y_firsts, y_weights};                            \
        work<Level>(p, source, normalisation, tensor);                                                                \
    }
