// W neighbouring rays that advance together from row to row of an image: what forward projection and the transpose of
// back-projection in two dimensions share.
//
// In each row they read a short stretch, so register permutes replace gathers. Rows are padded with zeros: no bounds are
// tested. The lowest ray of a block runs in double precision (whole part and fraction per row); the others are float offsets
// from it.
#pragma once

#include <algorithm>
#include <cmath>

#include "buffer.h"
#include "simd.h"

namespace taskct {

constexpr int64_t kRowTile = 64;  // rows that stay in cache while all rays of a view pass them

// Image rows along one axis (the transpose, when the main axis is x) with `pad` zeros on each side.
struct Rows {
    int64_t count, size, stride, pad;
    RawBuffer<float> p;

    void fill(const float *image, int64_t rows, int64_t cols, bool transposed, int64_t zeros, int threads) {
        count = transposed ? cols : rows;
        size = transposed ? rows : cols;
        pad = zeros;
        stride = (size + 2 * pad + 15) / 16 * 16;
        p.resize(count * stride);
        constexpr int64_t block = 16;
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t r0 = 0; r0 < count; r0 += block) {
            const int64_t r1 = std::min(count, r0 + block);
            std::fill(&p[r0 * stride], &p[0] + r1 * stride, 0.0f);
            for (int64_t i = 0; i < size; i++)
                for (int64_t r = r0; r < r1; r++)
                    p[r * stride + pad + i] = transposed ? image[i * cols + r] : image[r * cols + i];
        }
    }
    const float *at(int64_t row) const { return p.data() + row * stride + pad; }
};

// 0, 1, 2, ... as floats.
struct RowNumbers {
    alignas(64) float at[kRowTile];
    RowNumbers() {
        for (int64_t k = 0; k < kRowTile; k++) at[k] = float(k);
    }
};
inline const RowNumbers kRowNumbers;

// W rays of one main axis. Ray l is at low(r) + offset[l] + drift[l] * r in row r, low(r) = first + step * r.
struct Block {
    double first, step;
    F offset, drift;
    int64_t begin, end;  // the rows that some ray meets
    float span;          // how far apart they get there; infinite when they cross
    int64_t shift = 0;   // samples from the anchor, where another block's ray serves as the lowest
};

// Rows in which a line of this start and step lies below `limit` (above: of -start, -step).
inline void rows_below(double start, double step, double limit, double &begin, double &end) {
    if (step == 0) {
        if (start >= limit) end = begin;
        return;
    }
    const double at = (limit - start) / step;
    if (step > 0) end = std::min(end, std::ceil(at) + 1);
    else begin = std::max(begin, std::floor(at));
}

// `beside`: how far below column 0 a ray still counts.
inline Block make_block(const double *first, const double *step, int64_t rows, int64_t size, double beside) {
    Block b;
    const double last_row = rows - 1.0;
    // The rays are ordered, if the source lies outside the image; the check below finds out.
    const int low = first[0] + step[0] * last_row / 2 <= first[W - 1] + step[W - 1] * last_row / 2 ? 0 : W - 1;
    const int high = W - 1 - low;
    b.first = first[low];
    b.step = step[low];
    for (int l = 0; l < W; l++) {
        b.offset[l] = float(first[l] - b.first);
        b.drift[l] = float(step[l] - b.step);
    }
    // Places are linear in the row: rays that are in order in the first and in the last one do not cross between.
    const auto in_order = [&](F a, F z) {
        const float most = std::max(a[high], z[high]) + 1e-4f;
        return smallest(min(a, z)) >= 0 && smallest(splat(most) - max(a, z)) >= 0;
    };
    if (!in_order(b.offset, b.offset + b.drift * splat(float(last_row)))) {
        b.begin = 0;
        b.end = rows;
        b.span = INFINITY;
        return b;
    }
    double begin = 0, end = rows;
    rows_below(first[low], step[low], size, begin, end);
    rows_below(-first[high], -step[high], beside, begin, end);
    b.begin = int64_t(std::clamp(begin, 0.0, double(rows)));  // in double: rays along the rows are met nowhere near them
    b.end = int64_t(std::clamp(end, double(b.begin), double(rows)));
    b.span = largest(max(b.offset + b.drift * splat(float(b.begin)), b.offset + b.drift * splat(float(b.end))));
    return b;
}

// Lets a block of parallel rays use the lowest ray of another one, whole samples and a fraction away.
inline void anchor(Block &b, const Block &other) {
    const double apart = b.first - other.first, whole = std::floor(apart);
    b.shift = int64_t(whole);
    b.offset += splat(float(apart - whole));
    b.span += 1;
}

// Whole parts and fractions of the lowest ray in rows r0..r1, at most kRowTile.
struct Steps {
    alignas(64) int32_t whole[kRowTile];
    alignas(64) float part[kRowTile];

    void fill(const Block &b, int64_t r0, int64_t r1) {
        const double start = b.first + b.step * r0;
        const int32_t count = int32_t(r1 - r0);  // 32 bits, which compilers turn into vectors of doubles
        for (int32_t k = 0; k < count; k++) {
            const double x = start + b.step * k, fl = std::floor(x);
            whole[k] = int32_t(fl);
            part[k] = float(x - fl);
        }
    }
};

}  // namespace taskct
