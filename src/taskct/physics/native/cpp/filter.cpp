// Detector rows convolved with an even kernel: the filter of filtered back-projection, float.
//
// A row times a Toeplitz matrix. The matrix is one short table that stays in the first-level cache, so no part of it is packed:
// kRows rows and kVectors vectors of outputs are summed in registers. Every other tap of the plain ramp is 0; then even
// columns take odd ones only and the other way round, half the products. Threads own rows.
#include <algorithm>
#include <new>

#include "api.h"
#include "buffer.h"
#include "pages.h"
#include "simd.h"

extern "C" struct taskct_filter {
    int64_t images, views, rows, cols;  // of p
    int64_t pad, cols_out;              // zeros before a row, and columns with those after it
    const float *factor[2];             // p is multiplied with these first; null for none
    int64_t view_step[2], row_step[2];  // where a factor's row of each view and detector row begins
    const float *taps;                  // cols_out of them, from the middle on
    int64_t every_other;                // 1 when taps 2, 4, 6, ... are 0
};

namespace taskct {
namespace {

constexpr int kRows = W == 16 ? 8 : 6, kVectors = W == 16 ? 3 : 2, kBlock = kVectors * W;

int64_t whole_blocks(int64_t n) { return (n + kBlock - 1) / kBlock * kBlock; }

// table[n] for n from -reach to reach, zeros beside.
struct Taps {
    int64_t reach;
    Buffer<float> values;

    template <class Tap> Taps(int64_t n, Tap tap) : reach(n + kBlock), values(2 * (n + 2 * kBlock)) {
        for (int64_t d = -n; d <= n; d++) values[reach + d] = tap(d);
    }
    const float *middle() const { return values.data() + reach; }
};

// out[r][j] = middle * own[r][j] + sum over k of in[r][k] * table[j - k], k from begin to end; outputs up to a whole block.
//
// A ramp's taps nearly cancel and the far ones are small: both sides are summed towards the middle, which comes last. In any
// other order most terms would be rounded at the size of the total.
void convolve(const float *in, int64_t begin, int64_t end, const float *table, int64_t outputs, int64_t stride,
              const float *own, float middle, float *out) {
    for (int64_t j = 0; j < outputs; j += kBlock) {
        F left[kRows][kVectors] = {}, right[kRows][kVectors] = {};
        const auto add = [&](int64_t k, F(&sums)[kRows][kVectors]) {
            F taps[kVectors];
            for (int v = 0; v < kVectors; v++) taps[v] = load(table + j - k + v * W);
            for (int r = 0; r < kRows; r++) {
                const F value = splat(in[r * stride + k]);
                for (int v = 0; v < kVectors; v++) sums[r][v] += value * taps[v];
            }
        };
        const int64_t half = std::clamp(j + kBlock / 2, begin, end);
        for (int64_t k = begin; k < half; k++) add(k, left);
        for (int64_t k = end - 1; k >= half; k--) add(k, right);
        for (int r = 0; r < kRows; r++)
            for (int v = 0; v < kVectors; v++) {
                const int64_t at = r * stride + j + v * W;
                store(out + at, (left[r][v] + right[r][v]) + middle * load(own + at));
            }
    }
}

// Row n of p in columns pad..pad + cols, weighted.
void weigh(const taskct_filter &f, int64_t n, const float *p, float *to) {
    const float *from = p + n * f.cols;
    to += f.pad;
    std::copy(from, from + f.cols, to);
    for (int a = 0; a < 2; a++) {
        if (!f.factor[a]) continue;
        const float *factor = f.factor[a] + n / f.rows % f.views * f.view_step[a] + n % f.rows * f.row_step[a];
        for (int64_t j = 0; j < f.cols; j++) to[j] *= factor[j];
    }
}

void filter(const taskct_filter &f, int threads, const float *p, float *q) {
    const int64_t total = f.images * f.views * f.rows, blocks = (total + kRows - 1) / kRows;
    const int64_t half = (f.cols_out + 1) / 2, stride = whole_blocks(f.cols_out + 1) + 2 * kBlock;
    const auto tap = [&](int64_t d) { return d != 0 && std::abs(d) < f.cols_out ? f.taps[std::abs(d)] : 0.0f; };
    const Taps all(f.every_other ? 0 : f.cols_out, tap);
    const Taps odd(f.every_other ? half : 0, [&](int64_t d) { return tap(2 * d - 1); });
    const int64_t last = f.pad + f.cols;
    want_large_pages(q, total * f.cols_out * sizeof(float));
#pragma omp parallel num_threads(threads)
    {
        Buffer<float> line(kRows * stride), even_in(kRows * stride), odd_in(kRows * stride);
        Buffer<float> even_out(kRows * stride), odd_out(kRows * stride);
#pragma omp for schedule(static)
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t n0 = b * kRows, count = std::min<int64_t>(kRows, total - n0);
            for (int64_t r = 0; r < count; r++) weigh(f, n0 + r, p, &line[r * stride]);
            if (!f.every_other) {
                convolve(line.data(), f.pad, last, all.middle(), f.cols_out, stride, line.data(), f.taps[0], even_out.data());
                for (int64_t r = 0; r < count; r++)
                    std::copy_n(&even_out[r * stride], f.cols_out, q + (n0 + r) * f.cols_out);
                continue;
            }
            for (int64_t r = 0; r < count; r++) {
                const float *from = &line[r * stride];
                float *even = &even_in[r * stride], *other = &odd_in[r * stride];
                for (int64_t m = 0; m < whole_blocks(half); m++) {
                    even[m] = from[2 * m];
                    other[m] = from[2 * m + 1];
                }
            }
            convolve(odd_in.data(), f.pad / 2, last / 2, odd.middle(), half, stride, even_in.data(), f.taps[0], even_out.data());
            convolve(even_in.data(), (f.pad + 1) / 2, (last + 1) / 2, odd.middle() + 1, half, stride, odd_in.data(), f.taps[0],
                     odd_out.data());
            for (int64_t r = 0; r < count; r++) {
                const float *even = &even_out[r * stride], *other = &odd_out[r * stride];
                float *to = q + (n0 + r) * f.cols_out;
                for (int64_t m = 0; m < f.cols_out / 2; m++) {
                    to[2 * m] = even[m];
                    to[2 * m + 1] = other[m];
                }
                if (f.cols_out % 2) to[f.cols_out - 1] = even[half - 1];
            }
        }
    }
}

}  // namespace
}  // namespace taskct

// Returns 0, or 1 when memory ran out.
TASKCT_API int taskct_filter_f32(const taskct_filter *f, int threads, const float *p, float *q) {
    try {
        taskct::filter(*f, threads, p, q);
    } catch (const std::bad_alloc &) {
        return 1;
    }
    return 0;
}
