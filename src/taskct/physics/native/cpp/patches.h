// Pixel-driven kernels in two dimensions work on patches of W pixels (4 x 4 with AVX-512, 2 x 4 with AVX2) in tiles of 32 x 32.
//
// The detector coordinates of a patch span a few samples only, so one short table in registers answers all its pixels. An
// image tile meets one view after another with its sums in registers. Positions are float offsets from an anchor, the
// detector pixel under the middle of the tile, which is found in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "buffer.h"
#include "geometry.h"
#include "simd.h"

namespace taskct {

constexpr int kPatchX = W == 4 ? 2 : 4, kPatchY = W / kPatchX;
constexpr int kTile2d = 32;
constexpr int kPatchesX = kTile2d / kPatchX, kPatches = kTile2d * kTile2d / W;
static_assert(kPatches % W == 0, "patches of a tile are prepared in whole vectors");
constexpr float kMostTan = 0.35f;  // of the angle between a curved detector's ray and that of the tile's middle
constexpr int kWidths = W == 16 ? 2 : W == 8 ? 3 : 1;  // of tables: up to 32 entries
constexpr int entries(int width) { return W == 4 ? 32 : W << width; }
constexpr int64_t kEdge = 48;  // zeros beside a detector row: a table of 32 and 8 taps beside it read zeros only

enum class Beam { parallel, flat, curved };

// Calls `with` with the kind of beam as a constant.
template <class With> void by_beam(const Geometry &g, With with) {
    if (!g.source) with(std::integral_constant<Beam, Beam::parallel>{});
    else if (g.curved) with(std::integral_constant<Beam, Beam::curved>{});
    else with(std::integral_constant<Beam, Beam::flat>{});
}

// Offsets of the pixels of a patch and of the patches of a tile.
inline F lane_rows() {
    F a;
    for (int l = 0; l < W; l++) a[l] = float(l / kPatchX);
    return a;
}
inline F lane_cols() {
    F a;
    for (int l = 0; l < W; l++) a[l] = float(l % kPatchX);
    return a;
}
inline int patch_row(int patch) { return patch / kPatchesX * kPatchY; }
inline int patch_col(int patch) { return patch % kPatchesX * kPatchX; }

// The same as vectors.
struct PatchPlaces {
    F lane_row, lane_col;
    alignas(64) float row[kPatches], col[kPatches];
    PatchPlaces() : lane_row(lane_rows()), lane_col(lane_cols()) {
        for (int p = 0; p < kPatches; p++) {
            row[p] = float(patch_row(p));
            col[p] = float(patch_col(p));
        }
    }
};
inline const PatchPlaces kPlaces;

// Value: of one image, or of four (quads.h).
template <class Value> struct Tile {
    int row, col;
    int count, patches[kPatches];  // those that lie inside the image
    alignas(64) Value sums[kPatches * W];

    void start(int64_t number, int64_t across, int64_t rows, int64_t cols) {
        row = int(number / across * kTile2d);
        col = int(number % across * kTile2d);
        count = 0;
        for (int p = 0; p < kPatches; p++)
            if (row + patch_row(p) < rows && col + patch_col(p) < cols) patches[count++] = p;
        std::fill(sums, sums + kPatches * W, Value{});
    }
    Value &at(int r, int c) {
        const int patch = r / kPatchY * kPatchesX + c / kPatchX;
        return sums[patch * W + r % kPatchY * kPatchX + c % kPatchX];
    }
    // Copies the part inside the image.
    void put(Value *image, int64_t rows, int64_t cols) {
        for (int r = 0; r < std::min<int64_t>(kTile2d, rows - row); r++)
            for (int c = 0; c < std::min<int64_t>(kTile2d, cols - col); c++)
                image[(row + r) * cols + col + c] = at(r, c);
    }
};

// One view as one tile sees it. Pixel (r, c) of the tile falls on detector column base + x, with x = n / d for a flat
// detector, the same turned into an angle for a curved one, and d = 1 for parallel rays; n and d are linear in r and c.
struct Sight {
    int64_t base;
    float n[3], d[3];     // rows, columns, constant
    float gamma_step, f0;  // curved only
    float grad_row, grad_col, largest_tan;  // bounds over the tile

