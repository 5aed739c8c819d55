// Pixel-driven weighted back-projection in two dimensions, float: what filtered back-projection spends its time in.
#include "maps.h"
#include "patches.h"
#include "quads2d.h"

namespace taskct {
namespace {

constexpr int kViews = 16;  // views whose detector stretches share the first-level cache

// 1, U^-2 or L^-2 of the pixels of a patch, r the reciprocal of their depths.
template <Beam beam> inline F weight(const Looks &l, int patch, F r) {
    if (beam == Beam::parallel) return splat(1.0f);
    if (beam == Beam::flat) return r * r;
    const F tan = (l.n + splat(l.patch_n[patch])) * r * l.gamma_step;
    return (r * r) * reciprocal(1.0f + tan * tan);
}

template <Beam beam, int width> void add_views(const Looks *looks, int count, Tile<float> &tile) {
    for (int inside = 0; inside < tile.count; inside++) {
        const int patch = tile.patches[inside];
        F sum = load(tile.sums + patch * W), sloped = {};
        for (int v = 0; v < count; v++) {
            const Looks &l = looks[v];
            F r;
            const F x = l.places<beam>(patch, r);
            const I i = truncate(x);
            const F plain = Table<width>(l.row + l.start[patch])(i);
            const F change = (x - to_float(i)) * Table<width>(l.change + l.start[patch])(i);
            if (beam == Beam::parallel) {
                sum += plain;
                sloped += change;
            } else {
                sum += weight<beam>(l, patch, r) * (plain + change);
            }
        }
        store(tile.sums + patch * W, sum + sloped);
    }
}

// The same of four images at once.
template <Beam beam, int> void add_views(const Looks *looks, int count, Tile<Four> &tile) {
    alignas(64) int32_t at[kViews * W];
    alignas(64) float weights[kViews * 2 * W];
    for (int inside = 0; inside < tile.count; inside++) {
        const int patch = tile.patches[inside];
        for (int v = 0; v < count; v++) {
            const Looks &l = looks[v];
            F r;
            const F x = l.places<beam>(patch, r);
            const I i = truncate(x);
            const F f = x - to_float(i);
            store(at + v * W, (i + int32_t(l.start[patch] + kEdge)) * kLanes);
            const F whole = weight<beam>(l, patch, r), high = whole * f;
            store_weights(weights + v * 2 * W, whole - high, high);
        }
        Pair sum[W] = {};
        for (int v = 0; v < count; v++) add<1>(sum, looks[v].row - kEdge * kLanes, at + v * W, weights + v * 2 * W);
        add_sums(reinterpret_cast<float *>(tile.sums + patch * W), sum);
    }
}

// One view whose columns are too far apart for the tables: pixel by pixel in double precision.
template <class Value> void add_far_view(const Geometry &g, const View &view, const Value *row, Tile<Value> &tile) {
    for (int r = 0; r < kTile2d; r++)
        for (int c = 0; c < kTile2d; c++) {
            if (tile.row + r >= g.shape[1] || tile.col + c >= g.shape[2]) continue;
            const View::Landing at = view.land(0, tile.row + r, tile.col + c);
            if (!(at.col > -1 && at.col < g.cols)) continue;
            const double low = std::floor(at.col);
            const int64_t j = int64_t(low);
            const float f = float(at.col - low);
            tile.at(r, c) += float(at.weight) * (row[j] + f * (row[j + 1] - row[j]));
        }
}

template <Beam beam, class Value> void backproject(const Geometry &g, int threads, const float *q, float *mu) {
    FanTable table;
    std::vector<View> views;
    const int64_t leads = Scan<Value>::count(g);
    views.reserve(leads);
    for (int64_t v = 0; v < leads; v++) views.emplace_back(g, Scan<Value>::lead(g, v), table);
    constexpr bool differences = !Scan<Value>::four;
    PaddedRows<Value> rows;
    rows.resize(leads, g.cols, differences);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t v = 0; v < leads; v++) {
        rows.clear(v);
        Scan<Value>::row(g, q, v, rows.start(v));
        if (differences) rows.difference(v);
    }
    Gathered<Value> image(g, mu);
    const int64_t across = (g.shape[2] + kTile2d - 1) / kTile2d, tiles = across * ((g.shape[1] + kTile2d - 1) / kTile2d);
#pragma omp parallel num_threads(threads)
    {
        Buffer<Looks> looks(kWidths * kViews);  // by the width of their tables
        Tile<Value> tile;
#pragma omp for schedule(dynamic, 1)
        for (int64_t t = 0; t < tiles; t++) {
            tile.start(t, across, g.shape[1], g.shape[2]);
            int count[kWidths] = {};
            const auto flush = [&](int width) {
                const Looks *some = &looks[width * kViews];
                if (width == 0) add_views<beam, 0>(some, count[width], tile);
                else if (width == 1) add_views<beam, std::min(1, kWidths - 1)>(some, count[width], tile);
                else add_views<beam, kWidths - 1>(some, count[width], tile);
                count[width] = 0;
            };
            for (int64_t v = 0; v < leads; v++) {
                const Sight sight(g, views[v], beam, tile.row, tile.col);
                const int width = sight.width(16);  // farther apart, single precision would not place them
                if (width == kWidths) {
                    add_far_view(g, views[v], rows.at(v), tile);
                    continue;
                }
                Looks &next = looks[width * kViews + count[width]++];
                next.prepare<beam>(sight, g.cols, 0);
                next.row = reinterpret_cast<const float *>(rows.at(v));
                next.change = differences ? reinterpret_cast<const float *>(rows.change_at(v)) : nullptr;
                if (count[width] == kViews) flush(width);
            }
            for (int width = 0; width < kWidths; width++) flush(width);
            tile.put(image.at, g.shape[1], g.shape[2]);
        }
    }
    image.finish(g, mu, threads);
}

}  // namespace

void backproject2d(const Geometry &g, int threads, const float *q, float *mu) {
    by_beam(g, [&](auto beam) {
        constexpr Beam kind = decltype(beam)::value;
        if (by_fours(g)) backproject<kind, Four>(g, threads, q, mu);
        else backproject<kind, float>(g, threads, q, mu);
    });
}

}  // namespace taskct
