// Joseph's method in two dimensions, float: forward, four views at a time (quads.h).
#include <vector>

#include "columns.h"
#include "maps.h"
#include "march2d.h"
#include "quads.h"

namespace taskct {
namespace {

constexpr int64_t kTogether = 8;         // quads, at most, that pass the same rows while these are in the second-level cache
constexpr int64_t kCached = 200 * 1024;  // bytes of such rows

// Adds the sums of one block over rows r0..r1, at most kRowTile, of ray l to sums[l]. Places first, for a few rows, then samples.
void sum_rows(const Block &b, const QuadRows &rows, int64_t r0, int64_t r1, const Steps &steps, int64_t tile, float *sums) {
    constexpr int few = 16;
    alignas(64) int32_t at[few * W];
    alignas(64) float weights[few * 2 * W];
    Pair sum[W] = {};
    const F drift = b.drift, offset = b.offset + b.drift * splat(float(r0));
    const I least = I{} + int32_t(QuadRows::pad - 2), most = I{} + int32_t(QuadRows::pad + rows.size);
    const I shift = I{} + int32_t(b.shift + QuadRows::pad);
    const float *p = rows.start(r0);
    for (int64_t k0 = r0; k0 < r1; k0 += few) {
        const int n = int(std::min<int64_t>(few, r1 - k0));
        for (int k = 0; k < n; k++) {
            const F x = offset + drift * splat(kRowNumbers.at[k0 - r0 + k]) + splat(steps.part[k0 - tile + k]), whole = floor(x);
            const I i = truncate(whole) + (shift + steps.whole[k0 - tile + k]);
            const F f = x - whole;
            store(at + k * W, min(max(i, least), most) * kLanes);
            store_weights(weights + k * 2 * W, 1.0f - f, f);
        }
        for (int k = 0; k < n; k++) {
            add<1>(sum, p, at + k * W, weights + k * 2 * W);
            p += rows.stride;
        }
    }
    for (int l = 0; l < W; l++) store_four(sums + l * kLanes, load_four(sums + l * kLanes) + both(sum[l]));
}

// A quad's rays of one main axis.
struct March {
    Columns columns;
    Buffer<Block> blocks;
    Buffer<float> sums;

    void prepare(const Geometry &g, int axis, int64_t rows, int64_t size) {
        const int64_t count = (g.cols + W - 1) / W;
        blocks.resize(count);
        sums.assign(count * W * kLanes, 0.0f);
        // Rays of the other axis repeat their neighbour of this one; their sums are dropped.
        int64_t any = 0;
        while (columns.axis[any] != axis) any++;
        double first[W], step[W];
        for (int64_t b = 0; b < count; b++) {
            bool wanted = false;
            for (int64_t l = 0; l < W; l++) {
                const int64_t j = b * W + l;
                if (j < g.cols && columns.axis[j] == axis) {
                    any = j;
                    wanted = true;
                }
                first[l] = columns.first[any];
                step[l] = columns.step[any];
            }
            blocks[b] = make_block(first, step, rows, size, 1);
            if (!g.source) anchor(blocks[b], blocks[0]);
            if (!wanted) blocks[b].end = blocks[b].begin;
        }
    }
};

}  // namespace

void forward2d_quads(const Geometry &g, int threads, const float *mu, float *p) {
    QuadRows images[3];
    images[1].fill(g, mu, false, threads);
    images[2].fill(g, mu, true, threads);
    const int64_t together = std::clamp<int64_t>(g.quads / (4 * threads), 1, kTogether);
#pragma omp parallel num_threads(threads)
    {
        FanTable table;
        March marches[kTogether];
        Steps steps;
#pragma omp for schedule(dynamic, 1)
        for (int64_t q0 = 0; q0 < g.quads; q0 += together) {
            const int64_t quads = std::min(together, g.quads - q0);
            for (int64_t q = 0; q < quads; q++) {
                const View lead(g, g.quad_views[(q0 + q) * kLanes], table);
                marches[q].columns.fill(g, lead);
            }
            for (int axis = 1; axis < 3; axis++) {
                const QuadRows &image = images[axis];
                for (int64_t q = 0; q < quads; q++)
                    if (marches[q].columns.members[axis]) marches[q].prepare(g, axis, image.count, image.size);
                const int64_t height = std::clamp<int64_t>(kCached / (image.stride * 4), 8, kRowTile);
                for (int64_t tile = 0; tile < image.count; tile += height) {
                    const int64_t end = std::min(tile + height, image.count);
                    for (int64_t q = 0; q < quads; q++) {
                        March &march = marches[q];
                        if (!march.columns.members[axis]) continue;
                        if (!g.source) steps.fill(march.blocks[0], tile, end);
                        for (size_t b = 0; b < march.blocks.size(); b++) {
                            const Block &block = march.blocks[b];
                            const int64_t r0 = std::max(tile, block.begin), r1 = std::min(end, block.end);
                            if (r0 >= r1) continue;
                            if (g.source) steps.fill(block, r0, r1);
                            sum_rows(block, image, r0, r1, steps, g.source ? r0 : tile, &march.sums[b * W * kLanes]);
                        }
                    }
                }
                for (int64_t q = 0; q < quads; q++) {
                    const March &march = marches[q];
                    if (!march.columns.members[axis]) continue;
                    for (int l = 0; l < kLanes; l++) {
                        const int64_t n = (q0 + q) * kLanes + l, view = g.quad_views[n];
                        if (view < 0) continue;
                        float *out = p + view * g.cols;
                        const bool reversed = g.quad_backwards[n];
                        for (int64_t j = 0; j < g.cols; j++)
                            if (march.columns.axis[j] == axis)
                                out[reversed ? g.cols - 1 - j : j] =
                                    march.sums[j * kLanes + l] * float(march.columns.length[j] / std::fabs(march.columns.reach[j]));
                    }
                }
            }
        }
    }
}

}  // namespace taskct