    Sight() = default;
    Sight(const Geometry &g, const View &view, Beam beam, int row, int col) {
        const double mid = (kTile2d - 1) / 2.0, y = row + mid, x = col + mid;
        const View::Linear &top = view.col_top, &depth = view.depth, &across = view.across;
        double at, num[2], den[2] = {0, 0}, den_mid = 1, num_mid;
        gamma_step = f0 = 0;
        if (beam == Beam::curved) {
            const double along = depth(0, y, x), aside = across(0, y, x), r = std::sqrt(along * along + aside * aside);
            const double co = along / r, si = aside / r, per = 1 / view.gamma_step;
            at = (std::atan2(aside, along) - g.curved_offset_rad) * per + (g.cols - 1) / 2.0;
            num[0] = (across.y * co - depth.y * si) * per;
            num[1] = (across.x * co - depth.x * si) * per;
            den[0] = depth.y * co + across.y * si;
            den[1] = depth.x * co + across.x * si;
            den_mid = r;
            num_mid = 0;
            base = int64_t(std::floor(at));
            gamma_step = float(view.gamma_step);
            f0 = float(at - base);
        } else {
            den_mid = depth(0, y, x);
            at = top(0, y, x) / den_mid;
            base = int64_t(std::floor(at));
            num[0] = top.y - base * depth.y;
            num[1] = top.x - base * depth.x;
            num_mid = top(0, y, x) - base * den_mid;
            den[0] = depth.y;
            den[1] = depth.x;
        }
        n[0] = float(num[0]);
        n[1] = float(num[1]);
        n[2] = float(num_mid - mid * (num[0] + num[1]));
        d[0] = float(den[0]);
        d[1] = float(den[1]);
        d[2] = float(den_mid - mid * (den[0] + den[1]));
        const double least = std::fabs(den_mid) - mid * (std::fabs(den[0]) + std::fabs(den[1]));
        const double most = (std::fabs(num_mid) + mid * (std::fabs(num[0]) + std::fabs(num[1]))) / least;
        grad_row = float((std::fabs(num[0]) + most * std::fabs(den[0])) / least);
        grad_col = float((std::fabs(num[1]) + most * std::fabs(den[1])) / least);
        largest_tan = least > 0 ? float(most * gamma_step) : 1e9f;
        if (!(least > 0)) grad_row = grad_col = 1e9f;
    }

    float span() const { return (kPatchY - 1) * grad_row + (kPatchX - 1) * grad_col; }

    // The narrowest table, of `entries(width)`, that answers any one neighbour of every pixel of a patch; kWidths when none does
    // or when they are spread over `most` entries.
    int width(int most = 32) const {
        const float needed = span() + 1.52f;  // positions begin within the first entry, and rounding adds a half
        int n = 0;
        while (n < kWidths && !(needed < entries(n))) n++;
        return needed < most && largest_tan < kMostTan ? n : kWidths;
    }

    // Range of detector columns that the tile falls on.
    float reach() const { return kTile2d * (grad_row + grad_col) / 2 + 2; }
};

// x of pixels with numerators n and reciprocal denominators r.
template <Beam beam, class V> inline V position(V n, V r, float gamma_step, float f0) {
    if (beam == Beam::parallel) return n;
    V x = n * r;
    if (beam == Beam::curved) {
        const V t = x * gamma_step, s = t * t;  // atan t = t (1 - s / 3 + s^2 / 5 - ...) to 1e-7 for |t| < kMostTan
        const V far = 1 / 7.0f - s * (1 / 9.0f - s * (1 / 11.0f - s * (1 / 13.0f)));
        x = x - x * s * (1 / 3.0f - s * (1 / 5.0f - s * far)) + f0;
    }
    return x;
}

// A view prepared for the patches of one tile.
struct Looks {
    F n, d;  // of the pixels of a patch against its first one
    float gamma_step;
    const float *row, *change;  // the detector row at column 0, and its differences
    alignas(64) float patch_n[kPatches], patch_d[kPatches], shift[kPatches];
    alignas(64) int32_t start[kPatches];  // where each patch's table begins

