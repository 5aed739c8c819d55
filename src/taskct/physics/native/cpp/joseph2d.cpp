// Joseph's method in two dimensions, float: forward.
//
// W neighbouring rays advance together from row to row of the image (of its transpose, when their main axis is x). They read a
// short stretch of the row, so register permutes replace gathers. Rows are padded with zeros: no bounds are tested.
//
// The lowest ray of a block runs in double precision (whole part and fraction per row); the others are float offsets from it.
#include <algorithm>
#include <cmath>
#include <vector>

#include "buffer.h"
#include "columns.h"
#include "maps.h"
#include "simd.h"

namespace taskct {
namespace {

constexpr int64_t kPad = 48;    // zeros on each side of a row: more than two vectors
constexpr int64_t kTile = 64;  // rows that stay in cache while all rays of a view pass them
constexpr float kWindow = 2 * W - 2.01f;

// Image rows along one axis with padding.
struct Rows {
    int64_t count, size, stride;
    Buffer<float> p;

    void fill(const float *image, int64_t rows, int64_t cols, bool transposed, int threads) {
        count = transposed ? cols : rows;
        size = transposed ? rows : cols;
        stride = (size + 2 * kPad + 15) / 16 * 16;
        p.resize(count * stride);
        constexpr int64_t block = 16;
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t r0 = 0; r0 < count; r0 += block) {
            const int64_t r1 = std::min(count, r0 + block);
            std::fill(&p[r0 * stride], &p[0] + r1 * stride, 0.0f);
            for (int64_t i = 0; i < size; i++)
                for (int64_t r = r0; r < r1; r++)
                    p[r * stride + kPad + i] = transposed ? image[i * cols + r] : image[r * cols + i];
        }
    }
};

// 0, 1, 2, ... as floats.
struct Numbers {
    alignas(64) float at[kTile];
    Numbers() {
        for (int64_t k = 0; k < kTile; k++) at[k] = float(k);
    }
};
const Numbers kNumbers;

// W rays of one main axis. Ray l is at low(r) + offset[l] + drift[l] * r in row r, low(r) = first + step * r.
struct Block {
    double first, step;
    F offset, drift;
    int64_t begin, end;  // the rows that some ray meets
    bool near;           // all rays of a row lie within two registers
};

// Rows in which a line of this start and step lies below `limit` (above: of -start, -step).
void rows_below(double start, double step, double limit, double &begin, double &end) {
    if (step == 0) {
        if (start >= limit) end = begin;
        return;
    }
    const double at = (limit - start) / step;
    if (step > 0) end = std::min(end, std::ceil(at) + 1);
    else begin = std::max(begin, std::floor(at));
}

Block make_block(const double *first, const double *step, const Rows &rows) {
    Block b;
    const double last_row = rows.count - 1.0;
    // The rays are ordered, if the source lies outside the image; the check below finds out.
    const int low = first[0] + step[0] * last_row / 2 <= first[W - 1] + step[W - 1] * last_row / 2 ? 0 : W - 1;
    const int high = W - 1 - low;
    b.first = first[low];
    b.step = step[low];
    for (int l = 0; l < W; l++) {
        b.offset[l] = float(first[l] - b.first);
        b.drift[l] = float(step[l] - b.step);
    }
    double begin = 0, end = rows.count;
    rows_below(first[low], step[low], rows.size, begin, end);
    rows_below(-first[high], -step[high], 1, begin, end);
    b.begin = std::max(0.0, begin);
    b.end = std::max<double>(b.begin, std::min<double>(end, rows.count));
    const F a = b.offset + b.drift * splat(float(b.begin)), z = b.offset + b.drift * splat(float(b.end));
    const F least = min(a, z), most = max(a, z);
    const F span = splat(std::max(a[high], z[high]) + 1e-4f);
    b.near = smallest(least) >= 0 && largest(most) < kWindow && smallest(span - most) >= 0;
    if (!b.near) {
        b.begin = 0;
        b.end = rows.count;
    }
    return b;
}

// Sum of one block over rows r0..r1, at most kTile.
enum class Reach { fixed, near, far };  // near, and the rays parallel; near; farther apart than the tables
template <Reach reach> F sum_rows(const Block &b, const Rows &rows, int64_t r0, int64_t r1) {
    alignas(64) int32_t whole[kTile];
    alignas(64) float part[kTile];
    const int64_t n = r1 - r0;
    const double start = b.first + b.step * r0;
    for (int64_t k = 0; k < n; k++) {
        const double x = start + b.step * k, fl = std::floor(x);
        whole[k] = int32_t(fl);
        part[k] = float(x - fl);
    }
    const float *p = rows.p.data() + r0 * rows.stride + kPad;
    F plain = {}, sloped = {};
    const F offset = b.offset + b.drift * splat(float(r0)), drift = b.drift;
    if (reach != Reach::far) {
        for (int64_t k = 0; k < n; k++) {
            const F x = (reach == Reach::fixed ? offset : offset + drift * splat(kNumbers.at[k])) + splat(part[k]);
            const I i = truncate(x);
            const Table<1> table(p + whole[k]);
            const F low = table(i), high = table(i + 1);
            plain += low;
            sloped += fraction(x) * (high - low);
            p += rows.stride;
        }
    } else {
        const F below = splat(-2.0f), above = splat(float(rows.size + 1));
        for (int64_t k = 0; k < n; k++) {
            // Far apart: gathers, with rays beside the image held in its zeros.
            const float base = float(whole[k]);
            const F x = offset + drift * splat(kNumbers.at[k]) + splat(part[k]);
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

void forward2d(const Geometry &g, int threads, const float *mu, float *p) {
    const int64_t blocks = (g.cols + W - 1) / W, padded = blocks * W;
    Rows rows[3];
    rows[1].fill(mu, g.shape[1], g.shape[2], false, threads);
    rows[2].fill(mu, g.shape[1], g.shape[2], true, threads);
#pragma omp parallel num_threads(threads)
    {
        FanTable table;
        Columns columns;
        std::vector<double> first(padded), step(padded);
        Buffer<Block> made(blocks);
        Buffer<float> sums(padded);
#pragma omp for schedule(dynamic, 4)
        for (int64_t v = 0; v < g.views; v++) {
            const View view(g, v, table);
            columns.fill(g, view);
            float *out = p + v * g.cols;
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
                const Rows &image = rows[axis];
                for (int64_t b = 0; b < blocks; b++) {
                    made[b] = make_block(&first[b * W], &step[b * W], image);
                    bool wanted = false;
                    for (int64_t j = b * W; j < std::min(g.cols, (b + 1) * W); j++) wanted |= columns.axis[j] == axis;
                    if (!wanted) made[b].end = made[b].begin;
                }
                std::fill(sums.begin(), sums.end(), 0.0f);
                for (int64_t tile = 0; tile < image.count; tile += kTile)
                    for (int64_t b = 0; b < blocks; b++) {
                        const int64_t r0 = std::max(tile, made[b].begin), r1 = std::min(tile + kTile, made[b].end);
                        if (r0 >= r1) continue;
                        const F more = !made[b].near ? sum_rows<Reach::far>(made[b], image, r0, r1)
                                       : g.source    ? sum_rows<Reach::near>(made[b], image, r0, r1)
                                                     : sum_rows<Reach::fixed>(made[b], image, r0, r1);
                        store(&sums[b * W], load(&sums[b * W]) + more);
                    }
                for (int64_t j = 0; j < g.cols; j++)
                    if (columns.axis[j] == axis)
                        out[j] = sums[j] * float(columns.length[j] / std::fabs(columns.reach[j]));
            }
        }
    }
}

}  // namespace taskct
