// Joseph's method for upright cone and parallel beams, float: forward and exact adjoint.
//
// Forward: threads own detector columns. Adjoint: threads own planes of the main axis and add whole z columns to them.
#include "maps.h"
#include "paths3d.h"

namespace taskct {
namespace {

constexpr int kPlanes = 8;         // interpolated z columns kept in the first-level cache
constexpr int64_t kColumns = 32;   // detector columns of one piece of work
constexpr int64_t kViews = 32;     // views whose columns are transposed at a time

void forward_column(const Columns3d &volume, const UprightView &view, int64_t j, int64_t rows, float *buffers,
                    const float *zeros, float *sums) {
    const bool along_y = view.axis[j] == 1;
    const int64_t others = along_y ? volume.size_x : volume.size_y, room = volume.stride + 2 * kMargin;
    const Planes met(view, j, volume.size_y, volume.size_x);
    for (int64_t r0 = met.begin; r0 < met.end; r0 += kPlanes) {
        const int n = int(std::min<int64_t>(kPlanes, met.end - r0));
        Line lines[kPlanes];
        const float *tables[kPlanes];
        const RowRange range(view.line(j, double(r0)), view.line(j, double(r0 + n - 1)), rows, volume.size_z);
        if (range.empty) continue;
        const int64_t b0 = range.begin, b1 = range.end, from = range.from, to = std::min(volume.stride, range.to);
        for (int m = 0; m < n; m++) {
            lines[m] = view.line(j, double(r0 + m));
            const Neighbours at(view.first[j], view.step[j], r0 + m);
            const auto column = [&](int64_t i) {
                if (i < 0 || i >= others) return zeros;
                return along_y ? volume.at(r0 + m, i) : volume.at(i, r0 + m);
            };
            const float *a = column(at.low), *b = column(at.low + 1);
            float *table = buffers + m * room + kMargin;
            for (int64_t z = from; z < to; z += W) {
                const F low = load(a + z);
                store(table + z, low + at.part * (load(b + z) - low));
            }
            tables[m] = table;
        }
        resample_add(lines, tables, n, volume.size_z, b0, b1, sums);
    }
}

}  // namespace

bool forward3d(const Geometry &g, int threads, const float *mu, float *p) {
    const auto views = upright_views(g, threads);
    if (!views) return false;
    Columns3d volume(g);
    volume.read(mu, threads);
    const int64_t pieces = (g.cols + kColumns - 1) / kColumns, rows = (g.rows + W - 1) / W * W;
#pragma omp parallel num_threads(threads)
    {
        Buffer<float> buffers(kPlanes * (volume.stride + 2 * kMargin)), zeros(volume.stride), sums(rows * kColumns), weights(rows);
#pragma omp for schedule(dynamic, 1)
        for (int64_t piece = 0; piece < g.views * pieces; piece++) {
            const int64_t v = piece / pieces, j0 = piece % pieces * kColumns, j1 = std::min(g.cols, j0 + kColumns);
            const UprightView &view = (*views)[v];
            std::fill(sums.begin(), sums.end(), 0.0f);
            for (int64_t j = j0; j < j1; j++) {
                float *column = &sums[(j - j0) * rows];
                forward_column(volume, view, j, g.rows, buffers.data(), zeros.data(), column);
                view.weights(j, g.rows, weights.data());
                for (int64_t i = 0; i < g.rows; i++) column[i] *= weights[i];
            }
            for (int64_t i = 0; i < g.rows; i++)
                for (int64_t j = j0; j < j1; j++)
                    p[(v * g.rows + i) * g.cols + j] = sums[(j - j0) * rows + i];
        }
    }
    return true;
}

bool adjoint3d(const Geometry &g, int threads, const float *p, float *mu) {
    const auto views = upright_views(g, threads);
    if (!views) return false;
    Columns3d volume(g);
    DetectorColumns detector(g, std::min(kViews, g.views));
    const int64_t pixels = g.rows * g.cols;
    for (int64_t v0 = 0; v0 < g.views; v0 += kViews) {
        const int64_t v1 = std::min(g.views, v0 + kViews);
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t v = v0; v < v1; v++) {
            detector.read(v - v0, p + v * pixels);
            Buffer<float> weights(g.rows);
            for (int64_t j = 0; j < g.cols; j++) {
                (*views)[v].weights(j, g.rows, weights.data());
                for (int64_t i = 0; i < g.rows; i++) detector.at(v - v0, j)[i] *= weights[i];
            }
        }
        for (int axis = 1; axis < 3; axis++) {
            const int64_t planes = g.shape[axis], others = g.shape[3 - axis];
            // A band of planes takes a detector column while it is in the first-level cache.
            const int64_t band = std::max<int64_t>(1, std::min<int64_t>(kPlanes, planes / (4 * threads)));
#pragma omp parallel num_threads(threads)
            {
                Buffer<float> beyond(volume.stride);  // takes what falls beside the grid
#pragma omp for schedule(dynamic, 1)
                for (int64_t r0 = 0; r0 < planes; r0 += band)
                    for (int64_t v = v0; v < v1; v++) {
                        const UprightView &view = (*views)[v];
                        if (view.members[axis] == 0) continue;
                        for (int64_t j = 0; j < g.cols; j++) {
                            if (view.axis[j] != axis) continue;
                            for (int64_t r = r0; r < std::min(planes, r0 + band); r++) {
                                const Neighbours at(view.first[j], view.step[j], r);
                                if (at.low < -1 || at.low >= others) continue;
                                const auto column = [&](int64_t i) {
                                    if (i < 0 || i >= others) return beyond.data();
                                    return axis == 1 ? volume.at(r, i) : volume.at(i, r);
                                };
                                spread(detector.at(v - v0, j), g.rows, view.line(j, double(r)), g.shape[0],
                                       column(at.low), 1 - at.part, column(at.low + 1), at.part);
                            }
                        }
                    }
            }
        }
    }
    volume.write(mu, threads);
    return true;
}

}  // namespace taskct
