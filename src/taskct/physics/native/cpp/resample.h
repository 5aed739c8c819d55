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

// The whole parts (kept within low..high) and fractions of start + step * k for k below n: where blocks of W begin.
constexpr int64_t kBlocks = 64;  // of W positions at a time
struct Places {
    alignas(64) int32_t whole[kBlocks];
    alignas(64) float part[kBlocks];

    // Written for the compiler's vectors, whatever their width.
    void fill(double start, double step, int64_t n, double low, double high) {
        const int32_t count = int32_t(n);
        for (int32_t k = 0; k < count; k++) {
            const double x = start + step * k, above = x < low ? low : x, at = above > high ? high : above;
            const double down = std::floor(at);
            whole[k] = int32_t(down);
            part[k] = float(at - down);
        }
    }
};

// How wide a table W positions of this spacing need: 0 for W entries, 1 for 2 W, 2 for 4 W, 3 for more.
inline int table_width(double step, double taps) {
    const double reach = (W - 1) * std::fabs(step) + taps - 1;
    return reach < W - 1.02 ? 0 : reach < 2 * W - 1.02 ? 1 : reach < 4 * W - 1.02 ? 2 : 3;
}

// Adds to sums[k], for whole blocks of W positions from `begin` up to `end`, the n lines' tables interpolated at their
// positions: sums[k] += sum over m of tables[m](lines[m].start + lines[m].step * k). A table is 0 outside 0..size - 1.
template <int width>
void resample_add(const Line *lines, const float *const *tables, int n, int64_t size, int64_t begin, int64_t end,
                  float *sums) {
    constexpr int most = 8;  // lines at a time
    alignas(64) float offsets[most * W];
    Places places[most];
    for (int64_t k0 = begin; k0 < end; k0 += kBlocks * W) {
        const int64_t blocks = (std::min(end, k0 + kBlocks * W) - k0) / W;
        for (int m = 0; m < n; m++) {
            const double step = lines[m].step, down = std::min(0.0, step * (W - 1));
            const double room = width < 3 ? double(kMargin - W) : 1e6;  // gathers hold each position by itself
            places[m].fill(lines[m].start + down + step * k0, step * W, blocks, -room, width < 3 ? double(size) : room);
            store(offsets + m * W, lane_numbers() * float(step) - splat(float(down)));
        }
        for (int64_t b = 0; b < blocks; b++) {
            F sum = load(sums + k0 + b * W), more = {};
            for (int m = 0; m < n; m++) {
                const F x = load(offsets + m * W) + splat(places[m].part[b]);
                const int32_t whole = places[m].whole[b];
                if (width < 3) {
                    constexpr int held = width < 3 ? width : 0;
                    const I i = truncate(x);
                    const F low = Table<held>(tables[m] + whole)(i), high = Table<held>(tables[m] + whole + 1)(i);
                    sum += low;
                    more += (x - to_float(i)) * (high - low);
                } else {
                    const F below = splat(-2.0f), above = splat(float(size + 1)), base = splat(float(whole));
                    const F at = max(below, min(above, x + base));
                    const I i = truncate(at + 2.0f) - 2;
                    const F low = gather(tables[m], i), high = gather(tables[m] + 1, i);
                    sum += low;
                    more += (x - (to_float(i) - base)) * (at > below && at < above ? high - low : F{});
                }
            }
            store(sums + k0 + b * W, sum + more);
        }
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

// Two tables and their weights: w0 * a[i] + w1 * b[i].
struct Mix {
    const float *a, *b;
    float w0, w1;
};

// True when positions `step` apart read two neighbours within a window of 2 W entries.
inline bool in_window(double step) { return (W - 1) * std::fabs(step) + 2.02 < 2 * W; }

// The same as `resample_add` of mixed tables that stand no farther apart than a window: mixed where they are read.
inline void resample_mix_add(const Line *lines, const Mix *mixes, int n, int64_t size, int64_t end, float *sums) {
    constexpr int most = 8;
    alignas(64) float offsets[most * W];
    Places places[most];
    for (int64_t k0 = 0; k0 < end; k0 += kBlocks * W) {
        const int64_t blocks = (std::min(end, k0 + kBlocks * W) - k0) / W;
        for (int m = 0; m < n; m++) {
            const double step = lines[m].step, down = std::min(0.0, step * (W - 1));
            places[m].fill(lines[m].start + down + step * k0, step * W, blocks, double(W - kMargin), double(size));
            store(offsets + m * W, lane_numbers() * float(step) - splat(float(down)));
        }
        for (int64_t b = 0; b < blocks; b++) {
            F sum = load(sums + k0 + b * W), more = {};
            for (int m = 0; m < n; m++) {
                const F x = load(offsets + m * W) + splat(places[m].part[b]);
                const float *left = mixes[m].a + places[m].whole[b], *right = mixes[m].b + places[m].whole[b];
                const F w0 = splat(mixes[m].w0), w1 = splat(mixes[m].w1);
                const Window window(w0 * load(left) + w1 * load(right), w0 * load(left + W) + w1 * load(right + W));
                const I i = truncate(x);
                const F low = window(i), high = window(i + 1);
                sum += low;
                more += (x - to_float(i)) * (high - low);
            }
            store(sums + k0 + b * W, sum + more);
        }
    }
}

// With AVX2 the neighbour k of all lanes is a load k entries on, under the same index and the same choice of halves; wider
// vectors straddle cache lines at every load and move the index instead.
constexpr bool kShift = W == 8;

// Samples from one position to the next, from which on a gather in single precision no longer weighs samples to 2e-6.
constexpr double kCoarse = 8;

// The transpose of one line's resampling, added to two columns with a weight each: s[z] is the sum over k of values[k] times
// the tent 1 - |start + step * k - z|, and first[z] += first_weight * s[z], likewise second. `values` has zeros around.
template <int taps, int width>
void spread(const float *values, int64_t count, Line line, int64_t begin, int64_t end, float *first, float first_weight,
            float *second, float second_weight) {
    const double per = 1 / line.step, down = std::min(0.0, per * (W - 1));
    const F offset = lane_numbers() * float(per) - splat(float(down));
    const float s = float(std::fabs(line.step));
    constexpr int before = taps / 2 - 1;
    Places places;
    for (int64_t z0 = begin; z0 < end; z0 += kBlocks * W) {
        const int64_t blocks = (std::min(end, z0 + kBlocks * W) - z0) / W;
        places.fill((z0 - line.start) * per + down, per * W, blocks, double(W - kMargin), double(count + taps));
        for (int64_t b = 0; b < blocks; b++) {
            const F x = offset + splat(places.part[b]);
            const I i = truncate(x);
            const F f = x - to_float(i), dist = s * f;
            const float *from = values + places.whole[b] - before;
            const Table<width> table(from);
            F sum = {}, even = {};
            for (int k = 0; k < taps; k++) {
                const F weight = k <= before ? (1 - s * (before - k)) - dist : (1 - s * (k - before)) + dist;
                (k % 2 ? sum : even) += max(F{}, weight) * (kShift ? Table<width>(from + k)(i) : table(i + k));
            }
            sum += even;
            const int64_t z = z0 + b * W;
            store(first + z, load(first + z) + first_weight * sum);
            store(second + z, load(second + z) + second_weight * sum);
        }
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
    // The widest table's reach, (W - 1) / s + taps - 1, against the entries of each width; no divisions.
    const auto fits = [&](int taps, double entries) { return W - 1 < s * (entries - (kShift ? 1 : taps) - 0.02); };
    if (s >= kCoarse) return spread_far(values, count, line, size, first, first_weight, second, second_weight);
    if (s >= 1) return fits(2, W) ? go(spread<2, 0>) : go(spread<2, 1>);
    if (s >= 0.5 && fits(4, W)) return go(spread<4, 0>);
    if (s >= 0.5 && fits(4, 2 * W)) return go(spread<4, 1>);
    if (s >= 0.5 && fits(4, 4 * W)) return go(spread<4, 2>);
    if (s >= 1 / 3.0 && fits(6, W)) return go(spread<6, 0>);
    if (s >= 1 / 3.0 && fits(6, 2 * W)) return go(spread<6, 1>);
    if (s >= 1 / 3.0 && fits(6, 4 * W)) return go(spread<6, 2>);
    spread_far(values, count, line, size, first, first_weight, second, second_weight);
}

}  // namespace taskct
