// W places at equal distances in fixed point: adding steps rounds nothing, and whole parts and fractions are had by shuffles alone.
#pragma once

#include "simd.h"

namespace taskct {

constexpr double kMostPosition = 1e9;  // half of what fits beside the 32 bits of a fraction: `advance` goes past the last place
constexpr int64_t kMostSteps = 1024;   // from one start: each adds the rounding of the step, 2^-33

// start, start + step, ... W of them, none beyond kMostPosition, and with `advance` the next W.
class Positions {
public:
    Positions() = default;
    Positions(double start, double step) {
        constexpr double one = 4294967296.0;
        const int64_t first = std::llrint(start * one), by = std::llrint(step * one);
        for (int l = 0; l < W; l += 4)  // so that a shuffle within 128 bits brings them in order
            for (int n = 0; n < 2; n++) {
                low_[l / 2 + n] = first + by * (l + n);
                high_[l / 2 + n] = first + by * (l + 2 + n);
            }
        all_ = Wide{} + by * W;
    }
    void advance() {
        low_ += all_;
        high_ += all_;
    }
    // The whole part, rounded down.
    I whole() const { return (I)words<1>(); }
    // What is beyond it, in 0..1, to 2^-23.
    F part() const { return (F)((Bits)words<0>() >> 9 | 0x3f800000u) - 1.0f; }

private:
    typedef int64_t Wide __attribute__((vector_size(4 * W)));
    typedef uint32_t Bits __attribute__((vector_size(4 * W)));

    // The upper or lower halves of all positions.
    template <int upper> F words() const {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        constexpr int n = upper;
#else
        constexpr int n = 1 - upper;
#endif
#if defined(__AVX512F__) && defined(__AVX512DQ__)
        return (F)_mm512_shuffle_ps((__m512)low_, (__m512)high_, 0x88 + 0x55 * n);
#elif defined(__AVX2__)
        return (F)_mm256_shuffle_ps((__m256)low_, (__m256)high_, 0x88 + 0x55 * n);
#elif defined(__clang__)
        return __builtin_shufflevector((F)low_, (F)high_, n, 2 + n, 4 + n, 6 + n);
#else
        return __builtin_shuffle((F)low_, (F)high_, I{n, 2 + n, 4 + n, 6 + n});
#endif
    }

    Wide low_, high_, all_;
};

}  // namespace taskct
