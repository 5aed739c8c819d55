// Voxel-driven weighted back-projection of cone and parallel beams whose detector rows step along z, and its transpose, float.
//
// All voxels of a z column fall on one detector column position with one weight, and on rows at equal distances: two detector
// columns are interpolated once, and the result is read along z. Back-projection: threads own z columns. Transpose: views.
#include "falls3d.h"
#include "maps.h"

namespace taskct {
namespace {

constexpr int kBuffers = 8;      // views at a time: their interpolated columns stay in the first-level cache
constexpr int64_t kViews = 32;   // views whose columns are transposed at a time

std::vector<View> all_views(const Geometry &g, FanTable &table) {
    std::vector<View> views;
    views.reserve(g.views);
    for (int64_t v = 0; v < g.views; v++) views.emplace_back(g, v, table);
    return views;
}

// Mixes two detector columns over the rows that the z column on `line` meets.
void interpolate(const Mix &mix, const Line &line, int64_t rows, int64_t size_z, float *table) {
    const double last = line.start + line.step * (size_z - 1);
    const double low = std::min(line.start, last), high = std::max(line.start, last);
    const int64_t padded = (rows + W - 1) / W * W;
    const int64_t from = int64_t(std::max(0.0, low - 1)) / W * W;
    const int64_t to = std::min<int64_t>(padded, (int64_t(std::max(0.0, std::min(1e9, high + 3))) + W - 1) / W * W);
    for (int64_t i = from; i < to; i += W) store(table + i, mix.w0 * load(mix.a + i) + mix.w1 * load(mix.b + i));
}

// Adds some views to the z column number k of their falls.
void add_views(const Geometry &g, const DetectorColumns &detector, const std::vector<Falls> &falls, int64_t view, int64_t k,
               float *buffers, float *column) {
    const int64_t depth = (g.shape[0] + W - 1) / W * W;
    Line lines[kBuffers], wide_lines[kBuffers];
    Mix mixes[kBuffers];
    const float *tables[kBuffers];
    int n = 0, wide = 0;
    for (size_t m = 0; m < falls.size(); m++, view++) {
        const Falls &f = falls[m];
        if (!f.seen[k]) continue;
        const Line line = {f.start[k], f.step[k]};
        const float *a = detector.at(view, f.low[k]);
        const Mix mix = {a, a + detector.stride, f.weight0[k], f.weight1[k]};
        if (in_window(line.step)) {
            lines[n] = line;
            mixes[n++] = mix;
        } else {
            float *to = buffers + wide * detector.stride + kMargin;
            interpolate(mix, line, detector.rows, g.shape[0], to);
            wide_lines[wide] = line;
            tables[wide++] = to;
        }
    }
    if (n) resample_mix_add(lines, mixes, n, g.rows, depth, column);
    if (wide) resample_add(wide_lines, tables, wide, g.rows, 0, depth, column);
}

}  // namespace

bool backproject3d(const Geometry &g, int threads, const float *q, float *mu) {
    if (!rows_along_z(g)) return false;
    FanTable table;
    const std::vector<View> views = all_views(g, table);
    Columns3d volume(g);
    DetectorColumns detector(g, std::min(kViews, g.views));
    const int64_t room = detector.stride, across = (g.shape[2] + kSide - 1) / kSide;
    const int64_t tiles = across * ((g.shape[1] + kSide - 1) / kSide);
    for (int64_t v0 = 0; v0 < g.views; v0 += kViews) {
        const int64_t v1 = std::min(g.views, v0 + kViews);
#pragma omp parallel num_threads(threads)
        {
            Buffer<float> buffers(kBuffers * room + kMargin);
            std::vector<Falls> falls;
#pragma omp for schedule(static)
            for (int64_t v = v0; v < v1; v++) detector.read(v - v0, q + v * g.rows * g.cols);
#pragma omp for schedule(dynamic, 1)
            for (int64_t t = 0; t < tiles; t++) {
                const int64_t y0 = t / across * kSide, y1 = std::min(g.shape[1], y0 + kSide);
                const int64_t x0 = t % across * kSide, x1 = std::min(g.shape[2], x0 + kSide);
                for (int64_t w0 = v0; w0 < v1; w0 += kBuffers)
                    for (int64_t y = y0; y < y1; y++) {
                        const int64_t w1 = std::min(v1, w0 + kBuffers);
                        falls.clear();
                        for (int64_t v = w0; v < w1; v++) falls.emplace_back(g, views[v], y, x0);
                        for (int64_t x = x0; x < x1; x++)
                            add_views(g, detector, falls, w0 - v0, x - x0, buffers.data(), volume.at(y, x));
                    }
            }
        }
    }
    volume.write(mu, threads);
    return true;
}

bool backproject_adjoint3d(const Geometry &g, int threads, const float *mu, float *q) {
    if (!rows_along_z(g)) return false;
    FanTable table;
    const std::vector<View> views = all_views(g, table);
    // z columns with zeros around, which spread() reads beyond their ends
    const int64_t stride = (g.shape[0] + 15) / 16 * 16 + 2 * kMargin;
    Buffer<float> columns(g.shape[1] * g.shape[2] * stride + kMargin);
    const int64_t plane = g.shape[1] * g.shape[2];
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t y = 0; y < g.shape[1]; y++)
        for (int64_t z = 0; z < g.shape[0]; z++)
            for (int64_t x = 0; x < g.shape[2]; x++)
                columns[(y * g.shape[2] + x) * stride + kMargin + z] = mu[z * plane + y * g.shape[2] + x];
#pragma omp parallel num_threads(threads)
    {
        DetectorColumns detector(g, 1);
#pragma omp for schedule(dynamic, 1)
        for (int64_t v = 0; v < g.views; v++) {
            std::fill(detector.values.begin(), detector.values.end(), 0.0f);
            for (int64_t y = 0; y < g.shape[1]; y++)
                for (int64_t x = 0; x < g.shape[2]; x++) {
                    Fall f = fall(g, views[v], double(y), double(x));
                    if (!f.seen) continue;
                    float *a = detector.at(0, f.low), *b = detector.at(0, f.low + 1);
                    const float *column = &columns[(y * g.shape[2] + x) * stride + kMargin];
                    spread(column, g.shape[0], f.line, g.rows, a, f.weight0, b, f.weight1);
                }
            detector.write(0, q + v * g.rows * g.cols);
        }
    }
    return true;
}

}  // namespace taskct
