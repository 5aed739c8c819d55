// Joseph's line integrals and their exact transpose for upright scanners, in float: 2D, and 3D with detector rows along z.
//
// One thread owns kRun neighbours along z (one in 2D) of IMAGES images, so that positions are worked out once for all of them.
// Neighbouring threads are neighbours along detector columns or along x: what they read and write lies side by side.
#pragma once

#include "common.h"

// Planes r at which first + step * r may exceed `least` (or fall below it, with both negated), to a margin.
TASKCT_INLINE void keep_above(float first, float step, float least, int &begin, int &end) {
    least -= 1e-3f;
    if (fabsf(step) < 1e-6f) {
        if (first < least - 0.1f) end = begin;
        return;
    }
    const float bound = (least - first) / step;
    if (step > 0)
        begin = greater(begin, below(bound));
    else
        end = lesser(end, above(bound) + 1);
}

// The ray weight in mm per plane.
TASKCT_INLINE float ray_weight(const Job &job, int v, int i, int j) {
    const float *length = job.length + 2 * (i64(v) * job.cols + j), *rise = job.rise + 2 * v;
    const float up = fmaf(float(i), rise[1], rise[0]);
    return sqrtf(fmaf(up, up, length[0])) * length[1];
}

template <int DIM, int IMAGES> TASKCT_INLINE void forward(const Job &job, unsigned n) {
    constexpr int RUN = DIM == 3 ? kRun : 1;
    Counter count{n};
    const int j = count.take(job.cols), i0 = RUN * count.take((job.rows + RUN - 1) / RUN), v = count.take(job.views);
    const i64 voxels = job.size_z * job.size_y * job.size_x, pixels = job.views * job.rows * job.cols;
    const Path path = job.path[i64(v) * job.cols + j];
    const bool along_x = path.first & 1;
    const int planes = int(along_x ? job.size_x : job.size_y), wide = int(along_x ? job.size_y : job.size_x);
    const int size_z = int(job.size_z);
    const float *from = (const float *)(along_x ? job.turned : job.from) + i64(count.left) * IMAGES * voxels;
    int begin = 0, end = planes;
    keep_above(large(path.first), small(path.step), -1, begin, end);
    keep_above(-large(path.first), -small(path.step), float(-wide), begin, end);

    i64 z[RUN], z_step[RUN];
    if (DIM == 3) {
        const Climb climb = job.climb[i64(v) * job.cols + j];
        for (int k = 0; k < RUN; k++) {
            z[k] = climb.z + climb.row * (i0 + k);
            z_step[k] = climb.z_step + climb.row_step * (i0 + k);
        }
        const bool up = climb.row + climb.row_step * ((begin + end) / 2) > 0;
        const i64 top = up ? z[RUN - 1] : z[0], top_step = up ? z_step[RUN - 1] : z_step[0];
        const i64 bottom = up ? z[0] : z[RUN - 1], bottom_step = up ? z_step[0] : z_step[RUN - 1];
        keep_above(large(top), small(top_step), -1, begin, end);
        keep_above(-large(bottom), -small(bottom_step), float(-size_z), begin, end);
        for (int k = 0; k < RUN; k++) z[k] += z_step[k] * begin;
    }
    float sum[RUN][IMAGES];
    for (int k = 0; k < RUN; k++)
        for (int m = 0; m < IMAGES; m++) sum[k][m] = 0;
    i64 at = path.first + path.step * begin;
    for (int r = begin; r < end; r++, at += path.step) {
        const int c = whole(at);
        const float f = part(at);
        const bool left = unsigned(c) < unsigned(wide), right = unsigned(c + 1) < unsigned(wide);
        for (int k = 0; k < RUN; k++) {
            int iz = 0;
            float g = 0;
            if (DIM == 3) {
                iz = whole(z[k]);
                g = part(z[k]);
                z[k] += z_step[k];
            }
            const float *low = from + (i64(iz) * planes + r) * wide + c, *high = low + i64(planes) * wide;
            const bool here = DIM == 2 || unsigned(iz) < unsigned(size_z);
            const bool there = DIM == 3 && unsigned(iz + 1) < unsigned(size_z);
            for (int m = 0; m < IMAGES; m++) {
                const float a = here && left ? low[m * voxels] : 0.0f, b = here && right ? low[m * voxels + 1] : 0.0f;
                float value = fmaf(f, b - a, a);
                if (DIM == 3) {
                    const float d = there && left ? high[m * voxels] : 0.0f, e = there && right ? high[m * voxels + 1] : 0.0f;
                    value = fmaf(g, fmaf(f, e - d, d) - value, value);
                }
                sum[k][m] += value;
            }
        }
    }
    for (int k = 0; k < RUN; k++) {
        const int i = i0 + k;
        if (i >= job.rows) break;
        const float weight = ray_weight(job, v, i, j);
        float *to = (float *)job.to + i64(count.left) * IMAGES * pixels + (i64(v) * job.rows + i) * job.cols + j;
        for (int m = 0; m < IMAGES; m++) to[m * pixels] = sum[k][m] * weight;
    }
}

