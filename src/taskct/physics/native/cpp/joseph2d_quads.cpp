// Joseph's method in two dimensions, float: forward, four views at a time, or both halves of four (quads.h).
#include <vector>

#include "columns.h"
#include "maps.h"
#include "march2d.h"
#include "quads2d.h"

namespace taskct {
namespace {

constexpr int64_t kTogether = 8;                // quads, at most, that pass the same rows while these are in the second-level cache,
constexpr int64_t kCached = 200 * 1024;         // bytes of them,
constexpr int64_t kMostRows = 32;               // few enough for float places from where a block enters them
constexpr float kMostSpan = LaneRows<kLanes>::pad - 4;  // of rays that read nothing but their row and its zeros

// Adds the sums of one block over rows r0..r1, at most kMostRows, of ray l to sums[l]. Places first, then samples. `held`: rays may
// leave the zeros beside a row, or cross.
template <int lanes, bool held>
void sum_rows(const Block &b, const LaneRows<lanes> &rows, int64_t r0, int64_t r1, float *sums) {
    alignas(64) int32_t at[kMostRows * W];
    alignas(64) float weights[kMostRows * 2 * W];
    const int n = int(r1 - r0);
    const double here = b.first + b.step * r0, base = std::floor(std::min(here, here + b.step * (n - 1)));
    const F start = b.offset + b.drift * splat(float(r0)) + splat(float(here - base)), step = b.drift + splat(float(b.step));
    const I shift = I{} + int32_t(base + rows.pad), least = I{}, most = I{} + int32_t(rows.size + 2 * rows.pad - 2);
    for (int k = 0; k < n; k++) {
        const F x = start + step * splat(kRowNumbers.at[k]);
        const I i = truncate(held ? floor(x) : x);
        const F f = x - to_float(i);
        store(at + k * W, (held ? min(max(i + shift, least), most) : i) * lanes);
        store_weights(weights + k * 2 * W, 1.0f - f, f);
    }
    Pair sum[W] = {};
    const float *p = rows.start(r0) + (held ? 0 : int64_t(base + rows.pad) * lanes);
    for (int k = 0; k < n; k++) {
        if constexpr (lanes == kLanes) add<1>(sum, p, at + k * W, weights + k * 2 * W);
        else add_eight(sum, p, at + k * W, weights + k * 2 * W);
        p += rows.stride;
    }
    if constexpr (lanes == kLanes) return add_sums(sums, sum);
    for (int l = 0; l < W; l++) store_pair(sums + l * lanes, load_pair(sums + l * lanes) + sum[l]);
}

// A quad's rays of one main axis; with eight lanes, of the first half of the detector.
template <int lanes> struct March {
    Columns columns;
    Buffer<Block> blocks;
    Buffer<float> sums, weights;  // of each column a sum per lane, and what they weigh

    static int64_t cols(const Geometry &g) { return lanes == kLanes ? g.cols : (g.cols + 1) / 2; }

    void prepare(const Geometry &g, int axis, int64_t rows, int64_t size) {
        const int64_t count = (cols(g) + W - 1) / W;
        blocks.resize(count);
        sums.assign(count * W * lanes, 0.0f);
        weights.resize(cols(g));
        for (int32_t j = 0; j < int32_t(cols(g)); j++) weights[j] = columns.weight(j);
        // Rays of the other axis repeat their neighbour of this one; their sums are dropped.
        int64_t any = 0;
        while (columns.axis[any] != axis) any++;
        double first[W], step[W];
        for (int64_t b = 0; b < count; b++) {
            bool wanted = false;
            for (int64_t l = 0; l < W; l++) {
                const int64_t j = b * W + l;
                if (j < cols(g) && columns.axis[j] == axis) {
                    any = j;
                    wanted = true;
                }
                first[l] = columns.first[any];
                step[l] = columns.step[any];
            }
            blocks[b] = make_block(first, step, rows, size, 1);
            if (!wanted) blocks[b].end = blocks[b].begin;
        }
    }
    void add(const LaneRows<lanes> &image, int64_t from, int64_t to) {
        for (size_t n = 0; n < blocks.size(); n++) {
            const Block &b = blocks[n];
            const int64_t r0 = std::max(from, b.begin), r1 = std::min(to, b.end);
            if (r0 >= r1) continue;
            const auto sum = b.span < kMostSpan ? sum_rows<lanes, false> : sum_rows<lanes, true>;
            sum(b, image, r0, r1, &sums[n * W * lanes]);
        }
    }
    // Hands the sums of quad n to its views.
    void put(const Geometry &g, int axis, int64_t n, float *p) const {
        const bool all = columns.members[axis] == cols(g);
        for (int l = 0; l < lanes; l++) {
            const int64_t view = g.quad_views[n * kLanes + l % kLanes];
            if (view < 0) continue;
            const bool backwards = (g.quad_backwards[n * kLanes + l % kLanes] != 0) != (l >= kLanes);
            float *to = p + view * g.cols + (backwards ? g.cols - 1 : 0);
            const float *from = sums.data() + l, *weight = weights.data();
            const int64_t along = backwards ? -1 : 1, count = cols(g);
            for (int64_t j = 0; j < count; j++)
                if (all || columns.axis[j] == axis) to[along * j] = from[j * lanes] * weight[j];
        }
    }
};

// Whether rays of the leads may have this main axis (near a diagonal: either): parallel leads, all in one octant, often share one.
bool may_have(const Geometry &g, int axis) {
    if (g.source) return true;
    for (int64_t q = 0; q < g.quads; q++) {
        const double *ray = g.direction + 3 * g.quad_views[q * kLanes];
        const double y = std::fabs(ray[1] / g.spacing[1]), x = std::fabs(ray[2] / g.spacing[2]);
        if (axis == 1 ? y >= x * (1 - 2 * kTie) : x >= y * (1 - 2 * kTie)) return true;
    }
    return false;
}

template <int lanes> void forward_lanes(const Geometry &g, int threads, const float *mu, float *p) {
    LaneRows<lanes> images[3];
    for (int axis = 1; axis < 3; axis++)
        if (may_have(g, axis)) images[axis].fill(g, mu, axis == 2, threads);
    const int64_t together = std::clamp<int64_t>(g.quads / (4 * threads), 1, kTogether);
#pragma omp parallel num_threads(threads)
    {
        FanTable table;
        March<lanes> marches[kTogether];
#pragma omp for schedule(dynamic, 1)
        for (int64_t q0 = 0; q0 < g.quads; q0 += together) {
            const int64_t quads = std::min(together, g.quads - q0);
            for (int64_t q = 0; q < quads; q++) {
                const View lead(g, g.quad_views[(q0 + q) * kLanes], table);
                marches[q].columns.fill(g, lead, March<lanes>::cols(g));
            }
            for (int axis = 1; axis < 3; axis++) {
                const LaneRows<lanes> &image = images[axis];
                if (image.count == 0) continue;
                const auto each = [&](auto work) {
                    for (int64_t q = 0; q < quads; q++)
                        if (marches[q].columns.members[axis]) work(marches[q], q0 + q);
                };
                each([&](auto &march, int64_t) { march.prepare(g, axis, image.count, image.size); });
                const int64_t height = std::clamp<int64_t>(kCached / (image.stride * 4) / 8 * 8, 16, kMostRows);
                for (int64_t row = 0; row < image.count; row += height)
                    each([&](auto &march, int64_t) { march.add(image, row, std::min(row + height, image.count)); });
                each([&](const auto &march, int64_t n) { march.put(g, axis, n, p); });
            }
        }
    }
}

}  // namespace

void forward2d_quads(const Geometry &g, int threads, const float *mu, float *p) {
    if (g.halves && by_fours(g, 2 * kLanes)) forward_lanes<2 * kLanes>(g, threads, mu, p);
    else forward_lanes<kLanes>(g, threads, mu, p);
}

}  // namespace taskct
