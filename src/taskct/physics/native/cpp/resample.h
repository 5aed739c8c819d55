// One-dimensional resampling along contiguous lines and its transpose: what the upright 3D kernels are made of.
//
// A cone beam whose detector rows step along z factorises. All rows of a detector column cross the same (y, x) points, so a
// plane is interpolated once along x (or y) for whole z columns, and each z column is then read at equidistant positions.
#pragma once

#include <algorithm>
#include <cmath>

#include "simd.h"

namespace taskct {

constexpr int64_t kMargin = 96;  // zeros on both sides of a line: more than the widest table

// Positions start + step * k, k = 0, 1, ...
struct Line {
    double start, step;
};

// A table of 4 W entries held in registers.
struct Table4 {
    const float *at;
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    F a, b, c, d;
    explicit Table4(const float *t) : at(t), a(load(t)), b(load(t + W)), c(load(t + 2 * W)), d(load(t + 3 * W)) {}
    F operator()(I i) const {
        const __m512 low = _mm512_permutex2var_ps((__m512)a, (__m512i)i, (__m512)b);
        const __mmask16 upper = _mm512_test_epi32_mask((__m512i)i, _mm512_set1_epi32(32));
        return (F)_mm512_mask_blend_ps(upper, low, _mm512_permutex2var_ps((__m512)c, (__m512i)i, (__m512)d));
    }
#else
    explicit Table4(const float *t) : at(t) {}
    F operator()(I i) const { return gather(at, i); }
#endif
};

// How wide a table W positions of this spacing need: 0 for 16 entries, 1 for 2 W, 2 for 4 W, 3 for more.
inline int table_width(double step, double taps) {
    const double reach = (W - 1) * std::fabs(step) + taps - 1;
    return reach < 14.98 ? 0 : reach < 2 * W - 1.02 ? 1 : reach < 4 * W - 1.02 ? 2 : 3;
}

template <int width> inline F lookup(const float *table, I i) {
    if (width == 0) return lookup16(table, i);
    if (width == 1) return lookup2(table, i);
    return Table4(table)(i);
}

// Adds to sums[k], for whole blocks of W positions from `begin` up to `end`, the n lines' tables interpolated at their
// positions: sums[k] += sum over m of tables[m](lines[m].start + lines[m].step * k). A table is 0 outside 0..size - 1.
template <int width>
void resample_add(const Line *lines, const float *const *tables, int n, int64_t size, int64_t begin, int64_t end,
                  float *sums) {
    constexpr int most = 16;  // lines at a time
    alignas(64) float offsets[most * W];
    double low[most];
    for (int m = 0; m < n; m++) {
        const double step = lines[m].step, down = std::min(0.0, step * (W - 1));
        low[m] = lines[m].start + down;
        store(offsets + m * W, lane_numbers() * float(step) - splat(float(down)));
    }
    for (int64_t k = begin; k < end; k += W) {
        F sum = load(sums + k), more = {};
        for (int m = 0; m < n; m++) {
            const double x0 = low[m] + lines[m].step * k, whole = std::floor(x0);
            const F x = load(offsets + m * W) + splat(float(x0 - whole));
            const float base = float(std::max(-1e6, std::min(1e6, whole)));
            if (width < 3) {
                const float *table = tables[m] + std::max<int64_t>(-kMargin + W, std::min<int64_t>(int64_t(base), size));
                const I i = truncate(x);
                const F a = lookup<width>(table, i), b = lookup<width>(table + 1, i);
                sum += a;
                more += fraction(x) * (b - a);
            } else {
                const F below = splat(-2.0f), above = splat(float(size + 1));
                const F held = max(below, min(above, x + splat(base)));
                const I i = truncate(held + 2.0f) - 2;
                const F a = gather(tables[m], i), b = gather(tables[m] + 1, i);
                sum += a;
                more += (x - (to_float(i) - base)) * (held > below && held < above ? b - a : F{});
            }
        }
        store(sums + k, sum + more);
    }
}

inline void resample_add(const Line *lines, const float *const *tables, int n, int64_t size, int64_t begin, int64_t end,
                         float *sums) {
    int width = 0;
    for (int m = 0; m < n; m++) width = std::max(width, table_width(lines[m].step, 1));
    switch (width) {
        case 0: return resample_add<0>(lines, tables, n, size, begin, end, sums);
        case 1: return resample_add<1>(lines, tables, n, size, begin, end, sums);
        case 2: return resample_add<2>(lines, tables, n, size, begin, end, sums);
        default: return resample_add<3>(lines, tables, n, size, begin, end, sums);
    }
}

// The transpose of one line's resampling, added to two columns with a weight each: s[z] is the sum over k of values[k] times
// the tent 1 - |start + step * k - z|, and first[z] += first_weight * s[z], likewise second. `values` has zeros around.
template <int taps, int width>
void spread(const float *values, int64_t count, Line line, int64_t begin, int64_t end, float *first, float first_weight,
            float *second, float second_weight) {
    const double per = 1 / line.step, down = std::min(0.0, per * (W - 1));
    const F offset = lane_numbers() * float(per) - splat(float(down));
    const float s = float(std::fabs(line.step));
    constexpr int before = taps / 2 - 1;
    for (int64_t z = begin; z < end; z += W) {
        const double u = (z - line.start) * per + down, whole = std::floor(u);
        const F x = offset + splat(float(u - whole));
        const I i = truncate(x);
        const F f = fraction(x);
        const double held = std::max(double(-kMargin + W), std::min(double(count + taps), whole));
        const float *table = values + int64_t(held) - before;
        F sum = {};
        const auto add = [&](auto look) {
            for (int k = 0; k < taps; k++) {
                const F far = k <= before ? f + float(before - k) : float(k - before) - f;
                sum += max(F{}, 1.0f - s * far) * look(k);
            }
        };
        if (width == 2) {
            const Table4 held4(table);
            add([&](int k) { return held4(i + k); });
        } else {
            add([&](int k) { return lookup<width>(table + k, i); });
        }
        store(first + z, load(first + z) + first_weight * sum);
        store(second + z, load(second + z) + second_weight * sum);
    }
}

// The same for any spacing, one value after the other.
inline void spread_far(const float *values, int64_t count, Line line, int64_t size, float *first, float first_weight,
                       float *second, float second_weight) {
    for (int64_t k = 0; k < count; k++) {
        const double x = line.start + line.step * k, low = std::floor(x);
        if (!(low >= -1 && low < size)) continue;
        const int64_t i = int64_t(low);
        const float f = float(x - low);
        if (i >= 0) {
            first[i] += first_weight * (1 - f) * values[k];
            second[i] += second_weight * (1 - f) * values[k];
        }
        if (i + 1 < size) {
            first[i + 1] += first_weight * f * values[k];
            second[i + 1] += second_weight * f * values[k];
        }
    }
}

// `size` rounded up to W columns may be written (what lies beyond `size` is 0 or dropped).
inline void spread(const float *values, int64_t count, Line line, int64_t size, float *first, float first_weight,
                   float *second, float second_weight) {
    const double last = line.start + line.step * (count - 1);
    const double low = std::min(line.start, last) - 1, high = std::max(line.start, last) + 1;
    if (!(low < size && high > -1)) return;
    const int64_t begin = int64_t(std::max(0.0, low)) / W * W;
    const int64_t end = (int64_t(std::min(double(size), high + 1)) + W - 1) / W * W;
    const double s = std::fabs(line.step);
    const auto go = [&](auto with) { with(values, count, line, begin, end, first, first_weight, second, second_weight); };
    if (s >= 1 && table_width(1 / s, 1) == 0) return go(spread<2, 0>);
    if (s >= 1) return go(spread<2, 1>);
    if (s >= 0.5 && table_width(1 / s, 1) <= 1) return go(spread<4, 1>);
    if (s >= 0.5 && table_width(1 / s, 4) == 2) return go(spread<4, 2>);
    if (s >= 1 / 3.0 && table_width(1 / s, 6) == 2) return go(spread<6, 2>);
    spread_far(values, count, line, size, first, first_weight, second, second_weight);
}

}  // namespace taskct
