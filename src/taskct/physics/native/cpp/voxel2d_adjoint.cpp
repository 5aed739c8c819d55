// The transpose of pixel-driven back-projection in two dimensions, float: the gradient of filtered back-projection.
//
// Threads own views. Places and weights of a tile's pixels are computed in vectors, then added to the detector one by one. The
// two columns that a pixel falls between are kept in two rows, so that neighbouring pixels do not wait for one another.
#include "maps.h"
#include "patches.h"

namespace taskct {
namespace {

struct Pixels {
    alignas(64) float part[kTile2d], value[kTile2d];
    alignas(64) int32_t col[kTile2d];
};

// The pixels of one tile along one line (a row, or a column when `turned`): where they fall and what they bring.
template <Beam beam>
void place(const Sight &s, int line, bool turned, const float *mu, int64_t stride, int count, int32_t cols, Pixels &out) {
    const int along = turned ? 0 : 1, across = turned ? 1 : 0;
    const float n0 = s.n[2] + s.n[across] * float(line), d0 = s.d[2] + s.d[across] * float(line);
    const int32_t base = int32_t(std::clamp<int64_t>(s.base, -(1 << 24), 1 << 24));
    for (int k = 0; k < count; k++) {
        const float n = n0 + s.n[along] * float(k), r = 1.0f / (d0 + s.d[along] * float(k));
        const float x = position<beam, float>(n, r, s.gamma_step, s.f0), low = std::floor(x);
        float weight = 1.0f;
        if (beam == Beam::flat) weight = r * r;
        if (beam == Beam::curved) {
            const float tan = n * r * s.gamma_step;
            weight = r * r / (1.0f + tan * tan);
        }
        out.part[k] = x - low;
        out.value[k] = weight * mu[k * stride];
        out.col[k] = std::min(std::max(base + int32_t(low), -2), cols);  // -2 and cols take what falls beside
    }
}

template <Beam beam> void transpose(const Geometry &g, int threads, const float *mu, float *q) {
    const int64_t across = (g.shape[2] + kTile2d - 1) / kTile2d, tiles = across * ((g.shape[1] + kTile2d - 1) / kTile2d);
#pragma omp parallel num_threads(threads)
    {
        FanTable table;
        Buffer<float> left(g.cols + 3), right(g.cols + 3);
        Pixels pixels;
#pragma omp for schedule(dynamic, 1)
        for (int64_t v = 0; v < g.views; v++) {
            const View view(g, v, table);
            std::fill(left.begin(), left.end(), 0.0f);
            std::fill(right.begin(), right.end(), 0.0f);
            float *l = left.data() + 2, *h = right.data() + 2;
            for (int64_t t = 0; t < tiles; t++) {
                const int row = int(t / across * kTile2d), col = int(t % across * kTile2d);
                const int rows = int(std::min<int64_t>(kTile2d, g.shape[1] - row));
                const int cols = int(std::min<int64_t>(kTile2d, g.shape[2] - col));
                const float *from = mu + row * g.shape[2] + col;
                const Sight sight(g, view, beam, row, col);
                if (!(sight.largest_tan < 0.12f && sight.reach() < 100.0f)) {  // single precision would not place them
                    for (int r = 0; r < rows; r++)
                        for (int c = 0; c < cols; c++) {
                            const View::Landing at = view.land(0, row + r, col + c);
                            if (!(at.col > -1 && at.col < g.cols)) continue;
                            const int64_t j = int64_t(std::floor(at.col));
                            const float value = float(at.weight) * from[r * g.shape[2] + c], f = float(at.col - j);
                            l[j] += (1 - f) * value;
                            h[j] += f * value;
                        }
                    continue;
                }
                // Along the direction in which neighbours fall farther apart.
                const bool turned = sight.grad_row > sight.grad_col;
                const int lines = turned ? cols : rows, count = turned ? rows : cols;
                const int64_t stride = turned ? g.shape[2] : 1, next = turned ? 1 : g.shape[2];
                for (int line = 0; line < lines; line++) {
                    place<beam>(sight, line, turned, from + line * next, stride, count, int32_t(g.cols), pixels);
                    for (int k = 0; k < count; k++) {
                        const float value = pixels.value[k], more = pixels.part[k] * value;
                        l[pixels.col[k]] += value - more;
                        h[pixels.col[k]] += more;
                    }
                }
            }
            for (int64_t j = 0; j < g.cols; j++) q[v * g.cols + j] = l[j] + h[j - 1];
        }
    }
}

}  // namespace

void backproject_adjoint2d(const Geometry &g, int threads, const float *mu, float *q) {
    switch (beam_of(g)) {
        case Beam::parallel: return transpose<Beam::parallel>(g, threads, mu, q);
        case Beam::flat: return transpose<Beam::flat>(g, threads, mu, q);
        case Beam::curved: return transpose<Beam::curved>(g, threads, mu, q);
    }
}

}  // namespace taskct
