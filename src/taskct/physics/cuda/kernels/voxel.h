// Voxel-driven weighted back-projection and its exact transpose for upright scanners, in float; threads as in joseph.h.
//
// A place on the detector is a quotient of two positions. The whole column comes from a float estimate; what is left of the
// numerator, exact in fixed point, gives the fraction.
#pragma once

#include "common.h"

// Where a sample (y, x) falls in one view: between column `col` and the next, at `aside` of the way; the row is a numerator over u.
struct Landing {
    int col;
    float aside, per, weight;  // per: 1 / u
    i64 u;
};

// tan of the angle between a direction and a column's, from (across, along) turned to that column with 40 fraction bits.
TASKCT_INLINE float tangent(i64 across, i64 along) { return float(int(across >> 9)) * 0x1p-31f / small(along); }

// The distance from the source: `along` the column nearby, with the tangent to it.
TASKCT_INLINE i64 distance(i64 along, float tangent) {
    return along + (i64(int(small(along) * secant(tangent * tangent) * 0x1p31f)) << 9);
}

TASKCT_INLINE Landing land(const Job &job, const Sight &sight, int y, int x) {
    const i64 top = linear(sight.top, y, x), u = linear(sight.u, y, x);
    Landing there;
    if (job.curved) {
        const float angle = atan2f(small(top), small(u)) - float(job.gamma_offset), per = 1.0f / float(job.gamma_step);
        there.col = below(fmaf(angle, per, 0.5f * float(job.cols - 1)));
        there.col = lesser(greater(there.col, -1), int(job.cols));
        const Angle to = job.angle[there.col + 1];
        const i64 across = times<62>(top, to.cosine) - times<62>(u, to.sine);
        const i64 along = times<62>(u, to.cosine) + times<62>(top, to.sine);
        if (across > (along >> 2) || -across > (along >> 2)) {  // beyond the detector, where the table ends
            there.col = -2;
            there.aside = 0;
            there.u = along;
        } else {
            const float t = tangent(across, along);
            there.aside = t * atan_over(t * t) * per;
            there.u = distance(along, t);
        }
        there.per = 1.0f / small(there.u);
    } else {
        there.u = u;
        there.per = 1.0f / small(u);
        there.col = below(large(top) * there.per);
        const i64 rest = top - u * there.col;
        there.aside = rest > 2 * u || rest < -2 * u ? 0.0f : small(rest) * there.per;
    }
    if (there.aside < 0) {
        there.aside += 1;
        there.col -= 1;
    } else if (there.aside >= 1) {
        there.aside -= 1;
        there.col += 1;
    }
    there.weight = sight.weight * there.per * there.per;
    return there;
}

// The numerator of the row where (z, y, x) falls; z_part is row[0] * z.
TASKCT_INLINE i64 row_top(const Job &job, const Sight &sight, int y, int x, i64 z_part, i64 u) {
    return z_part + linear(sight.row + 1, y, x) + (job.curved ? times<kFraction>(u, sight.shift) : 0);
}

template <int DIM, int IMAGES> TASKCT_INLINE void backproject(const Job &job, unsigned n) {
    constexpr int RUN = DIM == 3 ? kRun : 1;
    Counter count{n};
    const int x = count.take(job.size_x), y = count.take(job.size_y), z0 = RUN * count.take((job.size_z + RUN - 1) / RUN);
    const int piece = count.take(job.parts);
    const i64 voxels = job.size_z * job.size_y * job.size_x, frame = job.rows * job.cols, pixels = job.views * frame;
    const int rows = int(job.rows), cols = int(job.cols);
    const float *q = (const float *)job.from + i64(count.left) * IMAGES * pixels;
    float sum[RUN][IMAGES];
    for (int k = 0; k < RUN; k++)
        for (int m = 0; m < IMAGES; m++) sum[k][m] = 0;
    const int begin = int(job.views * piece / job.parts), end = int(job.views * (piece + 1) / job.parts);
    for (int v = begin; v < end; v++) {
        const Sight &sight = job.sight[v];
        const Landing there = land(job, sight, y, x);
        const bool left = unsigned(there.col) < unsigned(cols), right = unsigned(there.col + 1) < unsigned(cols);
        if (!left && !right) continue;
        const float *pixel = q + i64(v) * frame + there.col;
        if (DIM == 2) {
            for (int m = 0; m < IMAGES; m++) {
                const float a = left ? pixel[m * pixels] : 0.0f, b = right ? pixel[m * pixels + 1] : 0.0f;
                sum[0][m] = fmaf(there.weight, fmaf(there.aside, b - a, a), sum[0][m]);
            }
            continue;
        }
        const i64 top = row_top(job, sight, y, x, sight.row[0] * z0, there.u);
        const int i0 = below(large(top) * there.per);
        const i64 rest = top - there.u * i0;
        const float start = middle(rest) * there.per, step = small(sight.row[0]) * there.per;
        for (int k = 0; k < RUN; k++) {
            const float row = fmaf(float(k), step, start), whole_row = floorf(row), f = row - whole_row;
            const int i = i0 + int(whole_row);
            const bool low = unsigned(i) < unsigned(rows), high = unsigned(i + 1) < unsigned(rows);
            const float *at = pixel + i64(i) * cols;
            for (int m = 0; m < IMAGES; m++) {
                const float *of = at + m * pixels;
                const float a = low && left ? of[0] : 0.0f, b = low && right ? of[1] : 0.0f;
                const float d = high && left ? of[cols] : 0.0f, e = high && right ? of[cols + 1] : 0.0f;
                const float first = fmaf(there.aside, b - a, a), second = fmaf(there.aside, e - d, d);
                sum[k][m] = fmaf(there.weight, fmaf(f, second - first, first), sum[k][m]);
            }
        }
    }
    float *to = (float *)job.to + (i64(piece) * job.images + i64(count.left) * IMAGES) * voxels;
    for (int k = 0; k < RUN; k++) {
        if (z0 + k >= job.size_z) break;
        for (int m = 0; m < IMAGES; m++) to[m * voxels + (i64(z0 + k) * job.size_y + y) * job.size_x + x] = sum[k][m];
    }
}

