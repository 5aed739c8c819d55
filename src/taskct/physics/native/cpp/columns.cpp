#include "columns.h"

#include <cmath>

namespace taskct {

void Columns::fill(const Geometry &g, const View &view, int64_t n) {
    for (auto *a : {&first, &step, &reach, &start, &length}) a->resize(n);
    axis.resize(n);
    std::vector<double> &py = first, &px = step, &dy = reach, &dx = start;  // reused: point and direction, then results
    view.lines(n, py.data(), px.data(), dy.data(), dx.data());
    const double oy = g.origin[1], ox = g.origin[2], per_y = 1 / g.spacing[1], per_x = 1 / g.spacing[2];
    int64_t along_x = 0;
    for (int64_t j = 0; j < n; j++) {
        const double uy = dy[j] * per_y, ux = dx[j] * per_x, sy = (py[j] - oy) * per_y, sx = (px[j] - ox) * per_x;
        const bool y_main = std::fabs(uy) >= std::fabs(ux) * (1 - kTie);
        const double main = y_main ? uy : ux, other = y_main ? ux : uy;
        const double s_main = y_main ? sy : sx, s_other = y_main ? sx : sy;
        const double slope = other / main;
        length[j] = std::sqrt(dy[j] * dy[j] + dx[j] * dx[j]);
        axis[j] = y_main ? 1 : 2;
        along_x += y_main ? 0 : 1;
        first[j] = s_other - s_main * slope;
        step[j] = slope;
        reach[j] = main;
        start[j] = s_main;
    }
    members[0] = 0;
    members[1] = n - along_x;
    members[2] = along_x;
}

}  // namespace taskct
