// The path of a detector column through the planes of an upright scanner's volume: what its kernels share.
#pragma once

#include <algorithm>
#include <cmath>

#include "upright.h"

namespace taskct {

// The planes in which a path first + step * r lies in (-1, size).
inline void clip(double first, double step, int64_t size, int64_t &begin, int64_t &end) {
    if (std::fabs(step) < 1e-12) {
        if (first <= -1 || first >= size) end = begin;
        return;
    }
    double a = (-1 - first) / step, b = (size - first) / step;
    if (a > b) std::swap(a, b);
    begin = std::max(begin, int64_t(std::max(-1e9, std::min(1e9, std::floor(a)))));
    end = std::min(end, int64_t(std::max(-1e9, std::min(1e9, std::ceil(b) + 1))));
}

// The planes of its main axis that the path of detector column j meets.
struct Planes {
    int64_t begin = 0, end;
    Planes(const UprightView &view, int64_t j, int64_t size_y, int64_t size_x) {
        const bool along_y = view.axis[j] == 1;
        end = along_y ? size_y : size_x;
        clip(view.first[j], view.step[j], along_y ? size_x : size_y, begin, end);
    }
};

// Rows (a range, rounded outwards) whose position lies in (-1, size), widened into begin..end.
inline void widen(Line line, int64_t size, double &begin, double &end) {
    if (std::fabs(line.step) < 1e-9) {
        begin = -1e9;
        end = 1e9;
        return;
    }
    const double a = (-1 - line.start) / line.step, b = (size - line.start) / line.step;
    begin = std::min(begin, std::floor(std::min(a, b)));
    end = std::max(end, std::ceil(std::max(a, b)) + 1);
}

// The z columns on both sides of a path in one plane; beyond the grid a column of zeros.
struct Neighbours {
    int64_t low;
    float part;
    Neighbours(double first, double step, int64_t plane) {
        const double x = first + step * plane, whole = std::floor(x);
        low = int64_t(whole);
        part = float(x - whole);
    }
};

// Detector rows begin..end (whole vectors) that meet the volume between two planes of a path, and the samples of z columns,
// from..to, that they read.
struct RowRange {
    bool empty;
    int64_t begin = 0, end = 0, from = 0, to = 0;

    // Of the rows' lines in the first and in the last plane.
    RowRange(Line first, Line second, int64_t rows, int64_t size_z) {
        double row0 = 1e9, row1 = -1e9, z0 = 1e9, z1 = -1e9;
        if (!(first.step * second.step > 0)) row0 = -1e9, row1 = 1e9;  // the source is between them, where all rows meet
        for (const Line &line : {first, second}) {  // else everything is monotone between them
            const double last = line.start + line.step * (rows - 1);
            widen(line, size_z, row0, row1);
            z0 = std::min({z0, line.start, last});
            z1 = std::max({z1, line.start, last});
        }
        empty = z1 <= -1 || z0 >= size_z;
        const auto down = [](double a) { return int64_t(std::max(0.0, a)) / W * W; };
        const auto up = [](double a) { return (int64_t(std::max(0.0, std::min(1e9, a))) + W - 1) / W * W; };
        begin = down(row0);
        end = std::min((rows + W - 1) / W * W, up(row1));
        from = down(z0 - 1);
        to = up(z1 + 3);
    }
};

}  // namespace taskct
