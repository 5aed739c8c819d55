// Images and scans in two dimensions with four lanes (quads.h).
#pragma once

#include "quads.h"

namespace taskct {

// Rows of the interleaved image along one axis (its transpose, when the main axis is x) with `pad` zeros or more on each side.
// Eight lanes: the four, and the four after half a turn.
template <int lanes> struct LaneRows {
    static constexpr int64_t pad = 2 * W + 8;
    int64_t count = 0, size = 0, stride = 0;
    RawBuffer<float> p;

    void fill(const Geometry &g, const float *image, bool transposed, int threads) {
        const int64_t ny = g.shape[1], nx = g.shape[2];
        count = transposed ? nx : ny;
        size = transposed ? ny : nx;
        stride = ((size + 2 * pad + 16 / lanes - 1) / (16 / lanes) | 1) * 16;  // an odd number of cache lines
        p.resize(count * stride);
        const auto turns = turns_of(g);
        // Rows from both ends: half a turn takes the pixels of one to the other.
        const int64_t half = (count + 1) / 2;
        constexpr int64_t block = 16;
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t r0 = 0; r0 < half; r0 += block) {
            const int64_t r1 = std::min(half, r0 + block);
            for (int64_t r = r0; r < r1; r++)
                for (const int64_t row : {r, count - 1 - r}) {
                    std::fill_n(&p[row * stride], pad * lanes, 0.0f);
                    std::fill(&p[row * stride + (pad + size) * lanes], &p[0] + (row + 1) * stride, 0.0f);
                }
            for (int64_t i0 = 0; i0 < size; i0 += block)
                for (int64_t r = r0; r < r1; r++)
                    for (const int64_t row : {r, count - 1 - r}) put(turns, image, transposed, row, i0, std::min(size, i0 + block));
        }
    }
    const float *start(int64_t row) const { return p.data() + row * stride; }  // of the zeros before pixel 0

private:
    void put(const std::array<Turn, kLanes> &turns, const float *image, bool transposed, int64_t row, int64_t i0, int64_t i1) {
        const float *from[kLanes];
        int64_t along[kLanes];
        for (int l = 0; l < kLanes; l++) {
            const Turn &t = turns[l];
            along[l] = transposed ? t.down : t.right;
            from[l] = image + t.first + row * (transposed ? t.right : t.down);
        }
        float *to = &p[row * stride + pad * lanes], *opposite = &p[(count - 1 - row) * stride + (pad + size - 1) * lanes + kLanes];
        for (int64_t i = i0; i < i1; i++) {
            const Four pixel = {from[0][i * along[0]], from[1][i * along[1]], from[2][i * along[2]], from[3][i * along[3]]};
            store_four(to + i * lanes, pixel);
            if (lanes > kLanes) store_four(opposite - i * lanes, pixel);
        }
    }
};

// The scan as pixel-driven kernels go through it: view by view with one image, or quad by quad with four.
template <class Value> struct Scan;

template <> struct Scan<float> {
    static constexpr bool four = false;
    static int64_t count(const Geometry &g) { return g.views; }
    static int64_t lead(const Geometry &, int64_t n) { return n; }
    // Detector row n.
    static void row(const Geometry &g, const float *p, int64_t n, float *to) { std::copy(p + n * g.cols, p + (n + 1) * g.cols, to); }
};

template <> struct Scan<Four> {
    static constexpr bool four = true;
    static int64_t count(const Geometry &g) { return g.quads; }
    static int64_t lead(const Geometry &g, int64_t n) { return g.quad_views[n * kLanes]; }
    // The detector rows of a quad, in the order of its lead's columns; a lane without a view is left as it is.
    static void row(const Geometry &g, const float *p, int64_t n, Four *to) {
        for (int l = 0; l < kLanes; l++) {
            const int64_t view = g.quad_views[n * kLanes + l];
            if (view < 0) continue;
            const bool reversed = g.quad_backwards[n * kLanes + l];
            const float *from = p + view * g.cols + (reversed ? g.cols - 1 : 0);
            for (int64_t j = 0; j < g.cols; j++) to[j][l] = from[reversed ? -j : j];
        }
    }
};

// Where the pixels of an image are gathered: in place, or four at a time and then turned back and summed.
template <class Value> struct Gathered;

template <> struct Gathered<float> {
    float *at;
    Gathered(const Geometry &, float *image) : at(image) {}
    void finish(const Geometry &, float *, int) {}
};

template <> struct Gathered<Four> {
    RawBuffer<Four> pixels;  // every one is put by its tile
    Four *at;
    Gathered(const Geometry &g, float *) : pixels(g.shape[1] * g.shape[2]), at(pixels.data()) {}

    void finish(const Geometry &g, float *image, int threads) {
        const int64_t ny = g.shape[1], nx = g.shape[2];
        constexpr int64_t block = 16;
#pragma omp parallel num_threads(threads)
        for (int l = 0; l < kLanes; l++) {  // one after the other: each meets every pixel once
            const Turn t(g.turns[l], ny, nx);
#pragma omp for schedule(static)
            for (int64_t y0 = 0; y0 < ny; y0 += block)
                for (int64_t x0 = 0; x0 < nx; x0 += block)
                    for (int64_t y = y0; y < std::min(ny, y0 + block); y++)
                        for (int64_t x = x0; x < std::min(nx, x0 + block); x++) {
                            float &to = image[t(y, x)];
                            const float value = at[y * nx + x][l];
                            to = l == 0 ? value : to + value;
                        }
        }
    }
};

}  // namespace taskct
