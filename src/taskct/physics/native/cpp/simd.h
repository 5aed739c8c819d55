// A vector of W floats: 16 with AVX-512, 8 with AVX2, 4 elsewhere (SSE2, NEON, anything GCC or Clang know).
//
// Arithmetic is the compiler's own (+ - * on vector types); only table look-ups need intrinsics. They are the heart of the
// kernels: two-register permutes answer from registers what a gather would ask of memory.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace taskct {

#if defined(__AVX512F__) && defined(__AVX512DQ__)
constexpr int W = 16;
#elif defined(__AVX2__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

typedef float F __attribute__((vector_size(4 * W)));
typedef int32_t I __attribute__((vector_size(4 * W)));

inline F splat(float a) {  // not F{} + a, which adds a zero to keep the sign of -0
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return (F)_mm512_set1_ps(a);
#elif defined(__AVX2__)
    return (F)_mm256_set1_ps(a);
#else
    return F{a, a, a, a};
#endif
}

inline F load(const float *p) {
    F a;
    std::memcpy(&a, p, sizeof a);
    return a;
}
inline void store(float *p, F a) { std::memcpy(p, &a, sizeof a); }
inline void store(int32_t *p, I a) { std::memcpy(p, &a, sizeof a); }

inline I truncate(F a) { return __builtin_convertvector(a, I); }
inline F to_float(I a) { return __builtin_convertvector(a, F); }

// 0, 1, 2, ... W - 1
inline F lane_numbers() {
    F a;
    for (int l = 0; l < W; l++) a[l] = float(l);
    return a;
}

inline F floor(F a) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return (F)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#elif defined(__AVX2__)
    return (F)_mm256_floor_ps((__m256)a);
#else
    // Correct to 2^31, which no position reaches.
    const F whole = to_float(truncate(a));
    return whole > a ? whole - 1.0f : whole;
#endif
}

// a > b ? a : b, which compilers do not turn into one instruction by themselves
inline F max(F a, F b) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return (F)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (F)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return a > b ? a : b;
#endif
}
inline F min(F a, F b) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return (F)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (F)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return a < b ? a : b;
#endif
}

inline I max(I a, I b) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return (I)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (I)_mm256_max_epi32((__m256i)a, (__m256i)b);
#else
    return a > b ? a : b;
#endif
}
inline I min(I a, I b) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return (I)_mm512_min_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (I)_mm256_min_epi32((__m256i)a, (__m256i)b);
#else
    return a < b ? a : b;
#endif
}

inline float largest(F a) {
    float m = a[0];
    for (int l = 1; l < W; l++) m = a[l] > m ? a[l] : m;
    return m;
}
inline float smallest(F a) { return -largest(-a); }

// 1 / a to about 1e-7
inline F reciprocal(F a) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    const F r = (F)_mm512_rcp14_ps((__m512)a);
    return r + r * (1.0f - a * r);
#elif defined(__AVX2__)
    const F r = (F)_mm256_rcp_ps((__m256)a);
    return r + r * (1.0f - a * r);
#else
    return 1.0f / a;
#endif
}

// 1 / sqrt(a) to about 1e-7
inline F reciprocal_root(F a) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    const F r = (F)_mm512_rsqrt14_ps((__m512)a);
    return r + r * (0.5f - 0.5f * a * r * r);
#elif defined(__AVX2__)
    return 1.0f / (F)_mm256_sqrt_ps((__m256)a);
#else
    F r;
    for (int l = 0; l < W; l++) r[l] = 1.0f / std::sqrt(a[l]);
    return r;
#endif
}

#if !defined(__AVX2__)
// table[index] from memory, one at a time. Through the stack: moving vector elements one by one costs more.
inline F pick(const float *table, I index) {
    int32_t at[W];
    store(at, index);
    return F{table[at[0]], table[at[1]], table[at[2]], table[at[3]]};
}
#endif

// table[index] anywhere.
inline F gather(const float *table, I index) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return (F)_mm512_i32gather_ps((__m512i)index, table, 4);
#elif defined(__AVX2__)
    return (F)_mm256_i32gather_ps(table, (__m256i)index, 4);
#else
    return pick(table, index);
#endif
}

#if defined(__AVX2__) && !(defined(__AVX512F__) && defined(__AVX512DQ__))
// a or b, by bit 3 or 4 of the index moved to the sign
template <int bit> inline F choose(I index, F a, F b) {
    const __m256 sign = _mm256_castsi256_ps(_mm256_slli_epi32((__m256i)index, 31 - bit));
    return (F)_mm256_blendv_ps((__m256)a, (__m256)b, sign);
}
#endif

// A table of W (width 0), 2 W (1) or 4 W entries (2), held in registers where permutes can answer from them: with AVX2 even
// four permutes and three blends take half the time of a gather.
template <int width> struct Table;
#if defined(__AVX512F__) && defined(__AVX512DQ__)
template <> struct Table<0> {
    __m512 a;
    explicit Table(const float *t) : a(_mm512_loadu_ps(t)) {}
    F operator()(I i) const { return (F)_mm512_permutexvar_ps((__m512i)i, a); }
};
template <> struct Table<1> {
    __m512 a, b;
    explicit Table(const float *t) : a(_mm512_loadu_ps(t)), b(_mm512_loadu_ps(t + 16)) {}
    F operator()(I i) const { return (F)_mm512_permutex2var_ps(a, (__m512i)i, b); }
};
template <> struct Table<2> {
    Table<1> low, high;
    explicit Table(const float *t) : low(t), high(t + 32) {}
    F operator()(I i) const {
        const __mmask16 upper = _mm512_test_epi32_mask((__m512i)i, _mm512_set1_epi32(32));
        return (F)_mm512_mask_blend_ps(upper, (__m512)low(i), (__m512)high(i));
    }
};
#elif defined(__AVX2__)
template <> struct Table<0> {
    __m256 a;
    explicit Table(const float *t) : a(_mm256_loadu_ps(t)) {
        asm("" : "+x"(a));  // loaded first: permutes that read memory take twice as long on AMD's Zen 3
    }
    F operator()(I i) const { return (F)_mm256_permutevar8x32_ps(a, (__m256i)i); }
};
template <> struct Table<1> {
    Table<0> low, high;
    explicit Table(const float *t) : low(t), high(t + 8) {}
    F operator()(I i) const { return choose<3>(i, low(i), high(i)); }
};
template <> struct Table<2> {
    Table<1> low, high;
    explicit Table(const float *t) : low(t), high(t + 16) {}
    F operator()(I i) const { return choose<4>(i, low(i), high(i)); }
};
#else
template <int width> struct Table {
    const float *at;
    explicit Table(const float *t) : at(t) {}
    F operator()(I i) const { return pick(at, i); }
};
#endif

// A table of 2 W entries made of two vectors at hand.
#if defined(__AVX2__)
struct Window {
    F a, b;
    Window(F low, F high) : a(low), b(high) {}
    F operator()(I i) const {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
        return (F)_mm512_permutex2var_ps((__m512)a, (__m512i)i, (__m512)b);
#else
        const __m256 low = _mm256_permutevar8x32_ps((__m256)a, (__m256i)i), high = _mm256_permutevar8x32_ps((__m256)b, (__m256i)i);
        return choose<3>(i, (F)low, (F)high);
#endif
    }
};
#else
struct Window {
    float t[2 * W];
    Window(F low, F high) {
        store(t, low);
        store(t + W, high);
    }
    F operator()(I i) const { return pick(t, i); }
};
#endif

}  // namespace taskct
