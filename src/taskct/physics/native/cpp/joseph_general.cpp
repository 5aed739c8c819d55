// Joseph's method for any ray, 2D and 3D: right for every pose, the measure of the faster kernels.
//
// Forward: threads own rays. Adjoint: threads own planes of the rays' main axis, so that no two write one voxel.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "maps.h"

namespace taskct {
namespace {

// Where the axes of a ray lie in the volume: strides and sizes of its main axis and of the two others.
struct Layout {
    int64_t planes, plane_stride, size[2], stride[2];
};

Layout layout(const Geometry &g, int axis) {
    const int64_t stride[3] = {g.shape[1] * g.shape[2], g.shape[2], 1};
    Layout l{g.shape[axis], stride[axis], {1, 1}, {0, 0}};
    for (int a = 0, at = 0; a < 3; a++) {
        if (a == axis) continue;
        l.size[at] = g.shape[a];
        l.stride[at++] = stride[a];
    }
    return l;
}

// Planes first..last (exclusive) in which first + step * r lies in (-1, size), with a margin of rounding.
void clip(double first, double step, int64_t size, int64_t &begin, int64_t &end) {
    if (std::fabs(step) < 1e-12) {
        if (first <= -1 - 1e-6 || first >= size + 1e-6) end = begin;
        return;
    }
    double a = (-1 - first) / step, b = (size - first) / step;
    if (a > b) std::swap(a, b);
    begin = std::max<double>(begin, std::min<double>(std::floor(a), 1e9));
    end = std::min<double>(end, std::max<double>(std::ceil(b) + 1, -1e9));
}

// The taps of a ray in one plane: up to four offsets and weights.
template <class T, class Visit> inline void taps(const Layout &l, const Ray &ray, int64_t plane, Visit visit) {
    const double a = ray.first[0] + ray.step[0] * plane, b = ray.first[1] + ray.step[1] * plane;
    const double fa = std::floor(a), fb = std::floor(b);
    const int64_t ia = fa, ib = fb;
    const T wa = a - fa, wb = b - fb;
    const int64_t at = plane * l.plane_stride + ia * l.stride[0] + ib * l.stride[1];
    const bool a0 = ia >= 0 && ia < l.size[0], a1 = ia >= -1 && ia + 1 < l.size[0];
    const bool b0 = ib >= 0 && ib < l.size[1], b1 = ib >= -1 && ib + 1 < l.size[1];
    if (a0 && b0) visit(at, (1 - wa) * (1 - wb));
    if (a0 && b1) visit(at + l.stride[1], (1 - wa) * wb);
    if (a1 && b0) visit(at + l.stride[0], wa * (1 - wb));
    if (a1 && b1) visit(at + l.stride[0] + l.stride[1], wa * wb);
}

void clip(const Layout &l, const Ray &ray, int64_t &begin, int64_t &end) {
    clip(ray.first[0], ray.step[0], l.size[0], begin, end);
    clip(ray.first[1], ray.step[1], l.size[1], begin, end);
}

}  // namespace

template <class T> void forward_general(const Geometry &g, int threads, const T *mu, T *p) {
    const Layout layouts[3] = {layout(g, 0), layout(g, 1), layout(g, 2)};
#pragma omp parallel num_threads(threads)
    {
        FanTable table;
#pragma omp for schedule(dynamic, 4)
        for (int64_t v = 0; v < g.views; v++) {
            const View view(g, v, table);
            for (int64_t pixel = 0; pixel < g.rows * g.cols; pixel++) {
                const Ray ray = view.ray(pixel / g.cols, pixel % g.cols);
                const Layout &l = layouts[ray.axis];
                int64_t begin = 0, end = l.planes;
                clip(l, ray, begin, end);
                T sum = 0;
                for (int64_t plane = begin; plane < end; plane++)
                    taps<T>(l, ray, plane, [&](int64_t at, T weight) { sum += weight * mu[at]; });
                p[v * g.rows * g.cols + pixel] = sum * T(ray.weight);
            }
        }
    }
}

template <class T> void adjoint_general(const Geometry &g, int threads, const T *p, T *mu) {
    std::memset(mu, 0, sizeof(T) * g.shape[0] * g.shape[1] * g.shape[2]);
    const int64_t pixels = g.rows * g.cols;
    // Rays are made a chunk of views at a time and sorted by main axis.
    const int64_t chunk = std::max<int64_t>(1, (1 << 16) / pixels);
    std::vector<Ray> rays(std::min(chunk, g.views) * pixels);
    std::vector<int64_t> order[3];
    for (int64_t v0 = 0; v0 < g.views; v0 += chunk) {
        const int64_t v1 = std::min(g.views, v0 + chunk);
#pragma omp parallel num_threads(threads)
        {
            FanTable table;
#pragma omp for schedule(static)
            for (int64_t v = v0; v < v1; v++) {
                const View view(g, v, table);
                for (int64_t n = 0; n < pixels; n++) rays[(v - v0) * pixels + n] = view.ray(n / g.cols, n % g.cols);
            }
        }
        for (auto &list : order) list.clear();
        for (int64_t n = 0; n < (v1 - v0) * pixels; n++) order[rays[n].axis].push_back(n);
        for (int axis = 0; axis < 3; axis++) {
            if (order[axis].empty()) continue;
            const Layout l = layout(g, axis);
            const int64_t band = std::max<int64_t>(1, (l.planes + 4 * threads - 1) / (4 * threads));
            const int64_t bands = (l.planes + band - 1) / band;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
            for (int64_t b = 0; b < bands; b++)
                for (int64_t n : order[axis]) {
                    const Ray &ray = rays[n];
                    int64_t begin = b * band, end = std::min(l.planes, (b + 1) * band);
                    clip(l, ray, begin, end);
                    const T value = p[v0 * pixels + n] * T(ray.weight);
                    for (int64_t plane = begin; plane < end; plane++)
                        taps<T>(l, ray, plane, [&](int64_t at, T weight) { mu[at] += weight * value; });
                }
        }
    }
}

template void forward_general(const Geometry &, int, const float *, float *);
template void forward_general(const Geometry &, int, const double *, double *);
template void adjoint_general(const Geometry &, int, const float *, float *);
template void adjoint_general(const Geometry &, int, const double *, double *);

}  // namespace taskct
