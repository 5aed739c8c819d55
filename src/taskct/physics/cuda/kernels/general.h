// All four maps for any pose, in float and double: geometry in double precision, one thread per output element and image.
//
// They serve float64, tilted detectors and steep rays, and are the measure of the fast kernels. Both transposes are gathers:
// a window that surely holds every contribution is searched, and each candidate is weighed as the other direction weighs it.
#pragma once

#include "common.h"

struct Ray {
    int axis;                // main axis: 0 z, 1 y, 2 x
    double first[3], step[3];  // at plane r of the main axis: first + step * r along the others
    double weight;           // mm per plane
};

TASKCT_INLINE i64 size_of(const Job &job, int axis) { return axis == 0 ? job.size_z : axis == 1 ? job.size_y : job.size_x; }
TASKCT_INLINE double at(const Linear &f, double z, double y, double x) { return f.z * z + f.y * y + f.x * x + f.constant; }

// Start, in samples, and slope of the ray of pixel (i, j), which may lie beside the detector; its length in mm.
TASKCT_INLINE double line(const Job &job, const Frame &frame, int i, int j, double start[3], double slope[3]) {
    const double di = i - (job.rows - 1) * 0.5, dj = j - (job.cols - 1) * 0.5;
    const double gamma = job.gamma_offset + dj * frame.gamma_step;
    const double along = job.curved ? frame.radius * cos(gamma) : 0, aside = job.curved ? frame.radius * sin(gamma) : 0;
    double squared = 0;
    for (int a = 0; a < 3; a++) {
        const double pixel = frame.detector[a] + di * frame.row[a] + dj * frame.col[a];
        double way = job.parallel ? frame.source[a] : pixel - frame.source[a];
        if (job.curved) way = along * frame.ray_hat[a] + aside * frame.col_hat[a] + frame.height * frame.row_hat[a] + di * frame.row[a];
        start[a] = ((job.parallel ? pixel : frame.source[a]) - job.origin[a]) / job.spacing[a];
        slope[a] = way / job.spacing[a];
        squared += way * way;
    }
    return sqrt(squared);
}

TASKCT_INLINE Ray ray_of(const Job &job, const Frame &frame, int i, int j) {
    double start[3], slope[3];
    const double length = line(job, frame, i, j, start, slope);
    const int lowest = job.dim == 2 ? 1 : 0;
    double most = 0;
    for (int a = lowest; a < 3; a++) most = fmax(most, fabs(slope[a]));
    Ray ray;
    ray.axis = lowest;
    while (ray.axis < 2 && fabs(slope[ray.axis]) < most * (1 - kTie)) ray.axis++;
    for (int a = 0; a < 3; a++) {
        ray.step[a] = a < lowest ? 0 : slope[a] / slope[ray.axis];
        ray.first[a] = a < lowest ? 0 : start[a] - start[ray.axis] * ray.step[a];
    }
    ray.weight = length / fabs(slope[ray.axis]);
    return ray;
}

// The two axes beside the main one.
TASKCT_INLINE int minor(int axis, int which) { return which == 0 ? (axis == 0 ? 1 : 0) : (axis == 2 ? 1 : 2); }

template <class T> TASKCT_INLINE void forward_general(const Job &job, unsigned n) {
    Counter count{n};
    const int j = count.take(job.cols), i = count.take(job.rows), v = count.take(job.views);
    const Ray ray = ray_of(job, job.frame[v], i, j);
    const i64 stride[3] = {job.size_y * job.size_x, job.size_x, 1};
    const int b = minor(ray.axis, 0), c = minor(ray.axis, 1);
    const i64 size_b = size_of(job, b), size_c = size_of(job, c);
    const T *from = (const T *)job.from + i64(count.left) * job.size_z * stride[0];
    T sum = 0;
    for (i64 r = 0; r < size_of(job, ray.axis); r++) {
        const double pb = ray.first[b] + ray.step[b] * double(r), pc = ray.first[c] + ray.step[c] * double(r);
        if (!(pb > -1 && pb < double(size_b) && pc > -1 && pc < double(size_c))) continue;
        const double fb = floor(pb), fc = floor(pc);
        const i64 ib = i64(fb), ic = i64(fc);
        const T wb = T(pb - fb), wc = T(pc - fc);
        const T *low = from + r * stride[ray.axis] + ib * stride[b] + ic * stride[c];
        const bool b0 = ib >= 0, b1 = ib + 1 < size_b, c0 = ic >= 0, c1 = ic + 1 < size_c;
        if (b0 && c0) sum += (1 - wb) * (1 - wc) * low[0];
        if (b0 && c1) sum += (1 - wb) * wc * low[stride[c]];
        if (b1 && c0) sum += wb * (1 - wc) * low[stride[b]];
        if (b1 && c1) sum += wb * wc * low[stride[b] + stride[c]];
    }
    ((T *)job.to)[n] = sum * T(ray.weight);
}

