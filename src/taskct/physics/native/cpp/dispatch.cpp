// Which kernel serves: the fast ones for common scanners in float, the general ones for everything else.
#include <algorithm>
#include <cmath>

#include "maps.h"
#include "quads.h"

namespace taskct {
namespace {

// Images that share the set-up of views: as many as stay in the second-level cache together.
int64_t together(const Geometry &g) {
    return std::clamp<int64_t>((1 << 18) / ((g.shape[1] + 128) * (g.shape[2] + 128)), 1, 8);
}

// Whether neighbouring rays of some view pass the middle of a slice so far apart that vectors of them would leave what float offsets
// hold.
bool far_apart(const Geometry &g) {
    constexpr double most = 32;  // pixels
    const double finest = std::min(g.spacing[1], g.spacing[2]);
    const double y = g.origin[1] + g.spacing[1] * (g.shape[1] - 1) / 2, x = g.origin[2] + g.spacing[2] * (g.shape[2] - 1) / 2;
    for (int64_t v = 0; v < g.views; v++) {
        double apart = std::hypot(g.col_step[3 * v + 1], g.col_step[3 * v + 2]);
        if (g.source) {
            const double *from = g.source + 3 * v, *to = g.detector + 3 * v;
            apart *= std::hypot(y - from[1], x - from[2]) / std::hypot(to[1] - from[1], to[2] - from[2]);
        }
        if (apart > most * finest) return true;
    }
    return false;
}

// Calls `one` for each image.
template <class T, class One> void each(int64_t images, const T *from, int64_t from_size, T *to, int64_t to_size, One one) {
    for (int64_t n = 0; n < images; n++) one(from + n * from_size, to + n * to_size);
}

// Calls `some` for a few images at a time.
template <class T, class Some>
void few(int64_t images, int64_t most, const T *from, int64_t from_size, T *to, int64_t to_size, Some some) {
    for (int64_t n = 0; n < images; n += most) some(std::min(most, images - n), from + n * from_size, to + n * to_size);
}

}  // namespace

void forward(const Geometry &g, int threads, int64_t images, const float *mu, float *p) {
    if (g.dim == 2 && far_apart(g))
        return each(images, mu, voxels(g), p, pixels(g),
                    [&](const float *from, float *to) { forward_general(g, threads, from, to); });
    if (g.dim == 2 && by_fours(g))
        return each(images, mu, voxels(g), p, pixels(g),
                    [&](const float *from, float *to) { forward2d_quads(g, threads, from, to); });
    if (g.dim == 2)
        return few(images, together(g), mu, voxels(g), p, pixels(g),
                   [&](int64_t n, const float *from, float *to) { forward2d(g, threads, n, from, to); });
    each(images, mu, voxels(g), p, pixels(g), [&](const float *from, float *to) {
        if (!forward3d_quads(g, threads, from, to) && !forward3d(g, threads, from, to))
            forward_general(g, threads, from, to);
    });
}

void adjoint(const Geometry &g, int threads, int64_t images, const float *p, float *mu) {
    each(images, p, pixels(g), mu, voxels(g), [&](const float *from, float *to) {
        if (g.dim == 2) return adjoint2d(g, threads, from, to);
        if (!adjoint3d_quads(g, threads, from, to) && !adjoint3d(g, threads, from, to))
            adjoint_general(g, threads, from, to);
    });
}

void backproject(const Geometry &g, int threads, int64_t images, const float *q, float *mu) {
    each(images, q, pixels(g), mu, voxels(g), [&](const float *from, float *to) {
        if (g.dim == 2) return backproject2d(g, threads, from, to);
        if (!backproject3d_quads(g, threads, from, to) && !backproject3d(g, threads, from, to))
            backproject_general(g, threads, from, to);
    });
}

void backproject_adjoint(const Geometry &g, int threads, int64_t images, const float *mu, float *q) {
    if (g.dim == 2)
        return few(images, together(g), mu, voxels(g), q, pixels(g),
                   [&](int64_t n, const float *from, float *to) { backproject_adjoint2d(g, threads, n, from, to); });
    each(images, mu, voxels(g), q, pixels(g), [&](const float *from, float *to) {
        if (!backproject_adjoint3d(g, threads, from, to)) backproject_adjoint_general(g, threads, from, to);
    });
}

void forward(const Geometry &g, int threads, int64_t images, const double *mu, double *p) {
    each(images, mu, voxels(g), p, pixels(g), [&](const double *from, double *to) { forward_general(g, threads, from, to); });
}

void adjoint(const Geometry &g, int threads, int64_t images, const double *p, double *mu) {
    each(images, p, pixels(g), mu, voxels(g), [&](const double *from, double *to) { adjoint_general(g, threads, from, to); });
}

void backproject(const Geometry &g, int threads, int64_t images, const double *q, double *mu) {
    each(images, q, pixels(g), mu, voxels(g),
         [&](const double *from, double *to) { backproject_general(g, threads, from, to); });
}

void backproject_adjoint(const Geometry &g, int threads, int64_t images, const double *mu, double *q) {
    each(images, mu, voxels(g), q, pixels(g),
         [&](const double *from, double *to) { backproject_adjoint_general(g, threads, from, to); });
}

}  // namespace taskct
