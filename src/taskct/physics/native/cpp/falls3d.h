// Where the z columns of a volume fall on a detector whose rows step along z: what its voxel-driven kernels share.
#pragma once

#include <algorithm>
#include <cmath>

#include "upright.h"

namespace taskct {

constexpr int64_t kSide = 8;  // z columns are done in tiles of 8 x 8, whose detector columns stay in the second-level cache

// Where the z column at (y, x) falls in one view: between columns `low` and `low + 1`, voxel z at rows start + step * z.
struct Fall {
    int64_t low;
    float weight0, weight1;  // of the two columns, with the distance weight
    Line line;
    bool seen;
};

inline Fall fall(const Geometry &g, const View &view, double y, double x) {
    double col, weight;
    Line line;
    const double depth = view.depth(0, y, x);
    if (g.curved) {
        const double aside = view.across(0, y, x), square = depth * depth + aside * aside;
        col = (std::atan2(aside, depth) - g.curved_offset_rad) / view.gamma_step + (g.cols - 1) / 2.0;
        weight = 1 / square;
        const double scale = view.radius / (std::sqrt(square) * view.row_mm);
        line = {view.rise(0, y, x) * scale - view.height / view.row_mm + (g.rows - 1) / 2.0, view.rise.z * scale};
    } else {
        const double per = 1 / depth;
        col = view.col_top(0, y, x) * per;
        weight = g.source ? per * per : 1.0;
        line = {view.row_top(0, y, x) * per, view.row_top.z * per};
    }
    const double low = std::floor(col);
    const double last = line.start + line.step * (g.shape[0] - 1);
    const bool seen = col > -1 && col < g.cols && std::max(line.start, last) > -1 && std::min(line.start, last) < g.rows;
    const double part = col - low;
    return {seen ? int64_t(low) : 0, float(weight * (1 - part)), float(weight * part), line, seen};
}

// The falls of kSide neighbours, starting at (y, x) and (down, right) apart.
struct Falls {
    alignas(64) double start[kSide], step[kSide];
    alignas(64) float weight0[kSide], weight1[kSide];
    alignas(64) int32_t low[kSide];
    alignas(64) int64_t seen[kSide];  // 0 where the detector does not see the column

    Falls(const Geometry &g, const View &view, int64_t y, int64_t x, int64_t down = 0, int64_t right = 1) {
        if (g.curved) {
            for (int k = 0; k < kSide; k++) {
                const Fall f = fall(g, view, double(y + k * down), double(x + k * right));
                start[k] = f.line.start;
                step[k] = f.line.step;
                weight0[k] = f.weight0;
                weight1[k] = f.weight1;
                low[k] = int32_t(f.low);
                seen[k] = f.seen;
            }
            return;
        }
        // Written for the compiler's vectors, whatever their width.
        const auto along = [&](const View::Linear &l) { return l.y * down + l.x * right; };
        const double depth0 = view.depth(0, y, x), col0 = view.col_top(0, y, x), row0 = view.row_top(0, y, x);
        const double depth1 = along(view.depth), col1 = along(view.col_top), row1 = along(view.row_top), each = view.row_top.z;
        const double last_z = g.shape[0] - 1, last_col = g.cols, last_row = g.rows;
        const bool source = g.source;
        for (int32_t k = 0; k < kSide; k++) {
            const double per = 1 / (depth0 + depth1 * k), col = (col0 + col1 * k) * per, rise = each * per;
            const double first = (row0 + row1 * k) * per, last = first + rise * last_z, square = source ? per * per : 1.0;
            const bool meets = (col > -1) & (col < last_col) & ((first > -1) | (last > -1)) &
                               ((first < last_row) | (last < last_row));
            const double held = meets ? col : 0.0, down = std::floor(held), part = held - down;
            start[k] = first;
            step[k] = rise;
            weight0[k] = float(square * (1 - part));
            weight1[k] = float(square * part);
            low[k] = int32_t(down);
            seen[k] = meets;
        }
    }
};

}  // namespace taskct