struct Place {
    double row, col, weight;
    bool seen;  // in front of the source
};

TASKCT_INLINE Place place_of(const Job &job, const Frame &frame, double z, double y, double x) {
    const double u = at(frame.depth, z, y, x);
    Place place;
    if (job.curved) {
        const double t = at(frame.across, z, y, x), squared = u * u + t * t, away = sqrt(squared);
        place.row = (at(frame.rise, z, y, x) * frame.radius / away - frame.height) / frame.row_mm + (job.rows - 1) * 0.5;
        place.col = (atan2(t, u) - job.gamma_offset) / frame.gamma_step + (job.cols - 1) * 0.5;
        place.weight = 1 / squared;
    } else {
        place.row = at(frame.row_top, z, y, x) / u;
        place.col = at(frame.col_top, z, y, x) / u;
        place.weight = job.parallel ? 1.0 : 1 / (u * u);
    }
    place.seen = u > 0;
    if (job.dim == 2) place.row = 0;
    return place;
}

TASKCT_INLINE i64 first_at_least(double a, i64 size) { return i64(ceil(fmin(fmax(a, 0.0), double(size)))); }
TASKCT_INLINE i64 last_at_most(double a, i64 size) { return i64(floor(fmin(fmax(a, -1.0), double(size - 1)))); }

// Rows and columns on which rays may pass within one sample of (z, y, x): the box round the corners of the cube about it.
struct Window {
    i64 i0, i1, j0, j1;
};

TASKCT_INLINE Window window_of(const Job &job, const Frame &frame, double z, double y, double x) {
    const Window all{0, job.rows - 1, 0, job.cols - 1};
    double low[2] = {1e300, 1e300}, high[2] = {-1e300, -1e300}, nearest = 1e300, farthest = 0, bottom = 1e300, top = -1e300;
    for (int corner = job.dim == 2 ? 4 : 0; corner < 8; corner++) {
        const double cz = z + (job.dim == 2 ? 0 : (corner & 4 ? 1 : -1)), cy = y + (corner & 2 ? 1 : -1), cx = x + (corner & 1 ? 1 : -1);
        const Place place = place_of(job, frame, cz, cy, cx);
        if (!place.seen) return all;
        low[0] = fmin(low[0], place.row), high[0] = fmax(high[0], place.row);
        low[1] = fmin(low[1], place.col), high[1] = fmax(high[1], place.col);
        if (job.curved) {
            const double away = 1 / sqrt(place.weight), rise = at(frame.rise, cz, cy, cx);
            nearest = fmin(nearest, away), farthest = fmax(farthest, away);
            bottom = fmin(bottom, rise), top = fmax(top, rise);
        }
    }
    if (job.curved && job.dim == 3) {  // rows of a cylinder are curved: bound height and distance apart
        const double edge = fmax(fmax(job.spacing[1], job.spacing[2]), job.spacing[0]);
        const double squared = nearest * nearest - 2 * edge * edge;  // an edge may pass nearer than its ends
        if (!(squared > 0)) return all;
        const double near = sqrt(squared), shift = (job.rows - 1) * 0.5 - frame.height / frame.row_mm, per = frame.radius / frame.row_mm;
        low[0] = bottom * per / (bottom < 0 ? near : farthest) + shift;
        high[0] = top * per / (top > 0 ? near : farthest) + shift;
    }
    const double margin = 1e-6;
    return {first_at_least(low[0] - margin, job.rows), last_at_most(high[0] + margin, job.rows),
            first_at_least(low[1] - margin, job.cols), last_at_most(high[1] + margin, job.cols)};
}

template <class T> TASKCT_INLINE void adjoint_general(const Job &job, unsigned n) {
    Counter count{n};
    int place[3];
    place[2] = count.take(job.size_x), place[1] = count.take(job.size_y), place[0] = count.take(job.size_z);
    const i64 frame_size = job.rows * job.cols;
    const T *from = (const T *)job.from + i64(count.left) * job.views * frame_size;
    T sum = 0;
    for (i64 v = 0; v < job.views; v++) {
        const Frame &frame = job.frame[v];
        const Window w = window_of(job, frame, place[0], place[1], place[2]);
        for (i64 i = w.i0; i <= w.i1; i++)
            for (i64 j = w.j0; j <= w.j1; j++) {
                const Ray ray = ray_of(job, frame, int(i), int(j));
                const double r = place[ray.axis];
                T weight = T(ray.weight);
                for (int which = 0; which < 2; which++) {
                    const int a = minor(ray.axis, which);
                    weight *= T(fmax(0.0, 1 - fabs(ray.first[a] + ray.step[a] * r - place[a])));
                }
                if (weight > 0) sum += weight * from[v * frame_size + i * job.cols + j];
            }
    }
    ((T *)job.to)[n] = sum;
}

