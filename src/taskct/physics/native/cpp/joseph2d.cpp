// Joseph's method in two dimensions, float: forward.
//
// W neighbouring rays advance together from row to row of the image (march2d.h), along y or, in its transpose, along x.
#include <type_traits>
#include <vector>

#include "columns.h"
#include "maps.h"
#include "march2d.h"

namespace taskct {
namespace {

constexpr int64_t kPad = 48;    // zeros on each side of a row: more than two vectors
constexpr float kNarrow = W - 1.01f, kWindow = 2 * W - 2.01f;  // how far apart W rays may get for one register, or two

// Sum of one block over rows r0..r1, at most kRowTile; `shared` are the steps of all parallel rays from row `tile` on.
enum class Reach { narrow, near, far };  // one register answers; two; farther apart than the tables
template <Reach reach, bool parallel>
F sum_rows(const Block &b, const Rows &rows, int64_t r0, int64_t r1, const Steps &shared, int64_t tile) {
    const int64_t n = r1 - r0;
    Steps own;
    if (!parallel) own.fill(b, r0, r1);
    const int32_t *wholes = parallel ? shared.whole + (r0 - tile) : own.whole;
    const float *parts = parallel ? shared.part + (r0 - tile) : own.part;
    const float *p = rows.at(r0);
    F plain = {}, sloped = {};
    const F offset = b.offset + b.drift * splat(float(r0)), drift = b.drift;
    if (reach != Reach::far) {
        for (int64_t k = 0; k < n; k++) {
            const F x = (parallel ? offset : offset + drift * splat(kRowNumbers.at[k])) + splat(parts[k]);
            const I i = truncate(x);
            const float *at = p + b.shift + wholes[k];
            const Table<reach == Reach::narrow ? 0 : 1> table(at);
            const F low = table(i), high = reach == Reach::narrow ? Table<0>(at + 1)(i) : table(i + 1);
            plain += low;
            sloped += (x - to_float(i)) * (high - low);
            p += rows.stride;
        }
    } else {
        const F below = splat(-2.0f), above = splat(float(rows.size + 1));
        for (int64_t k = 0; k < n; k++) {
            // Far apart: gathers, with rays beside the image held in its zeros.
            const float base = float(wholes[k] + b.shift);
            const F x = offset + drift * splat(kRowNumbers.at[k]) + splat(parts[k]);
            const F held = max(below, min(above, x + splat(base)));
            const I i = truncate(held + 2.0f) - 2;
            const F low = gather(p, i);
            plain += low;
            sloped += (x - (to_float(i) - base)) * (held > below && held < above ? gather(p + 1, i) - low : F{});
            p += rows.stride;
        }
    }
    return plain + sloped;
}

}  // namespace

// Views are set up once for all `images` (few: each has its rows twice in memory).
void forward2d(const Geometry &g, int threads, int64_t images, const float *mu, float *p) {
    const int64_t blocks = (g.cols + W - 1) / W, padded = blocks * W;
    std::vector<Rows> rows[3];
    for (int axis = 1; axis < 3; axis++) {
        rows[axis].resize(images);
        for (int64_t n = 0; n < images; n++)
            rows[axis][n].fill(mu + n * g.shape[1] * g.shape[2], g.shape[1], g.shape[2], axis == 2, kPad, threads);
    }
#pragma omp parallel num_threads(threads)
    {
        FanTable table;
        Columns columns;
        std::vector<double> first(padded), step(padded);
        Buffer<Block> made(blocks);
        Buffer<float> sums(padded);
        Steps shared;
#pragma omp for schedule(dynamic, 4)
        for (int64_t v = 0; v < g.views; v++) {
            const View view(g, v, table);
            columns.fill(g, view);
            for (int axis = 1; axis < 3; axis++) {
                if (columns.members[axis] == 0) continue;
                // Rays of the other axis repeat their neighbour of this one; their sums are dropped.
                int64_t any = 0;
                while (columns.axis[any] != axis) any++;
                for (int64_t j = 0; j < padded; j++) {
                    if (j < g.cols && columns.axis[j] == axis) any = j;
                    first[j] = columns.first[any];
                    step[j] = columns.step[any];
                }
                const Rows &any_image = rows[axis][0];
                for (int64_t b = 0; b < blocks; b++) {
                    made[b] = make_block(&first[b * W], &step[b * W], any_image.count, any_image.size, 1);
                    if (!g.source) anchor(made[b], made[0]);
                    if (made[b].span >= kWindow) {  // gathers, over all rows
                        made[b].begin = 0;
                        made[b].end = any_image.count;
                    }
                    bool wanted = false;
                    for (int64_t j = b * W; j < std::min(g.cols, (b + 1) * W); j++) wanted |= columns.axis[j] == axis;
                    if (!wanted) made[b].end = made[b].begin;
                }
                for (int64_t n = 0; n < images; n++) {
                    const Rows &image = rows[axis][n];
                    float *out = p + (n * g.views + v) * g.cols;
                    std::fill(sums.begin(), sums.end(), 0.0f);
                    for (int64_t tile = 0; tile < image.count; tile += kRowTile) {
                        if (!g.source) shared.fill(made[0], tile, std::min(tile + kRowTile, image.count));
                        for (int64_t b = 0; b < blocks; b++) {
                            const int64_t r0 = std::max(tile, made[b].begin), r1 = std::min(tile + kRowTile, made[b].end);
                            if (r0 >= r1) continue;
                            const auto sum = [&](auto parallel) {
                                constexpr bool fixed = decltype(parallel)::value;
                                const float span = made[b].span;
                                return span < kNarrow   ? sum_rows<Reach::narrow, fixed>(made[b], image, r0, r1, shared, tile)
                                       : span < kWindow ? sum_rows<Reach::near, fixed>(made[b], image, r0, r1, shared, tile)
                                                        : sum_rows<Reach::far, fixed>(made[b], image, r0, r1, shared, tile);
                            };
                            const F more = g.source ? sum(std::false_type{}) : sum(std::true_type{});
                            store(&sums[b * W], load(&sums[b * W]) + more);
                        }
                    }
                    for (int64_t j = 0; j < g.cols; j++)
                        if (columns.axis[j] == axis)
                            out[j] = sums[j] * columns.weight(j);
                }
            }
        }
    }
}

}  // namespace taskct