    // `below`: how many detector columns before a pixel's own the table must hold.
    template <Beam beam> void prepare(const Sight &s, int64_t cols, int below) {
        n = kPlaces.lane_row * s.n[0] + kPlaces.lane_col * s.n[1];
        d = kPlaces.lane_row * s.d[0] + kPlaces.lane_col * s.d[1];
        gamma_step = s.gamma_step;
        const float half = s.span() / 2 + 0.002f;
        const float hn = s.n[0] * (kPatchY - 1) / 2 + s.n[1] * (kPatchX - 1) / 2;
        const float hd = s.d[0] * (kPatchY - 1) / 2 + s.d[1] * (kPatchX - 1) / 2;
        const int32_t base = int32_t(std::clamp<int64_t>(s.base, -(1 << 23), 1 << 23));
        const F floor_at = splat(float(-kEdge + 1 + below)), top = splat(float(cols + 2 + below)), anchor = splat(float(base));
        for (int p = 0; p < kPatches; p += W) {
            const F r = load(kPlaces.row + p), c = load(kPlaces.col + p);
            const F pn = s.n[2] + s.n[0] * r + s.n[1] * c, pd = s.d[2] + s.d[0] * r + s.d[1] * c;
            const F x = position<beam, F>(pn + hn, reciprocal(pd + hd), s.gamma_step, s.f0), low = floor(x - half);
            store(patch_n + p, beam == Beam::parallel ? pn - low : pn);
            store(patch_d + p, pd);
            store(shift + p, beam == Beam::curved ? s.f0 - low : -low);
            store(start + p, truncate(min(max(anchor + low, floor_at), top)) - below);
        }
    }

    // Positions in the table (without `below`) of the pixels of a patch; r returns 1 / d.
    template <Beam beam> F places(int patch, F &r) const {
        const F pn = n + splat(patch_n[patch]);
        r = beam == Beam::parallel ? F{} : reciprocal(d + splat(patch_d[patch]));
        if (beam == Beam::parallel) return pn;
        return position<beam, F>(pn, r, gamma_step, 0.0f) + splat(shift[patch]);
    }
};

// Detector rows with zeros on both sides, and their differences row[j + 1] - row[j]. Value as in Tile.
template <class Value> struct PaddedRows {
    int64_t stride = 0;
    RawBuffer<Value> row, change;

    // Before a row is filled or read, `clear` it.
    void resize(int64_t count, int64_t cols, bool with_change) {
        stride = (cols + 2 * kEdge + 15) / 16 * 16;
        for (RawBuffer<Value> *rows : {&row, &change}) {
            if (rows == &change && !with_change) continue;
            rows->resize(count * stride + 16);
            std::fill_n(&(*rows)[count * stride], 16, Value{});
        }
    }
    void clear(int64_t n) { std::fill_n(&row[n * stride], stride, Value{}); }
    const Value *at(int64_t n) const { return row.data() + n * stride + kEdge; }
    const Value *change_at(int64_t n) const { return change.data() + n * stride + kEdge; }
    Value *start(int64_t n) { return row.data() + n * stride + kEdge; }
    void difference(int64_t n) {
        const Value *from = row.data() + n * stride;
        Value *to = change.data() + n * stride;
        for (int64_t j = 0; j + 1 < stride; j++) to[j] = from[j + 1] - from[j];
        to[stride - 1] = Value{};
    }
};

}  // namespace taskct