// A gather: the detector pixel follows the path of its ray and collects, plane by plane, the samples that fall within a column
// and a row of it.
template <int DIM, int IMAGES> TASKCT_INLINE void backproject_adjoint(const Job &job, unsigned n) {
    constexpr int RUN = DIM == 3 ? kRun : 1;
    Counter count{n};
    const int j = count.take(job.cols), i0 = RUN * count.take((job.rows + RUN - 1) / RUN), v = count.take(job.views);
    const i64 voxels = job.size_z * job.size_y * job.size_x, pixels = job.views * job.rows * job.cols;
    const Path path = job.path[i64(v) * job.cols + j];
    const Sight sight = job.sight[v];
    const bool along_x = path.first & 1, curved = job.curved;
    const int planes = int(along_x ? job.size_x : job.size_y), wide = int(along_x ? job.size_y : job.size_x);
    const float *from = (const float *)(along_x ? job.turned : job.from) + i64(count.left) * IMAGES * voxels;

    // off / u is the distance from column j, in columns or as a tangent; both are linear in plane, place and 1.
    i64 off[3], u[3];
    for (int a = 0; a < 3; a++) {
        if (curved) {
            const Angle to = job.angle[j + 1];
            off[a] = times<62>(sight.top[a], to.cosine) - times<62>(sight.u[a], to.sine);
            u[a] = times<62>(sight.u[a], to.cosine) + times<62>(sight.top[a], to.sine);
        } else {
            off[a] = sight.top[a] - sight.u[a] * j;
            u[a] = sight.u[a];
        }
    }
    if (along_x) {
        const i64 o = off[0], w = u[0];
        off[0] = off[1], off[1] = o;
        u[0] = u[1], u[1] = w;
    }
    // |off| < reach * u within `half` samples of the path, where off is 0.
    const float gamma = float(job.gamma_step), reach = curved ? gamma * fmaf(0.5f * gamma, gamma, 1.0f) : 1.0f;
    const float slope = fabsf(curved ? small(off[1]) : large(off[1])) - reach * fabsf(small(u[1]));
    const float per_slope = slope > 1e-3f * reach ? reach / slope : 1e6f;
    const float per_column = curved ? 1.0f / gamma : 1.0f;
    const float z_step = small(sight.row[0]);

    float sum[RUN][IMAGES];
    for (int k = 0; k < RUN; k++)
        for (int m = 0; m < IMAGES; m++) sum[k][m] = 0;
    for (int r = 0; r < planes; r++) {
        const i64 at = path.first + path.step * r;
        const float place = large(at);
        const float half = fmaf(per_slope, small(u[0] * r + u[2]) + small(u[1]) * place, kMargin);
        const int first = greater(0, above(place - half)), last = lesser(wide - 1, below(place + half));
        for (int c = first; c <= last; c++) {
            const i64 aside = off[0] * r + off[1] * c + off[2], along = u[0] * r + u[1] * c + u[2];
            float near;
            i64 divisor = along;
            if (curved) {
                if (aside > (along >> 2) || -aside > (along >> 2)) continue;
                const float t = tangent(aside, along);
                near = 1.0f - fabsf(t * atan_over(t * t) * per_column);
                divisor = distance(along, t);
            } else {
                if (aside > along || -aside > along) continue;
                near = 1.0f - fabsf(small(aside) / small(along));
            }
            if (!(near > 0)) continue;
            const float per = 1.0f / small(divisor), weight = sight.weight * per * per * near;
            const float *sample = from + i64(r) * wide + c;
            if (DIM == 2) {
                for (int m = 0; m < IMAGES; m++) sum[0][m] = fmaf(weight, sample[m * voxels], sum[0][m]);
                continue;
            }
            // Sample z falls on row (top + row[0] * z) / divisor, here counted from i0.
            const i64 top = row_top(job, sight, along_x ? c : r, along_x ? r : c, 0, divisor) - divisor * i0;
            const float d = small(divisor), to_z = 1.0f / z_step;
            const float a = (-d - large(top)) * to_z, b = (float(RUN) * d - large(top)) * to_z;
            const int z0 = greater(0, above(fminf(a, b) - kMargin)), z1 = lesser(int(job.size_z) - 1, below(fmaxf(a, b) + kMargin));
            if (z0 > z1) continue;
            const float start = middle(top + sight.row[0] * z0) * per, step = z_step * per;
            for (int z = z0; z <= z1; z++) {
                const float row = fmaf(float(z - z0), step, start);
                for (int m = 0; m < IMAGES; m++) {
                    const float value = weight * sample[m * voxels + i64(z) * planes * wide];
                    for (int k = 0; k < RUN; k++) {
                        const float share = 1.0f - fabsf(row - float(k));
                        if (share > 0) sum[k][m] = fmaf(share, value, sum[k][m]);
                    }
                }
            }
        }
    }
    for (int k = 0; k < RUN; k++) {
        const int i = i0 + k;
        if (i >= job.rows) break;
        float *to = (float *)job.to + i64(count.left) * IMAGES * pixels + (i64(v) * job.rows + i) * job.cols + j;
        for (int m = 0; m < IMAGES; m++) to[m * pixels] = sum[k][m];
    }
}
