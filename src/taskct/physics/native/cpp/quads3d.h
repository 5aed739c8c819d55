// Volumes and detectors of upright scanners with four lanes (quads.h): contiguous z columns and detector columns of short vectors.
#pragma once

#include "quads.h"
#include "upright.h"

namespace taskct {

// Columns3d of four turned volumes: [y][x][z][lane]. With eight lanes only from the middle up, the last four mirrored in z.
template <int lanes = kLanes> struct QuadColumns {
    static constexpr int64_t lowest(const Geometry &g) { return lanes > kLanes ? (g.shape[0] - 1) / 2 : 0; }

    int64_t size_y, size_x, size_z, stride, pitch;
    RawBuffer<float> values;

    explicit QuadColumns(const Geometry &g)
        : size_y(g.shape[1]), size_x(g.shape[2]), size_z(g.shape[0] - lowest(g)), stride((size_z + kDeep - 1) / kDeep * kDeep * lanes) {
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
        constexpr int64_t block = 16, deep = 8;
        const int64_t plane = size_y * size_x, least = lowest(g);
        const auto turns = turns_of(g);
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t y0 = 0; y0 < size_y; y0 += block)
            for (int64_t x0 = 0; x0 < size_x; x0 += block)
                for (int64_t z0 = 0; z0 < stride / lanes; z0 += deep)
                    for (int64_t y = y0; y < std::min(size_y, y0 + block); y++)
                        for (int64_t x = x0; x < std::min(size_x, x0 + block); x++) {
                            const float *from[kLanes];
                            for (int l = 0; l < kLanes; l++) from[l] = volume + turns[l](y, x);
                            const auto four = [&](int64_t z) {
                                const int64_t n = z * plane;
                                return Four{from[0][n], from[1][n], from[2][n], from[3][n]};
                            };
                            float *column = at(y, x);
                            const int64_t end = std::min(stride / lanes, z0 + deep), z1 = std::min(size_z, end);
                            for (int64_t z = z0; z < z1; z++) {
                                store_four(column + z * lanes, four(least + z));
                                if (lanes > kLanes) store_four(column + z * lanes + kLanes, four(g.shape[0] - 1 - least - z));
                            }
                            for (int64_t z = std::max(z0, z1); z < end; z++) std::fill_n(column + z * lanes, lanes, 0.0f);
                        }
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
    static constexpr int64_t kDeep = lanes > kLanes ? 2 : 16;  // whole cache lines; of eight lanes an odd number is as likely as not

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
                            const int64_t pixel = t(y, x);
                            for (int64_t z = z0; z < std::min(size_z, z0 + block); z++) one(column, pixel, z);
                        }
    }
};

constexpr int64_t kPad = 8;  // zeros beside a line

// Detector columns -1 to cols of some quads, [quad][column][row][lane], zeros around the rows and beside the columns.
struct QuadDetector {
    int64_t rows, cols, stride;
    Buffer<float> values;

    static int64_t column(const Geometry &g) { return (g.rows + 2 * kPad + 15) / 16 * 16 * kLanes + 16; }
    static int64_t bytes(const Geometry &g) { return 4 * (g.cols + 2) * column(g); }  // of a quad

    QuadDetector(const Geometry &g, int64_t quads) : rows(g.rows), cols(g.cols), stride(column(g)) {
        values.assign(quads * (cols + 2) * stride, 0.0f);
    }
    float *at(int64_t place, int64_t col) { return &values[(place * (cols + 2) + col + 1) * stride]; }  // of its zeros
    const float *at(int64_t place, int64_t col) const { return &values[(place * (cols + 2) + col + 1) * stride]; }

    void read(const Geometry &g, int64_t place, int64_t quad, const float *p) {
        constexpr int64_t block = 16;
        const float *from[kLanes];
        int64_t step[kLanes];
        for (int l = 0; l < kLanes; l++) {
            const int64_t view = g.quad_views[quad * kLanes + l];
            step[l] = g.quad_backwards[quad * kLanes + l] ? -1 : 1;
            from[l] = view < 0 ? nullptr : p + view * rows * cols + (step[l] < 0 ? cols - 1 : 0);
        }
        for (int64_t i0 = 0; i0 < rows; i0 += block)
            for (int64_t j = 0; j < cols; j++) {
                float *to = at(place, j) + kPad * kLanes;
                for (int64_t i = i0; i < std::min(rows, i0 + block); i++) {
                    Four four = {};
                    for (int l = 0; l < kLanes; l++)
                        if (from[l]) four[l] = from[l][i * cols + j * step[l]];
                    store_four(to + i * kLanes, four);
                }
            }
    }
};

}  // namespace taskct
