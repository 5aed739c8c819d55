// The exact transpose of Joseph's method in two dimensions, float, as a gather: each pixel collects the rays whose tent covers it.
//
// Ray j = u + delta passes the plane of a pixel at detector coordinate u at a distance, in samples, of
//     |dist| = S |delta| / (1 + k delta)            and adds (1 - |dist|) of its value.
// 1 + k delta is M(j) / M(u), where M counts the planes that the vector from the source to the detector passes. Rays are
// divided by their M(j) beforehand; then their weight is M + k M delta - S M |delta|, M = M(u): two straight lines. With planes
// those between source and pixel,
//     parallel  S constant, k = 0, M = 1
//     flat      M = |planes focal / depth|,  S M = |C| depth / focal,  k M = E   (C: turns of the detector, E: planes of a column)
//     curved    M = |radius / sqrt(1 + T^2)|, S = |planes| (1 + T^2) gamma_step, k = -+ T gamma_step, T = tan of the ray to the
//               main axis; delta is the sine of an angle, to 4th order: the weight loses
//               delta^2 gamma_step^2 (M / 3 + weight / 6)
// so no ray is looked up but its value. Rays of the other main axis are zeros in the row.
#include "buffer.h"
#include "columns.h"
#include "maps.h"
#include "patches.h"
#include "quads2d.h"

#include <type_traits>

namespace taskct {
namespace {

constexpr int kViews = 8;
constexpr int kBands = kTile2d / (kPatchY < kPatchX ? kPatchY : kPatchX);  // patch rows or columns of a tile

// The rays of one view with one main axis.
struct Bundle {
    int64_t view;
    int axis;
    int64_t first_col, last_col;
};

// Bound of S (Tent) of rays that the tables serve: steeper weights are not placed to 2e-6 in single precision.
constexpr double kSteepest = 12;

// What S and k of a bundle need. Coordinates are samples; `plane` runs along the main axis, `other` across it.
struct Tent {
    double scale;  // parallel: S. flat: |C| / focal^2. curved: gamma_step * spacing(main) / spacing(other)
    double lean;   // flat: E / focal. curved: -+ gamma_step
    double plane, other;  // of the source
    double ratio;         // spacing(other) / spacing(main)

    Tent() = default;
    Tent(const Geometry &g, const View &view, Beam beam, int64_t v, int axis) {
        const int n = 3 - axis;
        const double *col = g.col_step + 3 * v, *detector = g.detector + 3 * v;
        ratio = g.spacing[n] / g.spacing[axis];
        lean = plane = other = 0;
        if (beam == Beam::parallel) {
            const double *ray = g.direction + 3 * v;
            const double slope = ray[n] / ray[axis] / ratio;
            scale = std::fabs(col[n] / g.spacing[n] - slope * col[axis] / g.spacing[axis]);
            return;
        }
        const double *source = g.source + 3 * v;
        plane = (source[axis] - g.origin[axis]) / g.spacing[axis];
        other = (source[n] - g.origin[n]) / g.spacing[n];
        const double to_m = detector[axis] - source[axis], to_n = detector[n] - source[n];
        const double turn = to_m * col[n] - to_n * col[axis];
        if (beam == Beam::curved) {
            scale = view.gamma_step / ratio;
            lean = turn > 0 ? -view.gamma_step : view.gamma_step;
            return;
        }
        scale = std::fabs(turn) / (g.spacing[axis] * g.spacing[n]) / (view.focal * view.focal);
        lean = col[axis] / g.spacing[axis] / view.focal;
    }

