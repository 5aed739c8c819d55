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
        constexpr int64_t block = 16, deep = 8;
        const int64_t plane = size_y * size_x;
        const auto turns = turns_of(g);
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t y0 = 0; y0 < size_y; y0 += block)
            for (int64_t x0 = 0; x0 < size_x; x0 += block)
                for (int64_t z0 = 0; z0 < stride / kLanes; z0 += deep)
                    for (int64_t y = y0; y < std::min(size_y, y0 + block); y++)
                        for (int64_t x = x0; x < std::min(size_x, x0 + block); x++) {
                            const float *from[kLanes];
                            for (int l = 0; l < kLanes; l++) from[l] = volume + turns[l](y, x);
                            float *column = at(y, x);
                            const int64_t z1 = std::min(size_z, z0 + deep);
                            for (int64_t z = z0; z < z1; z++) {
                                const int64_t n = z * plane;
                                const Four four = {from[0][n], from[1][n], from[2][n], from[3][n]};
                                store_four(column + z * kLanes, four);
                            }
                            for (int64_t z = std::max(z0, z1); z < z0 + deep; z++) store_four(column + z * kLanes, Four{});
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

// Where four lanes of a line are read: for each of n positions an index, its first sample, and weights (quads.h).
struct Reads {
    alignas(64) int32_t at[kBlocks * W];
    alignas(64) float weights[kBlocks * 8 * W];
};

// n blocks of positions start + step * k in a line of `size` samples with kPad zeros around: linear interpolation.
inline void interpolate(double start, double step, int64_t n, int64_t size, Reads &reads) {
    Places places;
    const double down = std::min(0.0, step * (W - 1));
    places.fill(start + down, step * W, n, -1e6, 1e6);
    const F offset = lane_numbers() * float(step) - splat(float(down));
    const I least = I{} + int32_t(kPad - 2), most = I{} + int32_t(kPad + size);
    for (int64_t b = 0; b < n; b++) {
        const F x = offset + splat(places.part[b]);
        const I i = truncate(x);
        const F f = x - to_float(i);
        store(reads.at + b * W, min(max(i + (places.whole[b] + int32_t(kPad)), least), most) * kLanes);
        store_weights(reads.weights + b * 2 * W, 1.0f - f, f);
    }
}

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
