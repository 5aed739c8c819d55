// What every kernel shares: the job, the scanner's tables, and fixed-point positions.
//
// This source is compiled twice: by NVRTC for the GPU, and by the C++ compiler for the CPU, where a loop over the threads runs
// it ("emulated") so that all of its arithmetic is tested without a GPU. Multiply-adds are written as fmaf and contraction is
// off in both, so both do the same operations in the same order.
#pragma once

#ifdef __CUDACC__
#define TASKCT_INLINE __device__ __forceinline__
#define TASKCT_MEMBER __device__ __forceinline__
#else
#include <math.h>
#include <string.h>
#define TASKCT_INLINE static inline
#define TASKCT_MEMBER inline
#endif

typedef long long i64;
typedef unsigned long long u64;

// Positions are integers with 40 fraction bits: exact to add and subtract, the same on every machine, and without the double
// precision that most GPUs are slow at. Samples up to 2^17 are representable with room to spare.
constexpr int kFraction = 40;
constexpr i64 kOne = 1LL << kFraction;
constexpr int kRun = 4;           // 3D: voxels or detector rows, neighbours along z, that one thread does
constexpr double kTie = 1e-9;     // a ray this close to a diagonal takes the earlier axis
constexpr float kMargin = 0.02f;  // columns, rows or samples by which windows are wider than their estimate

// The path of the rays of one view and column in (y, x): at plane r of the main axis they stand at first + step * r samples
// along the other one. The lowest bit of `first` is 1 when the main axis is x.
struct Path {
    i64 first, step;
};

// Along z: at plane r, row i stands at (z + z_step * r) + (row + row_step * r) * i samples.
struct Climb {
    i64 z, z_step, row, row_step;
};

// Where the samples (y, x) of one view fall; lengths are relative to the depth of the grid's middle.
// Flat: column = top / u and row = row_top / u. Curved: top is across, u along, and the row's divisor is the distance.
struct Sight {
    i64 top[3], u[3];  // linear in y, x, 1
    i64 row[4];        // linear in z, y, x, 1
    i64 shift;         // curved: the row at which the rise is 0
    float top_y, top_x, u_y, u_x, weight, unused;
};

// cos and sin of the fan angle of a column, 62 fraction bits; the table begins at column -1 and ends at `cols`.
struct Angle {
    i64 cosine, sine;
};

struct Linear {
    double z, y, x, constant;
};

// One view in double precision, for the general kernels; the formulae are those of physics/backends/rays.py.
struct Frame {
    double detector[3], col[3], row[3], source[3], ray_hat[3], col_hat[3], row_hat[3];  // source: direction when parallel
    double radius, height, row_mm, gamma_step;
    Linear row_top, col_top, depth, across, rise;
};

// The one argument of every kernel. Mirrored by `Job` in taskct/physics/cuda/job.py.
struct Job {
    i64 size_z, size_y, size_x, views, rows, cols;
    i64 images;   // in the whole call
    i64 threads;  // of this launch
    i64 parts;    // into which the views are divided, each with an output of its own
    i64 dim, curved, parallel;
    double spacing[3], origin[3];
    double gamma_step, gamma_offset;
    const void *from, *turned;  // turned: the image with y and x exchanged
    void *to;
    const Path *path;
    const Climb *climb;
    const float *length;  // (views, cols, 2): squared length in (y, x) in mm^2, and 1 / planes passed, of the ray vector
    const float *rise;    // (views, 2): its z part in mm, per row: first + i * second
    const Sight *sight;
    const Angle *angle;
    const Frame *frame;
};
static_assert(sizeof(Job) == TASKCT_JOB_BYTES, "Job differs from its mirror in Python");

// Fixed point to float, for values up to 8, 64 and 2^17.
TASKCT_INLINE float small(i64 a) { return float(int(a >> 12)) * 0x1p-28f; }
TASKCT_INLINE float middle(i64 a) { return float(int(a >> 15)) * 0x1p-25f; }
TASKCT_INLINE float large(i64 a) { return float(int(a >> 26)) * 0x1p-14f; }

TASKCT_INLINE int whole(i64 a) { return int(a >> kFraction); }

// The fraction, in [0, 1).
TASKCT_INLINE float part(i64 a) {
    const unsigned bits = 0x3f800000u | ((unsigned)(a >> (kFraction - 23)) & 0x7fffffu);
#ifdef __CUDACC__
    return __uint_as_float(bits) - 1.0f;
#else
    float f;
    memcpy(&f, &bits, 4);
    return f - 1.0f;
#endif
}

TASKCT_INLINE i64 high(i64 a, i64 b) {
#ifdef __CUDACC__
    return __mul64hi(a, b);
#else
    return i64(((__int128)a * b) >> 64);
#endif
}

// a * b with 62, or 40, fraction bits in b: the result has the fraction bits of a.
template <int FRACTION> TASKCT_INLINE i64 times(i64 a, i64 b) {
    const u64 low = u64(a) * u64(b);
    return i64((u64(high(a, b)) << (64 - FRACTION)) | (low >> FRACTION));
}

TASKCT_INLINE i64 linear(const i64 of[3], int y, int x) { return of[0] * y + of[1] * x + of[2]; }

// Float to the whole number below or above, kept within what an int holds.
TASKCT_INLINE int below(float a) { return int(floorf(fminf(fmaxf(a, -1e6f), 1e6f))); }
TASKCT_INLINE int above(float a) { return int(ceilf(fminf(fmaxf(a, -1e6f), 1e6f))); }
TASKCT_INLINE int lesser(int a, int b) { return a < b ? a : b; }
TASKCT_INLINE int greater(int a, int b) { return a > b ? a : b; }

// atan(t) / t and sqrt(1 + t * t) - 1 for |t| below 0.25, from t * t.
TASKCT_INLINE float atan_over(float tt) {
    return fmaf(tt, fmaf(tt, fmaf(tt, fmaf(tt, 0.11111111f, -0.14285714f), 0.2f), -0.33333333f), 1.0f);
}
TASKCT_INLINE float secant(float tt) { return tt * fmaf(tt, fmaf(tt, fmaf(tt, -0.0390625f, 0.0625f), -0.125f), 0.5f); }

// Which piece of the output a thread owns: it takes coordinates off its number, the fastest first.
struct Counter {
    unsigned left;
    TASKCT_MEMBER int take(i64 size) {
        const unsigned n = (unsigned)size, q = left / n, r = left - q * n;
        left = q;
        return int(r);
    }
};
