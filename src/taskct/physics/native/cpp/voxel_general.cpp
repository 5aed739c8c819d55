// Voxel-driven back-projection for any pose, and its transpose.
//
// Back-projection: threads own lines of voxels. Transpose: threads own views.
#include <cmath>
#include <cstring>

#include "maps.h"

namespace taskct {
namespace {

// The taps of one voxel in one view: up to four pixels and weights.
template <class T, class Visit>
inline void taps(const Geometry &g, const View::Landing &landing, Visit visit) {
    const double row = g.dim == 2 ? 0.0 : landing.row;
    if (!(row > -1 && row < g.rows && landing.col > -1 && landing.col < g.cols)) return;
    const double fi = std::floor(row), fj = std::floor(landing.col);
    const int64_t i = fi, j = fj;
    const T wi = row - fi, wj = landing.col - fj, w = landing.weight;
    const int64_t at = i * g.cols + j;
    const bool i0 = i >= 0, i1 = i + 1 < g.rows, j0 = j >= 0, j1 = j + 1 < g.cols;
    if (i0 && j0) visit(at, w * (1 - wi) * (1 - wj));
    if (i0 && j1) visit(at + 1, w * (1 - wi) * wj);
    if (i1 && j0) visit(at + g.cols, w * wi * (1 - wj));
    if (i1 && j1) visit(at + g.cols + 1, w * wi * wj);
}

}  // namespace

template <class T> void backproject_general(const Geometry &g, int threads, const T *q, T *mu) {
    std::memset(mu, 0, sizeof(T) * g.shape[0] * g.shape[1] * g.shape[2]);
    std::vector<FanTable> tables(1);
    std::vector<View> views;
    views.reserve(g.views);
    for (int64_t v = 0; v < g.views; v++) views.emplace_back(g, v, tables[0]);
    const int64_t lines = g.shape[0] * g.shape[1];
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (int64_t line = 0; line < lines; line++) {
        const double z = line / g.shape[1], y = line % g.shape[1];
        T *out = mu + line * g.shape[2];
        for (int64_t v = 0; v < g.views; v++) {
            const T *from = q + v * g.rows * g.cols;
            for (int64_t x = 0; x < g.shape[2]; x++) {
                T sum = 0;
                taps<T>(g, views[v].land(z, y, x), [&](int64_t at, T weight) { sum += weight * from[at]; });
                out[x] += sum;
            }
        }
    }
}

template <class T> void backproject_adjoint_general(const Geometry &g, int threads, const T *mu, T *q) {
#pragma omp parallel num_threads(threads)
    {
        FanTable table;
#pragma omp for schedule(dynamic, 1)
        for (int64_t v = 0; v < g.views; v++) {
            const View view(g, v, table);
            T *to = q + v * g.rows * g.cols;
            std::memset(to, 0, sizeof(T) * g.rows * g.cols);
            const T *from = mu;
            for (int64_t z = 0; z < g.shape[0]; z++)
                for (int64_t y = 0; y < g.shape[1]; y++)
                    for (int64_t x = 0; x < g.shape[2]; x++, from++)
                        taps<T>(g, view.land(z, y, x), [&](int64_t at, T weight) { to[at] += weight * *from; });
        }
    }
}

template void backproject_general(const Geometry &, int, const float *, float *);
template void backproject_general(const Geometry &, int, const double *, double *);
template void backproject_adjoint_general(const Geometry &, int, const float *, float *);
template void backproject_adjoint_general(const Geometry &, int, const double *, double *);

}  // namespace taskct
