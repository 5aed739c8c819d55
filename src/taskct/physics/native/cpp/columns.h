// The rays of one detector row in the (y, x) plane, all columns at once: what the 2D and the upright 3D kernels share.
#pragma once

#include <cmath>
#include <vector>

#include "geometry.h"

namespace taskct {

// Column j meets plane r of its main axis (1 is y, 2 is x) at first[j] + step[j] * r samples along the other one.
// A unit of its direction vector, source to pixel, passes reach[j] planes (signed) and starts at plane start[j].
struct Columns {
    std::vector<double> first, step, reach, start;
    std::vector<double> length;  // of the direction vector within (y, x), mm
    std::vector<int32_t> axis;
    int64_t members[3];  // how many columns have each main axis

    void fill(const Geometry &g, const View &view) { fill(g, view, g.cols); }
    void fill(const Geometry &g, const View &view, int64_t n);  // the first n columns only
    float weight(int64_t j) const { return float(length[j] / std::fabs(reach[j])); }  // mm in (y, x) from plane to plane
};

}  // namespace taskct
