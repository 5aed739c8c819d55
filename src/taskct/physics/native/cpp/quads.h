// Four images that are scanned by the same rays, interleaved: pixel i of all four is one short vector.
//
// The four are one image, turned and mirrored so that four views of the scan become one (symmetry.py finds them). Where
// rays meet the pixels is then worked out once for four results, and a sample is one load at an index and not a permute.
// Where half a turn (in 2D) or the mirror in z (in 3D) takes every view to itself, the halves of its detector are two lanes: eight
// in all, for half of the rays.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "buffer.h"
#include "geometry.h"
#include "simd.h"

namespace taskct {

constexpr int kLanes = 4;
constexpr int64_t kMostQuadBytes = int64_t(1) << 30;  // larger images are projected view by view

// Whether the scan has quads and its image, four times (or as often as said) and with z columns of whole cache lines, is not too
// large for them.
inline bool by_fours(const Geometry &g, int lanes = kLanes) {
    const int64_t depth = g.dim == 3 ? (g.shape[0] + 15) / 16 * 16 : 1;
    return g.quads && 4 * lanes * depth * g.shape[1] * g.shape[2] <= kMostQuadBytes;
}

typedef float Four __attribute__((vector_size(4 * kLanes)));  // one place, four images
typedef float Pair __attribute__((vector_size(8 * kLanes)));  // two places next to each other

inline Four load_four(const float *p) {
    Four a;
    std::memcpy(&a, p, sizeof a);
    return a;
}
inline Pair load_pair(const float *p) {
    Pair a;
    std::memcpy(&a, p, sizeof a);
    return a;
}
// Elements of a and, from the vector's length on, of b: GCC before 12 has a name of its own for it.
#if defined(__clang__)
#define TASKCT_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t PairIndex __attribute__((vector_size(8 * kLanes)));
#define TASKCT_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, PairIndex{__VA_ARGS__})
#endif
// Elements 4 n .. 4 n + 3 of a vector.
template <int n, class V> inline Four quarter(V a) {
    Four b;
    std::memcpy(&b, reinterpret_cast<const char *>(&a) + n * sizeof b, sizeof b);
    return b;
}

// Four values, twice.
inline Pair load_twice(const float *p) {
#if defined(__AVX2__)
    return (Pair)_mm256_broadcast_ps(reinterpret_cast<const __m128 *>(p));
#else
    Pair a;
    std::memcpy(&a, p, sizeof a / 2);
    std::memcpy(reinterpret_cast<char *>(&a) + sizeof a / 2, p, sizeof a / 2);
    return a;
#endif
}

inline void store_four(float *p, Four a) { std::memcpy(p, &a, sizeof a); }
inline void store_pair(float *p, Pair a) { std::memcpy(p, &a, sizeof a); }
inline Four both(Pair a) {  // the sum of the two places
    return quarter<0>(a) + quarter<1>(a);
}
// Of two pairs, the sums of each one's places.
inline Pair sums_of(Pair a, Pair b) {
    return TASKCT_SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11) + TASKCT_SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
}
// Adds the sums of W pairs to W places that follow each other. (Beside many planes one by one is quicker: joseph3d_quads.cpp.)
inline void add_sums(float *to, const Pair *sum) {
    for (int l = 0; l < W; l += 2, to += 2 * kLanes) store_pair(to, load_pair(to) + sums_of(sum[l], sum[l + 1]));
}

// Weights of W low and W high neighbours, as `add` reads them: four of the low ones, then the four beside these.
inline void store_weights(float *to, F low, F high) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    store_four(to, quarter<0>(low));
    store_four(to + 4, quarter<0>(high));
    store_four(to + 8, quarter<1>(low));
    store_four(to + 12, quarter<1>(high));
    store_four(to + 16, quarter<2>(low));
    store_four(to + 20, quarter<2>(high));
    store_four(to + 24, quarter<3>(low));
    store_four(to + 28, quarter<3>(high));
#elif defined(__AVX2__)
    store(to, TASKCT_SHUFFLE(low, high, 0, 1, 2, 3, 8, 9, 10, 11));
    store(to + 8, TASKCT_SHUFFLE(low, high, 4, 5, 6, 7, 12, 13, 14, 15));
#else
    store(to, low);
    store(to + 4, high);
#endif
}

