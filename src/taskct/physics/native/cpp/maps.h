// The four linear maps of the seam. T is float or double; arrays are contiguous, images one after the other.
//
// Each has a general kernel that serves every ray, and faster ones for common scanners. A kernel writes the whole output.
// Threads own disjoint parts of the output and sum in a fixed order, so the bytes do not depend on their number.
#pragma once

#include "geometry.h"

namespace taskct {

// Of one image.
inline int64_t voxels(const Geometry &g) { return g.shape[0] * g.shape[1] * g.shape[2]; }
inline int64_t pixels(const Geometry &g) { return g.views * g.rows * g.cols; }

// What the ABI calls.
void forward(const Geometry &g, int threads, int64_t images, const float *mu, float *p);
void forward(const Geometry &g, int threads, int64_t images, const double *mu, double *p);
void adjoint(const Geometry &g, int threads, int64_t images, const float *p, float *mu);
void adjoint(const Geometry &g, int threads, int64_t images, const double *p, double *mu);
void backproject(const Geometry &g, int threads, int64_t images, const float *q, float *mu);
void backproject(const Geometry &g, int threads, int64_t images, const double *q, double *mu);
void backproject_adjoint(const Geometry &g, int threads, int64_t images, const float *mu, float *q);
void backproject_adjoint(const Geometry &g, int threads, int64_t images, const double *mu, double *q);

// General kernels, for one image: any pose, float or double.
template <class T> void forward_general(const Geometry &g, int threads, const T *mu, T *p);
template <class T> void adjoint_general(const Geometry &g, int threads, const T *p, T *mu);
template <class T> void backproject_general(const Geometry &g, int threads, const T *q, T *mu);
template <class T> void backproject_adjoint_general(const Geometry &g, int threads, const T *mu, T *q);

// Two dimensions, float; those that take `images` do several at once.
void forward2d(const Geometry &g, int threads, int64_t images, const float *mu, float *p);
void forward2d_quads(const Geometry &g, int threads, const float *mu, float *p);
void adjoint2d(const Geometry &g, int threads, const float *p, float *mu);
void backproject2d(const Geometry &g, int threads, const float *q, float *mu);
void backproject_adjoint2d(const Geometry &g, int threads, int64_t images, const float *mu, float *q);

// Three dimensions, float, for one image. They return false, having done nothing, when the scanner is not upright (upright.h).
bool forward3d(const Geometry &g, int threads, const float *mu, float *p);
bool forward3d_quads(const Geometry &g, int threads, const float *mu, float *p);
bool adjoint3d_quads(const Geometry &g, int threads, const float *p, float *mu);
bool adjoint3d(const Geometry &g, int threads, const float *p, float *mu);
bool backproject3d_quads(const Geometry &g, int threads, const float *q, float *mu);
bool backproject3d(const Geometry &g, int threads, const float *q, float *mu);
bool backproject_adjoint3d(const Geometry &g, int threads, const float *mu, float *q);

}  // namespace taskct
