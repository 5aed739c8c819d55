#include "upright.h"

#include "quads.h"

#include <cmath>

namespace taskct {
namespace {

constexpr int64_t kBlock = 16;

// to[b][a] = from[a][b] for a below `rows`, b below `cols`.
void transpose(const float *from, int64_t from_stride, int64_t rows, int64_t cols, float *to, int64_t to_stride) {
    for (int64_t a0 = 0; a0 < rows; a0 += kBlock)
        for (int64_t b0 = 0; b0 < cols; b0 += kBlock)
            for (int64_t b = b0; b < std::min(cols, b0 + kBlock); b++)
                for (int64_t a = a0; a < std::min(rows, a0 + kBlock); a++)
                    to[b * to_stride + a] = from[a * from_stride + b];
}

}  // namespace

bool rows_along_z(const Geometry &g) {
    if (g.dim != 3) return false;
    for (int64_t v = 0; v < g.views; v++) {
        const double *row = g.row_step + 3 * v, *col = g.col_step + 3 * v;
        if (std::fabs(row[1]) + std::fabs(row[2]) > 1e-13 * std::fabs(row[0])) return false;
        if (g.curved && std::fabs(col[0]) > 1e-13 * (std::fabs(col[1]) + std::fabs(col[2]))) return false;
    }
    return true;
}

std::unique_ptr<std::vector<UprightView>> upright_views(const Geometry &g, int threads, bool leads) {
    if (!rows_along_z(g)) return nullptr;
    const int64_t count = leads ? g.quads : g.views;
    auto views = std::make_unique<std::vector<UprightView>>(count);
    int64_t refused = 0;
#pragma omp parallel num_threads(threads) reduction(+ : refused)
    {
        FanTable table;
#pragma omp for schedule(static)
        for (int64_t v = 0; v < count; v++) {
            const View view(g, leads ? g.quad_views[kLanes * v] : v, table);
            UprightView &u = (*views)[v];
            u.fill(g, view);
            for (auto *a : {&u.z, &u.z_step, &u.row, &u.row_step, &u.rise, &u.rise_row}) a->resize(g.cols);
            const double per_z = 1 / g.spacing[0];
            for (int64_t j = 0; j < g.cols; j++) {
                double point0[3], point1[3], way0[3], way1[3];
                view.line(0, j, point0, way0);
                view.line(1, j, point1, way1);  // straight on beyond the detector when it has one row
                const double point_row = point1[0] - point0[0], way_row = way1[0] - way0[0];
                const double per = 1 / u.reach[j];
                u.z_step[j] = way0[0] * per_z * per;
                u.z[j] = (point0[0] - g.origin[0]) * per_z - u.start[j] * u.z_step[j];
                u.row_step[j] = way_row * per_z * per;
                u.row[j] = point_row * per_z - u.start[j] * u.row_step[j];
                u.rise[j] = way0[0];
                u.rise_row[j] = way_row;
                const double last = way0[0] + (g.rows - 1) * way_row;
                const double most = std::max(std::fabs(way0[0]), std::fabs(last)) * per_z;
                const double end = u.row[j] + u.row_step[j] * double(g.shape[u.axis[j]] - 1);
                const bool steep = !(most < std::fabs(u.reach[j]) * (1 - 10 * kTie));
                const bool apart = !(std::max(std::fabs(u.row[j]), std::fabs(end)) < kMostApart);
                if (steep || apart) refused++;
            }
        }
    }
    return refused ? nullptr : std::move(views);
}

void Columns3d::read(const float *volume, int threads) {
    const int64_t plane = size_y * size_x;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t y = 0; y < size_y; y++) transpose(volume + y * size_x, plane, size_z, size_x, at(y, 0), stride);
}

void Columns3d::write(float *volume, int threads) const {
    const int64_t plane = size_y * size_x;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t y = 0; y < size_y; y++) transpose(at(y, 0), stride, size_x, size_z, volume + y * size_x, plane);
}

void DetectorColumns::read(int64_t view, const float *p) { transpose(p, cols, rows, cols, at(view, 0), stride); }

void DetectorColumns::write(int64_t view, float *p) const { transpose(at(view, 0), stride, cols, rows, p, cols); }

}  // namespace taskct
