// The C ABI: four maps in float and double, N images each, and what this build is.
//
// Returns 0, or 1 when memory ran out. Nothing is thrown across the boundary.
#include <cstdlib>
#include <new>
#include <type_traits>

#include "maps.h"

#if defined(_WIN32)
#define TASKCT_API extern "C" __declspec(dllexport)
#else
#define TASKCT_API extern "C" __attribute__((visibility("default")))
#endif

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

template <class T> int forward(const taskct_geometry *g, int64_t n, int threads, const T *mu, T *p) {
    if constexpr (std::is_same_v<T, float>)
        if (g->dim == 2) return each<T>(taskct::forward2d, g, n, threads, mu, voxels(g), p, pixels(g));
    return each<T>(taskct::forward_general<T>, g, n, threads, mu, voxels(g), p, pixels(g));
}
template <class T> int adjoint(const taskct_geometry *g, int64_t n, int threads, const T *p, T *mu) {
    return each<T>(taskct::adjoint_general<T>, g, n, threads, p, pixels(g), mu, voxels(g));
}
template <class T> int backproject(const taskct_geometry *g, int64_t n, int threads, const T *q, T *mu) {
    if constexpr (std::is_same_v<T, float>)
        if (g->dim == 2) return each<T>(taskct::backproject2d, g, n, threads, q, pixels(g), mu, voxels(g));
    return each<T>(taskct::backproject_general<T>, g, n, threads, q, pixels(g), mu, voxels(g));
}
template <class T> int backproject_adjoint(const taskct_geometry *g, int64_t n, int threads, const T *mu, T *q) {
    return each<T>(taskct::backproject_adjoint_general<T>, g, n, threads, mu, voxels(g), q, pixels(g));
}

}  // namespace

#define TASKCT_MAP(name)                                                                                              \
    TASKCT_API int taskct_##name##_f32(const taskct_geometry *g, int64_t n, int threads, const float *from, float *to) \
    {                                                                                                                 \
        return name<float>(g, n, threads, from, to);                                                                  \
    }                                                                                                                 \
    TASKCT_API int taskct_##name##_f64(const taskct_geometry *g, int64_t n, int threads, const double *from,          \
                                       double *to)                                                                    \
    {                                                                                                                 \
        return name<double>(g, n, threads, from, to);                                                                 \
    }

TASKCT_MAP(forward)
TASKCT_MAP(adjoint)
TASKCT_MAP(backproject)
TASKCT_MAP(backproject_adjoint)

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