template <class T> TASKCT_INLINE void backproject_general(const Job &job, unsigned n) {
    Counter count{n};
    const int x = count.take(job.size_x), y = count.take(job.size_y), z = count.take(job.size_z);
    const i64 frame_size = job.rows * job.cols;
    const T *from = (const T *)job.from + i64(count.left) * job.views * frame_size;
    T sum = 0;
    for (i64 v = 0; v < job.views; v++) {
        const Place place = place_of(job, job.frame[v], z, y, x);
        if (!(place.row > -1 && place.row < double(job.rows) && place.col > -1 && place.col < double(job.cols))) continue;
        const double fi = floor(place.row), fj = floor(place.col);
        const i64 i = i64(fi), j = i64(fj);
        const T wi = T(place.row - fi), wj = T(place.col - fj), w = T(place.weight);
        const T *low = from + v * frame_size + i * job.cols + j;
        const bool i0 = i >= 0, i1 = i + 1 < job.rows, j0 = j >= 0, j1 = j + 1 < job.cols;
        if (i0 && j0) sum += w * (1 - wi) * (1 - wj) * low[0];
        if (i0 && j1) sum += w * (1 - wi) * wj * low[1];
        if (i1 && j0) sum += w * wi * (1 - wj) * low[job.cols];
        if (i1 && j1) sum += w * wi * wj * low[job.cols + 1];
    }
    ((T *)job.to)[n] = sum;
}

template <class T> TASKCT_INLINE void backproject_adjoint_general(const Job &job, unsigned n) {
    Counter count{n};
    const int j = count.take(job.cols), i = count.take(job.rows), v = count.take(job.views);
    const Frame &frame = job.frame[v];
    const Ray ray = ray_of(job, frame, i, j);
    const i64 stride[3] = {job.size_y * job.size_x, job.size_x, 1};
    const int b = minor(ray.axis, 0), c = minor(ray.axis, 1);
    const T *from = (const T *)job.from + i64(count.left) * job.size_z * stride[0];
    // The rays one row and one column off bound, in each plane, the samples that fall on this pixel.
    double first[4][2], step[4][2];
    bool bounded = true;
    for (int corner = 0; corner < 4; corner++) {
        double start[3], slope[3], most = 0;
        line(job, frame, i + (job.dim == 2 ? 0 : corner < 2 ? -1 : 1), j + (corner & 1 ? 1 : -1), start, slope);
        for (int a = 0; a < 3; a++) most = fmax(most, fabs(slope[a]));
        const double main = slope[ray.axis];
        bounded = bounded && fabs(main) > 0.05 * most;
        for (int which = 0; which < 2; which++) {
            const int a = which ? c : b;
            step[corner][which] = job.dim == 2 && a == 0 ? 0 : slope[a] / main;
            first[corner][which] = job.dim == 2 && a == 0 ? 0 : start[a] - start[ray.axis] * step[corner][which];
        }
    }
    const double bulge = job.curved ? double(job.rows) * frame.gamma_step * frame.gamma_step : 0;  // rows of a cylinder are curved
    T sum = 0;
    for (i64 r = 0; r < size_of(job, ray.axis); r++) {
        i64 from_b = 0, from_c = 0, to_b = size_of(job, b) - 1, to_c = size_of(job, c) - 1;
        for (int which = 0; which < 2 && bounded; which++) {
            double low = 1e300, high = -1e300;
            for (int corner = 0; corner < 4; corner++) {
                const double p = first[corner][which] + step[corner][which] * double(r);
                low = fmin(low, p), high = fmax(high, p);
            }
            const double margin = 1e-6 + bulge * (high - low);
            (which ? from_c : from_b) = first_at_least(low - margin, size_of(job, which ? c : b));
            (which ? to_c : to_b) = last_at_most(high + margin, size_of(job, which ? c : b));
        }
        for (i64 ib = from_b; ib <= to_b; ib++)
            for (i64 ic = from_c; ic <= to_c; ic++) {
                double point[3];
                point[ray.axis] = double(r), point[b] = double(ib), point[c] = double(ic);
                const Place place = place_of(job, frame, point[0], point[1], point[2]);
                const double near = fmax(0.0, 1 - fabs(place.row - i)) * fmax(0.0, 1 - fabs(place.col - j));
                if (near > 0) sum += T(near * place.weight) * from[r * stride[ray.axis] + ib * stride[b] + ic * stride[c]];
            }
    }
    ((T *)job.to)[n] = sum;
}
