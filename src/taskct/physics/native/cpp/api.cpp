// The C ABI: four maps in float and double, N images each, and what this build is.
//
// Returns 0, or 1 when memory ran out. Nothing is thrown across the boundary.
#include <cstdlib>
#include <new>

#include "api.h"
#include "maps.h"
#include "pages.h"

namespace {

template <class T> using Map = void (*)(const taskct_geometry &, int, int64_t, const T *, T *);

template <class T>
int call(Map<T> map, const taskct_geometry *g, int64_t images, int threads, const T *from, T *to, int64_t each) {
    try {
        taskct::want_large_pages(to, images * each * sizeof(T));
        map(*g, threads, images, from, to);
    } catch (const std::bad_alloc &) {
        return 1;
    }
    return 0;
}

}  // namespace

#define TASKCT_MAP_OF(name, size, suffix, T)                                                                              \
    TASKCT_API int taskct_##name##_##suffix(const taskct_geometry *g, int64_t n, int threads, const T *from, T *to) {     \
        return call<T>(taskct::name, g, n, threads, from, to, taskct::size(*g));                                          \
    }
#define TASKCT_MAP(name, size) TASKCT_MAP_OF(name, size, f32, float) TASKCT_MAP_OF(name, size, f64, double)

TASKCT_MAP(forward, pixels)
TASKCT_MAP(adjoint, voxels)
TASKCT_MAP(backproject, voxels)
TASKCT_MAP(backproject_adjoint, pixels)

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

// Of taskct_geometry and the functions here; library.py knows the same number.
TASKCT_API int taskct_abi() { return 5; }

// 1 when built with OpenMP; otherwise one thread serves.
TASKCT_API int taskct_has_openmp() {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}
