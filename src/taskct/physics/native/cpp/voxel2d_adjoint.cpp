// The transpose of pixel-driven back-projection in two dimensions, float: the gradient of filtered back-projection.
//
// A gather. Pixel c of a row falls on the detector at x(c), and detector column j collects the tent 1 - |x(c) - j|. The tent
// rises from where the ray of column j - 1 crosses the row to where that of j does, and falls to that of j + 1: straight lines
// from row to row, so W columns march together as in forward projection (march2d.h). With t the distance in pixels from the
// tent's left edge, and the row divided by what its pixels need,
//     parallel  u = B t, v = 2 - u                of mu             B = |pixels to columns|
//     flat      u = B t, v = 2 depth(c) - u       of mu / depth^3   B = |dn/dc - left dd/dc|, columns x = n / d
//     curved    u = asin(S t / L(c)) / gamma_step, v = 2 - u        of mu / L^2
// and the tent is the lesser of u and v where both are positive. Threads own views.
#include "maps.h"
#include "march2d.h"
#include "patches.h"

#include <type_traits>

namespace taskct {
namespace {

constexpr int kMostTaps = 8;    // pixels under a tent
constexpr int64_t kZeros = 112;  // beside a row: the widest table, a tent, and a row's step
constexpr int64_t kTile = 32;   // rows at a time

// Straight lines across the rows of one main axis, one per detector column from -1 to cols (index j + 1).
struct Edges {
    std::vector<double> first, step, per_length;  // mm along the main axis per mm of ray
    std::vector<char> steep;                      // columns whose rays have this main axis

    void fill(const Geometry &g, const View &wide, int axis, std::vector<double> point[2], std::vector<double> way[2]) {
        const int64_t n = g.cols + 2;
        for (auto *a : {&first, &step, &per_length}) a->resize(n);
        steep.assign(n, 0);
        wide.lines(n, point[0].data(), point[1].data(), way[0].data(), way[1].data());
        const double *pm = point[axis - 1].data(), *po = point[2 - axis].data(), *wm = way[axis - 1].data(), *wo = way[2 - axis].data();
        const double per_main = 1 / g.spacing[axis], per_other = 1 / g.spacing[3 - axis];
        for (int64_t j = 0; j < n; j++) {
            const double main = wm[j] * per_main, other = wo[j] * per_other, slope = other / main;
            const double reach = std::fabs(main), aside = std::fabs(other);
            steep[j] = axis == 1 ? reach >= aside * (1 - kTie) : reach * (1 - kTie) > aside;
            step[j] = slope;
            first[j] = (po[j] - g.origin[3 - axis]) * per_other - (pm[j] - g.origin[axis]) * per_main * slope;
            per_length[j] = std::fabs(wm[j]) / std::sqrt(wm[j] * wm[j] + wo[j] * wo[j]);
        }
    }
};

// W columns of the detector and their tents. Left edges march as a block; at row r lane l has u = slope t and
// v = top + top_step r - fall t.
struct Tents {
    Block edges;
    F slope, fall, top, top_step;
    int64_t col;
    int taps, table;  // pixels under a tent at most, width of the look-up tables
};

// The normal of a flat detector may point either way.
double sign_of_depth(const View &view) { return view.focal < 0 ? -1 : 1; }

// A view's image rows, divided as its beam asks.
struct Divided {
    int64_t stride, size = 0;
    Buffer<float> values, per;  // per: 1 / L of a curved detector

    explicit Divided(int64_t longest) : stride((longest + 2 * kZeros + 15) / 16 * 16) {
        values.assign(kTile * stride, 0.0f);
        per.assign(kTile * stride, 0.0f);
    }

