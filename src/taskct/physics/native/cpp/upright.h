// Upright scanners: detector rows step along z and no ray has z as its main axis. Circular and helical cone beams, and most
// bi-planar poses, are upright; then a cone beam factorises (resample.h). Rows that stand very far apart are not served either: a
// vector of them would leave what its float offsets hold.
#pragma once

#include <memory>
#include <vector>

#include "buffer.h"
#include "columns.h"
#include "resample.h"

namespace taskct {

constexpr double kMostApart = 1e4;  // samples from row to row

// Detector column j of a view: its path in (y, x), and along z at plane r the rows i = 0, 1, ... stand at
// (z[j] + z_step[j] * r) + i * (row[j] + row_step[j] * r) samples. Row i weighs sqrt(length^2 + (rise + i * rise_row)^2) / |reach|.
struct UprightView : Columns {
    std::vector<double> z, z_step, row, row_step, rise, rise_row;

    Line line(int64_t j, double plane) const { return {z[j] + z_step[j] * plane, row[j] + row_step[j] * plane}; }
    void weights(int64_t j, int64_t rows, float *to) const {
        const double square = length[j] * length[j], per = 1 / std::fabs(reach[j]), rise0 = rise[j], each = rise_row[j];
        for (int32_t i = 0; i < int32_t(rows); i++) {
            const double up = rise0 + i * each;
            to[i] = float(std::sqrt(square + up * up) * per);
        }
    }
};

// All views, or the leads of all quads (quads.h); nothing when the scanner is not upright.
std::unique_ptr<std::vector<UprightView>> upright_views(const Geometry &g, int threads, bool leads = false);

// True when the detector rows step along z, which is all that voxel-driven back-projection asks for.
bool rows_along_z(const Geometry &g);

// A volume with contiguous z columns, [y][x][z], each padded with zeros to whole vectors. Rows of columns are an odd number of
// cache lines apart: at a power of two, the columns of a plane of x would fall on the same few lines of the cache.
struct Columns3d {
    int64_t size_y, size_x, size_z, stride, pitch;
    Buffer<float> values;

    explicit Columns3d(const Geometry &g)
        : size_y(g.shape[1]), size_x(g.shape[2]), size_z(g.shape[0]), stride((g.shape[0] + 15) / 16 * 16) {
        pitch = (size_x * stride / 16 + stride / 16) / 2 * 32 + 16;
        values.assign(size_y * pitch, 0.0f);
    }
    float *at(int64_t y, int64_t x) { return values.data() + y * pitch + x * stride; }
    const float *at(int64_t y, int64_t x) const { return values.data() + y * pitch + x * stride; }
    void read(const float *volume, int threads);
    void write(float *volume, int threads) const;
};

// Detector columns -1 to cols of some views with contiguous rows, [view][col][row], zeros around and beside.
struct DetectorColumns {
    int64_t rows, cols, stride;
    Buffer<float> values;

    DetectorColumns(const Geometry &g, int64_t views)
        : rows(g.rows), cols(g.cols), stride((g.rows + 15) / 16 * 16 + 2 * kMargin) {
        values.assign(views * (cols + 2) * stride + kMargin, 0.0f);
    }
    float *at(int64_t view, int64_t col) { return values.data() + (view * (cols + 2) + col + 1) * stride + kMargin; }
    const float *at(int64_t view, int64_t col) const {
        return values.data() + (view * (cols + 2) + col + 1) * stride + kMargin;
    }
    void read(int64_t view, const float *p);         // from p[row][col]
    void write(int64_t view, float *p) const;        // to p[row][col]
};

}  // namespace taskct
