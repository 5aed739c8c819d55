// The C ABI: four maps in float and double, N images each, and what this build is.
//
// Returns 0, or 1 when memory ran out. Nothing is thrown across the boundary.
#include <cstdlib>
#include <new>

#include "api.h"
#include "maps.h"

namespace {

template <class T> using Map = void (*)(const taskct_geometry &, int, const T *, T *);

template <class T>
int each(Map<T> map, const taskct_geometry *g, int64_t images, int threads, const T *from, int64_t from_size, T *to,
         int64_t to_size) {
    try {
        for (int64_t n = 0; n < images; n++) map(*g, threads, from + n * from_size, to + n * to_size);
    } catch (const std::bad_alloc &) {
        return 1;
    }
    return 0;
}

int64_t voxels(const taskct_geometry *g) { return g->shape[0] * g->shape[1] * g->shape[2]; }
int64_t pixels(const taskct_geometry *g) { return g->views * g->rows * g->cols; }

}  // namespace

#define TASKCT_MAP_OF(name, suffix, T, in, out)                                                                          \
    TASKCT_API int taskct_##name##_##suffix(const taskct_geometry *g, int64_t n, int threads, const T *from, T *to) {     \
        return each<T>(taskct::name, g, n, threads, from, in(g), to, out(g));                                             \
    }
#define TASKCT_MAP(name, in, out)                                                                                         \
    TASKCT_MAP_OF(name, f32, float, in, out)                                                                              \
    TASKCT_MAP_OF(name, f64, double, in, out)

TASKCT_MAP(forward, voxels, pixels)
TASKCT_MAP(adjoint, pixels, voxels)
TASKCT_MAP(backproject, pixels, voxels)
TASKCT_MAP(backproject_adjoint, voxels, pixels)

// The best build that this processor runs: 0 baseline, 1 x86-64-v3, 2 x86-64-v4.
TASKCT_API int taskct_cpu_level() {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    return v4 ? 2 : v3 ? 1 : 0;
#else
    return 0;
#endif
}

// 1 when built with OpenMP; otherwise one thread serves.
TASKCT_API int taskct_has_openmp() {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}