// Four indices, none below 0; two are one load.
struct Indices {
    uint64_t i[4];
    explicit Indices(const int32_t *at) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        uint64_t first, second;
        std::memcpy(&first, at, 8);
        std::memcpy(&second, at + 2, 8);
        i[0] = uint32_t(first), i[1] = first >> 32, i[2] = uint32_t(second), i[3] = second >> 32;
#else
        for (int n = 0; n < 4; n++) i[n] = uint64_t(at[n]);
#endif
    }
    uint64_t operator[](int n) const { return i[n]; }
};

// sum[n] += weight * sample for W places: samples begin at p + at[n]; their `pairs` of neighbours follow each other, and so do the
// weights of each pair.
template <int pairs> inline void add(Pair *sum, const float *p, const int32_t *at, const float *weights) {
#pragma GCC unroll 4
    for (int n = 0; n < W; n += 4) {
        const Indices i(at + n);
#pragma GCC unroll 4
        for (int pair = 0; pair < pairs; pair++) {
            const Pair w = load_pair(weights + 2 * (pair * W + n));
            const float *samples = p + 2 * pair * kLanes;
            sum[n] += load_pair(samples + i[0]) * TASKCT_SHUFFLE(w, w, 0, 0, 0, 0, 4, 4, 4, 4);
            sum[n + 1] += load_pair(samples + i[1]) * TASKCT_SHUFFLE(w, w, 1, 1, 1, 1, 5, 5, 5, 5);
            sum[n + 2] += load_pair(samples + i[2]) * TASKCT_SHUFFLE(w, w, 2, 2, 2, 2, 6, 6, 6, 6);
            sum[n + 3] += load_pair(samples + i[3]) * TASKCT_SHUFFLE(w, w, 3, 3, 3, 3, 7, 7, 7, 7);
        }
    }
}

// The same with eight images, whose samples are two vectors, and one pair of neighbours.
inline void add_eight(Pair *sum, const float *p, const int32_t *at, const float *weights) {
#pragma GCC unroll 4
    for (int n = 0; n < W; n += 4) {
        const Indices i(at + n);
        const Pair low = load_twice(weights + 2 * n), high = load_twice(weights + 2 * n + 4);
        const float *right = p + 2 * kLanes;
        sum[n] += load_pair(p + i[0]) * TASKCT_SHUFFLE(low, low, 0, 0, 0, 0, 4, 4, 4, 4);
        sum[n] += load_pair(right + i[0]) * TASKCT_SHUFFLE(high, high, 0, 0, 0, 0, 4, 4, 4, 4);
        sum[n + 1] += load_pair(p + i[1]) * TASKCT_SHUFFLE(low, low, 1, 1, 1, 1, 5, 5, 5, 5);
        sum[n + 1] += load_pair(right + i[1]) * TASKCT_SHUFFLE(high, high, 1, 1, 1, 1, 5, 5, 5, 5);
        sum[n + 2] += load_pair(p + i[2]) * TASKCT_SHUFFLE(low, low, 2, 2, 2, 2, 6, 6, 6, 6);
        sum[n + 2] += load_pair(right + i[2]) * TASKCT_SHUFFLE(high, high, 2, 2, 2, 2, 6, 6, 6, 6);
        sum[n + 3] += load_pair(p + i[3]) * TASKCT_SHUFFLE(low, low, 3, 3, 3, 3, 7, 7, 7, 7);
        sum[n + 3] += load_pair(right + i[3]) * TASKCT_SHUFFLE(high, high, 3, 3, 3, 3, 7, 7, 7, 7);
    }
}

// Where pixel (y, x) of a turned image lies in the image itself: at first + y * down + x * right.
struct Turn {
    int64_t first, down, right;

    Turn(int64_t code, int64_t rows, int64_t cols) {
        const int64_t y = code & 2 ? -cols : cols, x = code & 4 ? -1 : 1;
        first = (code & 2 ? (rows - 1) * cols : 0) + (code & 4 ? cols - 1 : 0);
        down = code & 1 ? x : y;
        right = code & 1 ? y : x;
    }
    int64_t operator()(int64_t y, int64_t x) const { return first + y * down + x * right; }
};

// Of the lanes' images.
inline std::array<Turn, kLanes> turns_of(const Geometry &g) {
    const auto turn = [&](int l) { return Turn(g.turns[l], g.shape[1], g.shape[2]); };
    return {turn(0), turn(1), turn(2), turn(3)};
}

}  // namespace taskct
