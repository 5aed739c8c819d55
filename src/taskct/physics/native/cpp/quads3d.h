// Volumes and detectors of upright scanners with four lanes (quads.h): contiguous z columns and detector columns of short vectors.
#pragma once

#include "quads.h"
#include "upright.h"

namespace taskct {

// Columns3d of four turned volumes: [y][x][z][lane].
struct QuadColumns {
    int64_t size_y, size_x, size_z, stride, pitch;
    RawBuffer<float> values;

    explicit QuadColumns(const Geometry &g)
        : size_y(g.shape[1]), size_x(g.shape[2]), size_z(g.shape[0]), stride((g.shape[0] + 15) / 16 * 16 * kLanes) {
        pitch = (size_x * stride / 16 + stride / 16) / 2 * 32 + 16;
        values.resize(size_y * pitch);
    }
    void clear(int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t y = 0; y < size_y; y++) std::fill_n(at(y, 0), pitch, 0.0f);
    }
    float *at(int64_t y, int64_t x) { return values.data() + y * pitch + x * stride; }
    const float *at(int64_t y, int64_t x) const { return values.data() + y * pitch + x * stride; }

    void read(const Geometry &g, const float *volume, int threads) {
        const int64_t used = size_z * kLanes;
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t y = 0; y < size_y; y++)
            for (int64_t x = 0; x < size_x; x++) std::fill_n(at(y, x) + used, stride - used, 0.0f);
#pragma omp parallel num_threads(threads)
        for (int l = 0; l < kLanes; l++)
            each(g, l, [&](float *column, int64_t pixel, int64_t z) { column[z * kLanes + l] = volume[z * size_y * size_x + pixel]; });
    }
    // The lanes turned back and summed, one after the other: each meets every voxel once.
    void write(const Geometry &g, float *volume, int threads) {
#pragma omp parallel num_threads(threads)
        for (int l = 0; l < kLanes; l++)
            each(g, l, [&](const float *column, int64_t pixel, int64_t z) {
                float &to = volume[z * size_y * size_x + pixel];
                to = l == 0 ? column[z * kLanes] : to + column[z * kLanes + l];
            });
    }

private:
    template <class One> void each(const Geometry &g, int lane, One one) {
        constexpr int64_t block = 16;
        const Turn t(g.turns[lane], size_y, size_x);
#pragma omp for schedule(static)
        for (int64_t y0 = 0; y0 < size_y; y0 += block)
            for (int64_t x0 = 0; x0 < size_x; x0 += block)
                for (int64_t z0 = 0; z0 < size_z; z0 += block)
                    for (int64_t y = y0; y < std::min(size_y, y0 + block); y++)
                        for (int64_t x = x0; x < std::min(size_x, x0 + block); x++) {
                            float *column = at(y, x);
                            const int64_t pixel = t.first + y * t.down + x * t.right;
                            for (int64_t z = z0; z < std::min(size_z, z0 + block); z++) one(column, pixel, z);
                        }
    }
};

}  // namespace taskct