    // Rows r0..r1, columns c0..c1 at least.
    template <Beam beam>
    void fill(const Rows &rows, const View &view, int axis, int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
        const double sign = sign_of_depth(view), turn = sign * (axis == 1 ? view.depth.x : view.depth.y);
        const double aside = axis == 1 ? view.across.x : view.across.y;
        const int64_t begin = std::max<int64_t>(0, c0) / W * W, end = (std::min(rows.size, c1) + W - 1) / W * W;
        if (rows.size < size) std::fill(values.begin(), values.end(), 0.0f);  // what longer rows left behind
        size = rows.size;
        for (int64_t r = r0; r < r1; r++) {
            const float *from = rows.at(r);
            float *to = &values[(r - r0) * stride + kZeros], *to_per = &per[(r - r0) * stride + kZeros];
            const double d0 = sign * (axis == 1 ? view.depth(0, r, 0) : view.depth(0, 0, r));
            const double a0 = axis == 1 ? view.across(0, r, 0) : view.across(0, 0, r);
            for (int64_t c = begin; c < end; c += W) {  // zeros follow the row
                const F n = lane_numbers() + float(c), d = n * float(turn) + float(d0);
                if (beam == Beam::flat) {
                    const F p = reciprocal(d);
                    store(to + c, load(from + c) * (p * p * p));
                } else {
                    const F a = n * float(aside) + float(a0), square = d * d + a * a;
                    const F p = reciprocal_root(square);
                    store(to + c, load(from + c) * (p * p));
                    store(to_per + c, p);
                }
            }
        }
    }
};

// Sum of W tents over rows r0..r1, at most kRowTile; `values` and `per` are those of row r0 at column 0.
template <Beam beam, int taps, int width>
F sum_tents(const Tents &t, const float *values, const float *per, int64_t stride, float gamma_step, int64_t r0, int64_t r1) {
    Steps steps;
    steps.fill(t.edges, r0, r1);
    const F offset = t.edges.offset + t.edges.drift * splat(float(r0)), drift = t.edges.drift;
    const F top0 = t.top + t.top_step * splat(float(r0)), slope = t.slope, fall = t.fall, top_step = t.top_step;
    const float square = gamma_step * gamma_step;
    F sums[2] = {};
    for (int64_t k = 0; k < r1 - r0; k++) {
        const F number = splat(kRowNumbers.at[k]);
        const F x = (beam == Beam::parallel ? offset : offset + drift * number) + splat(steps.part[k]);
        const I i = truncate(x);
        const F rest = 1.0f - (x - to_float(i));  // of the first pixel behind the left edge
        const Table<width> table(values + steps.whole[k] + 1);
        if (beam == Beam::curved) {
            const Table<width> lengths(per + steps.whole[k] + 1);
            for (int tap = 0; tap < taps; tap++) {
                const F sine = slope * (rest + float(tap)) * lengths(i + tap), s = sine * sine * square;
                const F u = sine + sine * s * (1 / 6.0f + s * (3 / 40.0f));
                sums[tap % 2] += max(F{}, min(u, 2.0f - u)) * table(i + tap);
            }
        } else {
            F u = slope * rest, v = (beam == Beam::flat ? top0 + top_step * number : top0) - fall * rest;
            for (int tap = 0; tap < taps; tap++) {
                const F tent = tap == taps - 1 ? v : min(u, v);  // the last one lies on the falling side
                sums[tap % 2] += max(F{}, tent) * table(i + tap);
                u += slope;
                v -= fall;
            }
        }
        values += stride;
        per += stride;
    }
    return sums[0] + sums[1];
}

template <Beam beam, class... Rest> F sum_tents(const Tents &t, Rest... rest) {
    const auto with = [&](auto most) {
        return t.table == 1 ? sum_tents<beam, decltype(most)::value, 1>(t, rest...)
                            : sum_tents<beam, decltype(most)::value, 2>(t, rest...);
    };
    if (t.taps <= 2) return with(std::integral_constant<int, 2>{});
    if (t.taps <= 3) return with(std::integral_constant<int, 3>{});
    if (t.taps <= 4) return with(std::integral_constant<int, 4>{});
    return with(std::integral_constant<int, kMostTaps>{});
}

// The tents of columns col..col + W - 1 with one main axis; others repeat their neighbour. False when the tables cannot serve.
template <Beam beam>
bool make_tents(const Geometry &g, const View &view, const Edges &e, int axis, int64_t col, const Rows &rows, Tents &out) {
    double first[W], step[W];
    int64_t lefts[W], any = col;
    while (any < std::min(col + W, g.cols) && !e.steep[any + 1]) any++;
    const double mid = (rows.count - 1) / 2.0, last = rows.count - 1.0;
    const auto at = [&](int64_t j, double r) { return e.first[j + 1] + e.step[j + 1] * r; };
    const int side = at(any + 1, mid) > at(any - 1, mid) ? -1 : 1;  // of the neighbour whose ray is the left edge
    double widest = 0, narrowest = 1e9;
    for (int l = 0; l < W; l++) {
        const int64_t j = col + l;
        if (j < g.cols && e.steep[j + 1]) any = j;
        const int64_t left = any + side, right = any - side;
        for (double r : {0.0, last}) {
            widest = std::max(widest, at(right, r) - at(left, r));
            narrowest = std::min({narrowest, at(any, r) - at(left, r), at(right, r) - at(any, r)});
        }
        lefts[l] = left;
        first[l] = e.first[left + 1];
        step[l] = e.step[left + 1];
    }
    out.col = col;
    if (!(narrowest > 0 && widest < kMostTaps)) return false;
    out.taps = int(std::ceil(widest + 1e-4));
    out.edges = make_block(first, step, rows.count, rows.size, 1 + widest);
    if (out.edges.begin >= out.edges.end) return true;
    out.table = out.edges.span < 2 * W - 0.01f - (out.taps <= 4 ? 4 : kMostTaps) ? 1 : 2;
    if (!(out.edges.span < 4 * W - 0.01f - kMostTaps)) return false;
    const double sign = sign_of_depth(view), turn = sign * (axis == 1 ? view.depth.x : view.depth.y);
    const double ahead = sign * (axis == 1 ? view.depth.y : view.depth.x);
    const double across = sign * (axis == 1 ? view.col_top.x : view.col_top.y);
    for (int l = 0; l < W; l++) {
        if (beam == Beam::curved) {
            out.slope[l] = float(g.spacing[3 - axis] * e.per_length[lefts[l] + 1] / view.gamma_step);
            out.fall[l] = out.top[l] = out.top_step[l] = 0;
            continue;
        }
        const double slope = std::fabs(across - lefts[l] * turn);
        out.slope[l] = float(slope);
        out.fall[l] = float(slope - 2 * turn);
        out.top[l] = float(2 * (sign * view.depth.constant + turn * first[l]));
        out.top_step[l] = float(2 * (ahead + turn * step[l]));
    }
    return true;
}

// True when the source stands well before the image, so that every tent is a straight one.
template <Beam beam> bool straight(const Geometry &g, const View &view) {
    if (beam == Beam::parallel) return true;
    if (beam == Beam::curved && view.gamma_step > 0.06) return false;
    const double most = std::fabs(view.depth.y) + std::fabs(view.depth.x);
    for (double y : {0.0, g.shape[1] - 1.0})
        for (double x : {0.0, g.shape[2] - 1.0})
            if (sign_of_depth(view) * view.depth(0, y, x) < 4 * most) return false;
    return true;
}

// One view by scattering, for detectors and sources that the tents do not serve. Places and weights of a tile's pixels are
// computed in vectors, then added to the detector one by one, in double precision: there may be thousands under a
// column. The two columns that a pixel falls between are kept in two rows, so that neighbouring pixels do not wait for one another.
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

template <Beam beam>
void scatter(const Geometry &g, const View &view, const float *mu, Buffer<double> &left, Buffer<double> &right, float *q) {
    const int64_t across = (g.shape[2] + kTile2d - 1) / kTile2d, tiles = across * ((g.shape[1] + kTile2d - 1) / kTile2d);
    Pixels pixels;
    left.assign(g.cols + 3, 0.0);
    right.assign(g.cols + 3, 0.0);
    double *l = left.data() + 2, *h = right.data() + 2;
    for (int64_t t = 0; t < tiles; t++) {
        const int row = int(t / across * kTile2d), col = int(t % across * kTile2d);
        const int rows = int(std::min<int64_t>(kTile2d, g.shape[1] - row));
        const int cols = int(std::min<int64_t>(kTile2d, g.shape[2] - col));
        const float *from = mu + row * g.shape[2] + col;
        const Sight sight(g, view, beam, row, col);
        if (!(sight.largest_tan < kMostTan && sight.reach() < 100.0f)) {  // single precision would not place them
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
    for (int64_t j = 0; j < g.cols; j++) q[j] = float(l[j] + h[j - 1]);
}

template <Beam beam> void transpose(const Geometry &g, int threads, int64_t images, const float *mu, float *q) {
    Geometry wide = g;
    wide.cols += 2;  // a column more on each side
    const int64_t blocks = (g.cols + W - 1) / W, longest = std::max(g.shape[1], g.shape[2]);
    const int64_t pixels = g.shape[1] * g.shape[2];
    std::vector<Rows> rows[3];
    for (int axis = 1; axis < 3; axis++) {
        rows[axis].resize(images);
        for (int64_t n = 0; n < images; n++)
            rows[axis][n].fill(mu + n * pixels, g.shape[1], g.shape[2], axis == 2, kZeros, threads);
    }
#pragma omp parallel num_threads(threads)
    {
        FanTable table, wide_table;
        Edges edges[3];
        Buffer<Tents> made[3];
        Buffer<float> sums(blocks * W);
        Buffer<double> left, right;
        Divided divided(beam == Beam::parallel ? 1 : longest);
        std::vector<double> point[2], way[2];
        for (auto *a : {&point[0], &point[1], &way[0], &way[1]}) a->resize(wide.cols);
#pragma omp for schedule(dynamic, 4)
        for (int64_t v = 0; v < g.views; v++) {
            const View view(g, v, table), wide_view(wide, v, wide_table);
            bool serves = straight<beam>(g, view);
            for (int axis = 1; axis < 3 && serves; axis++) {
                Edges &e = edges[axis];
                e.fill(g, wide_view, axis, point, way);
                made[axis].clear();
                for (int64_t b = 0; b < blocks && serves; b++) {
                    bool wanted = false;
                    for (int64_t j = b * W; j < std::min(g.cols, (b + 1) * W); j++) wanted |= e.steep[j + 1] != 0;
                    if (!wanted) continue;
                    made[axis].emplace_back();
                    serves = make_tents<beam>(g, view, e, axis, b * W, rows[axis][0], made[axis].back());
                }
            }
            if (!serves) {
                for (int64_t n = 0; n < images; n++)
                    scatter<beam>(g, view, mu + n * pixels, left, right, q + (n * g.views + v) * g.cols);
                continue;
            }
            for (int axis = 1; axis < 3; axis++) {
                if (made[axis].empty()) continue;
                for (int64_t n = 0; n < images; n++) {
                    const Rows &image = rows[axis][n];
                    float *out = q + (n * g.views + v) * g.cols;
                    std::fill(sums.begin(), sums.end(), 0.0f);
                    for (int64_t tile = 0; tile < image.count; tile += kTile) {
                        const int64_t next = std::min(tile + kTile, image.count);
                        if (beam != Beam::parallel) {
                            double low = image.size, high = 0;  // what the tents of these rows cover
                            for (const Tents &t : made[axis])
                                for (double r : {std::max<double>(tile, t.edges.begin), std::min<double>(next, t.edges.end)}) {
                                    if (t.edges.begin >= next || t.edges.end <= tile) continue;
                                    const double at = t.edges.first + t.edges.step * r;
                                    low = std::min(low, at);
                                    high = std::max(high, at + t.edges.span + kMostTaps + 2);
                                }
                            divided.fill<beam>(image, view, axis, tile, next, int64_t(std::floor(low)), int64_t(high));
                        }
                        for (const Tents &t : made[axis]) {
                            const int64_t r0 = std::max(tile, t.edges.begin), r1 = std::min(next, t.edges.end);
                            if (r0 >= r1) continue;
                            const int64_t stride = beam == Beam::parallel ? image.stride : divided.stride;
                            const float *values = beam == Beam::parallel
                                                      ? image.at(r0)
                                                      : &divided.values[(r0 - tile) * stride + kZeros];
                            const float *per = &divided.per[beam == Beam::curved ? (r0 - tile) * stride + kZeros : 0];
                            const F more = sum_tents<beam>(t, values, per, stride, float(view.gamma_step), r0, r1);
                            store(&sums[t.col], load(&sums[t.col]) + more);
                        }
                    }
                    for (int64_t j = 0; j < g.cols; j++)
                        if (edges[axis].steep[j + 1]) out[j] = sums[j];
                }
            }
        }
    }
}

}  // namespace

// Views are set up once for all `images` (few: each has its rows twice in memory).
void backproject_adjoint2d(const Geometry &g, int threads, int64_t images, const float *mu, float *q) {
    by_beam(g, [&](auto beam) { transpose<decltype(beam)::value>(g, threads, images, mu, q); });
}

}  // namespace taskct