    // A lower bound of S and an upper bound of |k| over a tile. S is convex in the pixel's place (quadratic over linear), so its
    // tangent plane in the middle of the tile stays below it. False when the source's own plane comes near.
    bool bounds(const View &view, Beam beam, int axis, int tile_row, int tile_col, double &s, double &k) const {
        constexpr double half = (kTile2d - 1) / 2.0;
        s = scale;
        k = 0;
        if (beam == Beam::parallel) return true;
        const double row = tile_row + half, col = tile_col + half;
        const double p = (axis == 1 ? row : col) - plane, o = (axis == 1 ? col : row) - other, near = std::fabs(p) - half;
        if (near < 1) return false;
        const double per = 1 / p, size = std::fabs(p);
        if (beam == Beam::flat) {
            const double d = view.depth(0, row, col), dp = axis == 1 ? view.depth.y : view.depth.x;
            const double dq = axis == 1 ? view.depth.x : view.depth.y, r = d * per;
            s = scale * (r * r * size - half * (std::fabs(2 * r * dp - r * r) + std::fabs(2 * r * dq)));
            k = std::fabs(lean) * (std::fabs(d) + half * (std::fabs(dp) + std::fabs(dq))) / near;
        } else {
            const double t = ratio * o * per;
            s = scale * (size * (1 + t * t) - half * (std::fabs(1 - t * t) + std::fabs(2 * ratio * t)));
            k = std::fabs(lean) * ratio * (std::fabs(o) + half) / near;
        }
        return true;
    }
};

// A bundle prepared for a tile: per band of patches along (a, b, m) and across (c) the main axis.
struct Taps {
    Looks looks;
    int axis;
    int32_t least;      // where the first table that holds a ray of the bundle begins
    uint32_t possible;  // and how many begin after it
    float s, lean;      // parallel: S. flat: S M / depth and k M. curved: lean of Tent
    F a[kBands], b[kBands], c[kBands], m[kBands];