// p times the weight of its rays: what `adjoint` reads.
TASKCT_INLINE void weigh(const Job &job, unsigned n) {
    Counter count{n};
    const int j = count.take(job.cols), i = count.take(job.rows), v = count.take(job.views);
    ((float *)job.to)[n] = ((const float *)job.from)[n] * ray_weight(job, v, i, j);
}

// Columns whose rays may pass within one sample of (y, x).
TASKCT_INLINE void window(const Job &job, const Sight &sight, int y, int x, int &first, int &last) {
    const i64 top = linear(sight.top, y, x), u = linear(sight.u, y, x);
    float centre, half;
    if (job.curved) {
        const float across = small(top), along = small(u), distance = sqrtf(fmaf(along, along, across * across));
        const float aside = fmaxf(fabsf(fmaf(sight.top_y, along, -sight.u_y * across)),
                                  fabsf(fmaf(sight.top_x, along, -sight.u_x * across)));
        const float step = fmaxf(fabsf(sight.top_y) + fabsf(sight.u_y), fabsf(sight.top_x) + fabsf(sight.u_x));
        const float per = 1.0f / float(job.gamma_step);
        centre = fmaf(atan2f(across, along) - float(job.gamma_offset), per, 0.5f * float(job.cols - 1));
        half = aside * per / (distance * (distance - step));
    } else {
        const float depth = small(u);
        centre = large(top) / depth;
        const float aside = fmaxf(fabsf(fmaf(-centre, sight.u_y, sight.top_y)), fabsf(fmaf(-centre, sight.u_x, sight.top_x)));
        half = aside / (depth - fmaxf(fabsf(sight.u_y), fabsf(sight.u_x)));
    }
    first = greater(0, above(centre - half - kMargin));
    last = lesser(int(job.cols) - 1, below(centre + half + kMargin));
}

template <int DIM, int IMAGES> TASKCT_INLINE void adjoint(const Job &job, unsigned n) {
    constexpr int RUN = DIM == 3 ? kRun : 1;
    Counter count{n};
    const int x = count.take(job.size_x), y = count.take(job.size_y), z0 = RUN * count.take((job.size_z + RUN - 1) / RUN);
    const int piece = count.take(job.parts);
    const i64 voxels = job.size_z * job.size_y * job.size_x, frame = job.rows * job.cols, pixels = job.views * frame;
    const float *p = (const float *)job.from + i64(count.left) * IMAGES * pixels;
    float sum[RUN][IMAGES];
    for (int k = 0; k < RUN; k++)
        for (int m = 0; m < IMAGES; m++) sum[k][m] = 0;
    const int begin = int(job.views * piece / job.parts), end = int(job.views * (piece + 1) / job.parts);
    for (int v = begin; v < end; v++) {
        int first, last;
        window(job, job.sight[v], y, x, first, last);
        for (int j = first; j <= last; j++) {
            const Path path = job.path[i64(v) * job.cols + j];
            const bool along_x = path.first & 1;
            const int r = along_x ? x : y;
            i64 off = path.first + path.step * r - i64(along_x ? y : x) * kOne;
            off = off < 0 ? -off : off;
            if (off >= kOne) continue;
            const float aside = 1.0f - small(off);
            const float *column = p + i64(v) * frame + j;
            if (DIM == 2) {
                for (int m = 0; m < IMAGES; m++) sum[0][m] = fmaf(aside, column[m * pixels], sum[0][m]);
                continue;
            }
            // Row i stands at z + per_row * i; rows within a sample of the run z0 .. z0 + RUN - 1 count.
            const Climb climb = job.climb[i64(v) * job.cols + j];
            const i64 z = climb.z + climb.z_step * r - i64(z0) * kOne, per_row = climb.row + climb.row_step * r;
            const float to_row = 1.0f / small(per_row);
            const float a = (-1.0f - large(z)) * to_row, b = (float(RUN) - large(z)) * to_row;
            const int i0 = greater(0, above(fminf(a, b) - kMargin)), i1 = lesser(int(job.rows) - 1, below(fmaxf(a, b) + kMargin));
            if (i0 > i1) continue;
            const float start = middle(z + per_row * i0), step = small(per_row);
            for (int i = i0; i <= i1; i++) {
                const float at = fmaf(float(i - i0), step, start);
                for (int m = 0; m < IMAGES; m++) {
                    const float value = aside * column[m * pixels + i64(i) * job.cols];
                    for (int k = 0; k < RUN; k++) {
                        const float near = 1.0f - fabsf(at - float(k));
                        if (near > 0) sum[k][m] = fmaf(near, value, sum[k][m]);
                    }
                }
            }
        }
    }
    float *to = (float *)job.to + (i64(piece) * job.images + i64(count.left) * IMAGES) * voxels;
    for (int k = 0; k < RUN; k++) {
        if (z0 + k >= job.size_z) break;
        for (int m = 0; m < IMAGES; m++) to[m * voxels + (i64(z0 + k) * job.size_y + y) * job.size_x + x] = sum[k][m];
    }
}
