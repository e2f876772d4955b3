// Histograms of an image's tiles after the global conversion, and contrast-limited adaptive histogram equalisation:
// models/src/conversion/clahe.rs.

struct TileParameters {
    u32 width;
    // Tiles side by side.
    u32 tile_columns;
    // Rows of a tile that a block counts.
    u32 rows_per_block;
    u32 clip_limit_percent;
};

// Adds to `counts` how often each 8-bit level occurs in each tile. Blocks: one for each tile by those that its rows need.
// Shared: 256 words.
KERNEL(256) tile_histograms(TileParameters p, const u16* __restrict__ levels, const Spread* __restrict__ spread,
                       const u32* __restrict__ row_edges, const u32* __restrict__ column_edges,
                       u32* __restrict__ counts)
{
    u32* mine = (u32*)SHARED_MEMORY;
    const u32 tile_row = BLOCK_X / p.tile_columns;
    const u32 tile_column = BLOCK_X % p.tile_columns;
    const u32 top = row_edges[tile_row] + BLOCK_Y * p.rows_per_block;
    const u32 bottom = smaller(top + p.rows_per_block, row_edges[tile_row + 1]);
    const u32 left = column_edges[tile_column];
    const u32 right = column_edges[tile_column + 1];
    const Spread global = *spread;

    EACH_THREAD
    {
        for (u32 level = thread; level < LEVELS8; level += THREADS)
            mine[level] = 0;
    }
    EACH_THREAD
    {
        // A warp takes 32 neighbours in a row.
        for (u32 y = top + thread / 32; y < bottom; y += THREADS / 32)
            for (u32 x = left + thread % 32; x < right; x += 32)
                ATOMIC_ADD(&mine[spread_level(global, levels[y * p.width + x])], 1u);
    }
    EACH_THREAD
    {
        for (u32 level = thread; level < LEVELS8; level += THREADS)
            if (mine[level])
                ATOMIC_ADD(&counts[BLOCK_X * LEVELS8 + level], mine[level]);
    }
}

// Writes each tile's clipped and equalised mapping. Blocks: one a tile. Shared: 512 words.
KERNEL(256) clahe_mappings(TileParameters p, const u32* __restrict__ row_edges, const u32* __restrict__ column_edges,
                      const u32* __restrict__ counts, u8* __restrict__ mappings)
{
    u32* clipped = (u32*)SHARED_MEMORY;
    const u32 tile_row = BLOCK_X / p.tile_columns;
    const u32 tile_column = BLOCK_X % p.tile_columns;
    const u64 pixels = (u64)(row_edges[tile_row + 1] - row_edges[tile_row]) *
                       (column_edges[tile_column + 1] - column_edges[tile_column]);
    const u64 share = pixels * p.clip_limit_percent / 25600;
    const u64 limit = share > 1 ? share : 1;

    EACH_THREAD
    {
        for (u32 level = thread; level < LEVELS8; level += THREADS) {
            const u32 count = counts[BLOCK_X * LEVELS8 + level];
            clipped[level] = count < limit ? count : (u32)limit;
        }
    }
    const u32* sums = running_sums(clipped, clipped + LEVELS8, LEVELS8);
    EACH_THREAD
    {
        const u64 excess = pixels - sums[LEVELS8 - 1];
        for (u32 level = thread; level < LEVELS8; level += THREADS) {
            const u64 seen = sums[level] + excess * (level + 1) / LEVELS8;
            mappings[BLOCK_X * LEVELS8 + level] = (u8)((255 * seen + pixels / 2) / pixels);
        }
    }
}