    template <Beam beam>
    void prepare(const Tent &t, const Sight &sight, const View &view, int main_axis, double spacing, int row, int col) {
        axis = main_axis;
        s = float(t.scale);
        lean = float(t.lean);
        if (beam == Beam::parallel) return;
        const int along = axis == 1 ? kPatchY : kPatchX, across = axis == 1 ? kPatchX : kPatchY;
        const F lane_along = axis == 1 ? lane_rows() : lane_cols(), lane_across = axis == 1 ? lane_cols() : lane_rows();
        const double start = (axis == 1 ? row : col) - t.plane;
        const double start_other = (axis == 1 ? col : row) - t.other;
        const double side = sight.d[2] < 0 ? -1 : 1, ahead = start < 0 ? -1 : 1;  // signs of depth and planes
        if (beam == Beam::flat) {
            s = float(t.scale * std::fabs(view.focal) * side);
            lean = float(t.lean * std::fabs(view.focal) * side * ahead);
            for (int n = 0; n * along < kTile2d; n++)
                m[n] = (lane_along + float(start + n * along)) * float(std::fabs(view.focal) * side * ahead);
            return;
        }
        for (int n = 0; n * along < kTile2d; n++) {
            const F planes = lane_along + float(start + n * along);
            a[n] = float(t.scale * ahead) * planes;
            b[n] = float(t.ratio) / planes;
            m[n] = splat(float(view.radius / spacing));
        }
        for (int n = 0; n * across < kTile2d; n++) c[n] = lane_across + float(start_other + n * across);
    }
};

// The rays that cover the pixels of a patch: the first of `taps` in each one's table, and their weights.
template <Beam beam, int taps> inline I weigh(const Taps &t, int patch, F *weight) {
    constexpr int before = (taps - 1) / 2;  // of the ray below the pixel (even), or of the nearest one (odd)
    F r;
    const F place = t.looks.places<beam>(patch, r);  // an odd number of taps counts from the nearest ray
    const I i = truncate(taps % 2 ? place + 0.5f : place);
    const F f = place - to_float(i);
    const int band = t.axis == 1 ? patch / kPatchesX : patch % kPatchesX;
    F below = splat(t.s), above = below, top = splat(1.0f);  // the slopes on both sides, M
    if (beam == Beam::flat) {
        const F d = t.looks.d + splat(t.looks.patch_d[patch]);
        below = d * t.s + t.lean;
        above = d * t.s - t.lean;
        top = t.m[band] * r;
    } else if (beam == Beam::curved) {
        const F tangent = t.c[t.axis == 1 ? patch % kPatchesX : patch / kPatchesX] * t.b[band];
        const F k = tangent * t.lean, square = 1.0f + tangent * tangent, s = t.a[band] * square;
        top = t.m[band] * reciprocal_root(square);
        below = top * (s + k);
        above = top * (s - k);
    }
    const F left = top - below * f, right = top + above * f;
    for (int tap = 0; tap < taps; tap++) {
        const int far = tap - before;
        weight[tap] = far > 0    ? right - above * float(far)
                      : far < 0  ? left + below * float(far)
                      : taps % 2 ? min(left, right)
                                 : left;
        if (beam == Beam::curved) {
            const F delta = f - float(far), square = delta * delta * (t.looks.gamma_step * t.looks.gamma_step);
            weight[tap] -= square * (top * (1 / 3.0f) + weight[tap] * (1 / 6.0f));
        }
        weight[tap] = max(F{}, weight[tap]);
    }
    return i;
}

// Most views have rays of both main axes; a patch away from their border meets those of one.
template <Beam beam> inline bool meets(const Taps &t, int patch) {
    return beam == Beam::parallel || uint32_t(t.looks.start[patch] - t.least) <= t.possible;
}

template <Beam beam, int taps, int width> void add_bundles(const Taps *bundles, int count, Tile<float> &tile) {
    for (int inside = 0; inside < tile.count; inside++) {
        const int patch = tile.patches[inside];
        F even = load(tile.sums + patch * W), odd = {};
        for (int n = 0; n < count; n++) {
            const Taps &t = bundles[n];
            if (!meets<beam>(t, patch)) continue;
            F weight[taps];
            const I i = weigh<beam, taps>(t, patch, weight);
            const float *row = t.looks.row + t.looks.start[patch];
            for (int tap = 0; tap < taps; tap++) {
                const F value = Table<width>(row + tap)(i);
                if (tap % 2) odd += weight[tap] * value;
                else even += weight[tap] * value;
            }
        }
        store(tile.sums + patch * W, even + odd);
    }
}

// The same of four images at once.
template <Beam beam, int taps, int> void add_bundles(const Taps *bundles, int count, Tile<Four> &tile) {
    constexpr int pairs = (taps + 1) / 2, each = 2 * pairs * W;
    alignas(64) int32_t at[kViews * W];
    alignas(64) float weights[kViews * each];
    const float *rows[kViews];
    for (int inside = 0; inside < tile.count; inside++) {
        const int patch = tile.patches[inside];
        int met = 0;
        for (int n = 0; n < count; n++) {
            const Taps &t = bundles[n];
            if (!meets<beam>(t, patch)) continue;
            F weight[2 * pairs] = {};
            const I i = weigh<beam, taps>(t, patch, weight);
            store(at + met * W, (i + int32_t(t.looks.start[patch] + kEdge)) * kLanes);
            for (int pair = 0; pair < pairs; pair++)
                store_weights(weights + met * each + 2 * pair * W, weight[2 * pair], weight[2 * pair + 1]);
            rows[met++] = t.looks.row - kEdge * kLanes;
        }
        Pair sum[W] = {};
        for (int n = 0; n < met; n++) add<pairs>(sum, rows[n], at + n * W, weights + n * each);
        add_sums(reinterpret_cast<float *>(tile.sums + patch * W), sum);
    }
}

// How many rays may cover a pixel of a tile, and how wide a table (patches.h) their look-ups need.
struct Need {
    int taps;  // 2 to 6, or 8; 0 when the tables cannot serve
    int width;
    int queue() const { return kWidths * (std::min(taps, 7) - 2) + width; }
};
constexpr int kQueues = 6 * kWidths;

template <Beam beam, class Value> void add_bundles(int queue, const Taps *bundles, int count, Tile<Value> &tile) {
    const auto with = [&](auto taps) {
        constexpr int most = decltype(taps)::value;
        switch (queue % kWidths) {
            case 0: return add_bundles<beam, most, 0>(bundles, count, tile);
            case 1: return add_bundles<beam, most, std::min(1, kWidths - 1)>(bundles, count, tile);
            default: return add_bundles<beam, most, kWidths - 1>(bundles, count, tile);
        }
    };
    switch (queue / kWidths) {
        case 0: return with(std::integral_constant<int, 2>{});
        case 1: return with(std::integral_constant<int, 3>{});
        case 2: return with(std::integral_constant<int, 4>{});
        case 3: return with(std::integral_constant<int, 5>{});
        case 4: return with(std::integral_constant<int, 6>{});
        default: return with(std::integral_constant<int, 8>{});
    }
}

// A bundle that the tables do not serve: ray by ray in double precision.
template <class Value>
void add_far_bundle(const Geometry &g, const Bundle &b, const View &view, const Value *row, Columns &columns, Tile<Value> &tile) {
    columns.fill(g, view);
    const int plane0 = b.axis == 1 ? tile.row : tile.col, other0 = b.axis == 1 ? tile.col : tile.row;
    const int planes = int(std::min<int64_t>(kTile2d, g.shape[b.axis] - plane0));
    const int others = int(std::min<int64_t>(kTile2d, g.shape[3 - b.axis] - other0));
    for (int64_t j = b.first_col; j <= b.last_col; j++) {
        const double step = columns.step[j], start = columns.first[j] + step * plane0 - other0, last = start + step * (planes - 1);
        const Value value = row[j] * float(g.source ? std::fabs(columns.reach[j]) : 1.0);
        if (columns.axis[j] != b.axis || std::min(start, last) >= others || std::max(start, last) <= -1) continue;
        for (int r = 0; r < planes; r++) {
            const double x = start + step * r, low = std::floor(x);
            const int c = int(low);
            const float f = float(x - low);
            const auto pixel = [&](int other) -> Value & { return b.axis == 1 ? tile.at(r, other) : tile.at(other, r); };
            if (c >= 0 && c < others) pixel(c) += (1 - f) * value;
            if (c + 1 >= 0 && c + 1 < others) pixel(c + 1) += f * value;
        }
    }
}

template <Beam beam>
Need needed(const View &view, const Tent &tent, const Sight &sight, int axis, int row, int col) {
    double s, k;
    if (!tent.bounds(view, beam, axis, row, col, s, k)) return {0, 0};
    const double covered = 2 / std::max(s - k, 1e-9) + 1e-4;  // a tent falls to 0 at delta = 1 / (S -+ k)
    const int taps = covered < 2 ? 2 : covered < 6 ? int(std::ceil(covered)) : covered < 8 ? 8 : 0;
    if (taps == 0 || k * taps / 2 > 0.5 || s > kSteepest) return {0, 0};
    if (beam == Beam::curved && sight.gamma_step * taps / 2 > 0.05) return {0, 0};
    const int width = sight.width();
    return {width < kWidths ? taps : 0, width};
}

template <Beam beam, class Value> void adjoint(const Geometry &g, int threads, const float *p, float *mu) {
    FanTable table;
    std::vector<View> views;
    const int64_t leads = Scan<Value>::count(g);
    views.reserve(leads);
    for (int64_t v = 0; v < leads; v++) views.emplace_back(g, Scan<Value>::lead(g, v), table);

    // Each view's rays, weighted and sorted into one row per main axis.
    std::vector<Bundle> found(2 * leads, {0, 0, 0, -1});
    std::vector<Tent> tents(2 * leads);
    PaddedRows<Value> rows;
    rows.resize(2 * leads, g.cols, false);
#pragma omp parallel num_threads(threads)
    {
        Columns columns;
        Buffer<Value> values(g.cols);
#pragma omp for schedule(static)
        for (int64_t v = 0; v < leads; v++) {
            columns.fill(g, views[v]);
            std::fill(values.begin(), values.end(), Value{});
            Scan<Value>::row(g, p, v, values.data());
            for (int axis = 1; axis < 3; axis++) {
                if (columns.members[axis] == 0) continue;
                const int64_t n = 2 * v + axis - 1;
                int64_t low = 0, high = g.cols - 1;
                while (columns.axis[low] != axis) low++;
                while (columns.axis[high] != axis) high--;
                found[n] = {v, axis, low, high};
                tents[n] = Tent(g, views[v], beam, Scan<Value>::lead(g, v), axis);
                rows.clear(n);
                Value *row = rows.start(n);
                for (int64_t j = low; j <= high; j++) {
                    if (columns.axis[j] != axis) continue;
                    const double planes = std::fabs(columns.reach[j]);  // M, of divergent rays
                    row[j] = values[j] * float(columns.length[j] / (g.source ? planes * planes : planes));
                }
            }
        }
    }

    Gathered<Value> image(g, mu);
    const int64_t across = (g.shape[2] + kTile2d - 1) / kTile2d, tiles = across * ((g.shape[1] + kTile2d - 1) / kTile2d);
#pragma omp parallel num_threads(threads)
    {
        Buffer<Taps> queues(kQueues * kViews);
        Tile<Value> tile;
        Columns columns;
#pragma omp for schedule(dynamic, 1)
        for (int64_t t = 0; t < tiles; t++) {
            tile.start(t, across, g.shape[1], g.shape[2]);
            int count[kQueues] = {};
            const auto flush = [&](int queue) {
                add_bundles<beam>(queue, &queues[queue * kViews], count[queue], tile);
                count[queue] = 0;
            };
            Sight sight = {};
            int64_t seen = -1;
            for (size_t n = 0; n < found.size(); n++) {
                const Bundle &b = found[n];
                if (b.last_col < b.first_col) continue;
                const View &view = views[b.view];
                if (b.view != seen) sight = Sight(g, view, beam, tile.row, tile.col);
                seen = b.view;
                const float reach = sight.reach() + 4;
                if (sight.base + reach < b.first_col || sight.base - reach > b.last_col) continue;
                const Need need = needed<beam>(view, tents[n], sight, b.axis, tile.row, tile.col);
                if (need.taps == 0) {
                    add_far_bundle(g, b, view, rows.at(n), columns, tile);
                    continue;
                }
                const int queue = need.queue();
                Taps &next = queues[queue * kViews + count[queue]++];
                next.looks.prepare<beam>(sight, g.cols, (need.taps - 1) / 2);
                next.looks.row = reinterpret_cast<const float *>(rows.at(n));
                const int64_t beyond = int64_t(sight.span() + 1.52f) + need.taps - 1;  // its start, a table reaches
                next.least = int32_t(b.first_col - beyond);
                next.possible = uint32_t(b.last_col - b.first_col + beyond);
                next.template prepare<beam>(tents[n], sight, view, b.axis, g.spacing[b.axis], tile.row, tile.col);
                if (count[queue] == kViews) flush(queue);
            }
            for (int queue = 0; queue < kQueues; queue++) flush(queue);
            tile.put(image.at, g.shape[1], g.shape[2]);
        }
    }
    image.finish(g, mu, threads);
}

}  // namespace

void adjoint2d(const Geometry &g, int threads, const float *p, float *mu) {
    by_beam(g, [&](auto beam) {
        constexpr Beam kind = decltype(beam)::value;
        if (by_fours(g)) adjoint<kind, Four>(g, threads, p, mu);
        else adjoint<kind, float>(g, threads, p, mu);
    });
}

}  // namespace taskct
