// Joseph's forward projection for upright scanners, float: four views at a time, or both halves of four (quads.h).
//
// The same factorisation as in joseph3d.cpp: a path meets whole z columns, which are then read along z.
#include "maps.h"
#include "paths3d.h"
#include "positions.h"
#include "quads3d.h"

namespace taskct {
namespace {

// A piece of work: some detector columns of a few quads. Their paths lie close together, so that a band of planes is in the
// second-level cache for all of them; as many as their sums leave room for.
constexpr int kMostPlanes = 16;
constexpr int64_t kPlaneBytes = 40 << 10;  // of z columns that are interpolated at a time
constexpr int64_t kColumns = 16, kMostTogether = 8, kSumBytes = 512 << 10;

// The rows of a detector that are gone through, k = 0, 1, ..., and the samples along z that they read, from `lowest` on: all of
// them, or with eight lanes from the middle up along z; the others are the mirror images of these.
template <int lanes> struct RowOrder {
    static constexpr bool half = lanes > kLanes;
    int64_t rows, lowest, first = 0, step = 1;

    RowOrder(const Geometry &g, int sense) : rows(count(g)), lowest(QuadColumns<lanes>::lowest(g)) {
        if (!half) return;
        first = sense > 0 ? g.rows / 2 : (g.rows - 1) / 2;
        step = sense > 0 ? 1 : -1;
    }
    static int64_t count(const Geometry &g) { return half ? (g.rows + 1) / 2 : g.rows; }
    int64_t operator()(int64_t k) const { return first + step * k; }
    Line operator()(Line line) const { return {line.start + line.step * double(first) - double(lowest), line.step * double(step)}; }
};

// The paths of some detector columns of a few quads, whose sums are kept as [quad][column][row][lane].
template <int lanes> class Piece {
public:
    using Order = RowOrder<lanes>;

    Piece(const Geometry &g, const QuadColumns<lanes> &volume)
        : volume_(volume), rows_(Order::count(g)), room_(volume.stride + 2 * kPad * lanes),
          column_(((rows_ + W - 1) / W * W) * lanes + 16),  // off the powers of two, whose cache lines meet
          buffers_(kMostPlanes * room_), zeros_(volume.stride), sums_(together(g) * kColumns * column_), weights_(g.rows) {}

    static int64_t together(const Geometry &g) {
        return std::clamp<int64_t>(kSumBytes / (kColumns * Order::count(g) * lanes * 4), 1, kMostTogether);
    }

    void add(const UprightView *leads, const Order *orders, int64_t count, int64_t j0, int64_t j1) {
        std::fill(sums_.begin(), sums_.end(), 0.0f);
        const int planes = int(std::clamp<int64_t>(kPlaneBytes / (room_ * 4), 1, kMostPlanes));
        const int64_t most = std::max(volume_.size_y, volume_.size_x);
        // A band of planes meets all columns while it is in the second-level cache.
        for (int64_t r0 = 0; r0 < most; r0 += planes)
            for (int64_t q = 0; q < count; q++)
                for (int64_t j = j0; j < j1; j++) {
                    const Planes met(leads[q], j, volume_.size_y, volume_.size_x);
                    const int64_t begin = std::max(met.begin, r0), end = std::min(met.end, r0 + planes);
                    if (begin < end) add_planes(leads[q], orders[q], j, begin, int(end - begin), sums(q, j - j0));
                }
    }
    // Weighs the sums of a quad and hands them to its views.
    void put(const Geometry &g, const UprightView &lead, const Order &order, int64_t place, int64_t quad, int64_t j0, int64_t j1,
             float *p) {
        const int64_t n = j1 - j0;
        for (int64_t j = 0; j < n; j++) {
            float *sum = sums(place, j);
            lead.weights(j0 + j, g.rows, weights_.data());
            for (int64_t k = 0; k < rows_; k++)
                for (int l = 0; l < lanes; l += kLanes)
                    store_four(sum + k * lanes + l, load_four(sum + k * lanes + l) * weights_[order(k)]);
        }
        for (int64_t k = 0; k < rows_; k++)
            for (int half = 0; half < lanes / kLanes; half++) {
                const int64_t i = half == 0 ? order(k) : g.rows - 1 - order(k);
                if (half > 0 && i == order(k)) continue;  // the middle row
                float values[kLanes][kColumns];
                for (int64_t j = 0; j < n; j++) {
                    const Four four = load_four(sums(place, j) + k * lanes + half * kLanes);
                    for (int l = 0; l < kLanes; l++) values[l][j] = four[l];
                }
                for (int l = 0; l < kLanes; l++) {
                    const int64_t view = g.quad_views[quad * kLanes + l];
                    if (view < 0) continue;
                    float *to = p + (view * g.rows + i) * g.cols;
                    if (g.quad_backwards[quad * kLanes + l]) std::reverse_copy(values[l], values[l] + n, to + g.cols - j1);
                    else std::copy(values[l], values[l] + n, to + j0);
                }
            }
    }

private:
    float *sums(int64_t quad, int64_t column) { return &sums_[(quad * kColumns + column) * column_]; }

    // Adds what the rows of column j meet in n planes from r0 on. Rows are the outer loop.
    void add_planes(const UprightView &view, const Order &order, int64_t j, int64_t r0, int n, float *sums) {
        const RowRange range(order(view.line(j, double(r0))), order(view.line(j, double(r0 + n - 1))), rows_, volume_.size_z);
        if (range.empty) return;
        const int64_t from = range.from, to = std::min(range.to, volume_.stride / lanes);
        Positions at[kMostPlanes];
        for (int m = 0; m < n; m++) {
            const Neighbours beside(view.first[j], view.step[j], r0 + m);
            const float *a = column(view, j, r0 + m, beside.low), *b = column(view, j, r0 + m, beside.low + 1);
            float *table = &buffers_[m * room_ + kPad * lanes];
            for (int64_t z = from * lanes; z < to * lanes; z += W) {
                const F low = load(a + z);
                store(table + z, low + beside.part * (load(b + z) - low));
            }
        }
        const I least = I{} - 2, most = I{} + int32_t(volume_.size_z);
        for (int64_t k0 = range.begin; k0 < range.end; k0 += kMostSteps) {
            for (int m = 0; m < n; m++) {
                const Line line = order(view.line(j, double(r0 + m)));
                at[m] = Positions(line.start + line.step * double(k0), line.step);
            }
            for (int64_t k = k0; k < std::min(range.end, k0 + kMostSteps); k += W) add_block(at, n, least, most, sums + k * lanes);
        }
    }
    // The places of one block of rows in n planes, then their samples.
    void add_block(Positions *at, int n, I least, I most, float *to) const {
        alignas(64) int32_t first[kMostPlanes * W];
        alignas(64) float weights[kMostPlanes * 2 * W];
        for (int m = 0; m < n; m++) {
            const F part = at[m].part();
            store(first + m * W, (min(max(at[m].whole(), least), most) + int32_t(kPad)) * lanes);
            store_weights(weights + m * 2 * W, 1.0f - part, part);
            at[m].advance();
        }
        Pair sum[W] = {};
        for (int m = 0; m < n; m++) {
            const float *table = &buffers_[m * room_];
            if constexpr (lanes == kLanes) taskct::add<1>(sum, table, first + m * W, weights + m * 2 * W);
            else add_eight(sum, table, first + m * W, weights + m * 2 * W);
        }
        for (int l = 0; l < W; l++)
            if constexpr (lanes == kLanes) store_four(to + l * lanes, load_four(to + l * lanes) + both(sum[l]));
            else store_pair(to + l * lanes, load_pair(to + l * lanes) + sum[l]);
    }
    const float *column(const UprightView &view, int64_t j, int64_t plane, int64_t other) const {
        const bool along_y = view.axis[j] == 1;
        if (other < 0 || other >= (along_y ? volume_.size_x : volume_.size_y)) return zeros_.data();
        return along_y ? volume_.at(plane, other) : volume_.at(other, plane);
    }

    const QuadColumns<lanes> &volume_;
    const int64_t rows_, room_, column_;
    Buffer<float> buffers_, zeros_, sums_, weights_;
};

template <int lanes>
void forward_lanes(const Geometry &g, int threads, const std::vector<UprightView> &leads, const std::vector<int> &senses,
                   const float *mu, float *p) {
    QuadColumns<lanes> volume(g);
    volume.read(g, mu, threads);
    std::vector<RowOrder<lanes>> orders;
    for (const int sense : senses) orders.emplace_back(g, sense);
    const int64_t together = Piece<lanes>::together(g);
    const int64_t pieces = (g.cols + kColumns - 1) / kColumns, groups = (g.quads + together - 1) / together;
#pragma omp parallel num_threads(threads)
    {
        Piece<lanes> piece(g, volume);
#pragma omp for schedule(dynamic, 1)
        for (int64_t n = 0; n < groups * pieces; n++) {
            const int64_t q0 = n / pieces * together, quads = std::min(together, g.quads - q0);
            const int64_t j0 = n % pieces * kColumns, j1 = std::min(g.cols, j0 + kColumns);
            piece.add(&leads[q0], &orders[q0], quads, j0, j1);
            for (int64_t q = q0; q < q0 + quads; q++) piece.put(g, leads[q], orders[q], q - q0, q, j0, j1, p);
        }
    }
}

// How the rows of a view run in all planes that its columns meet: 1 up along z, -1 down, 0 both. `tame`: positions there, in
// samples, are no larger than fixed point holds.
struct Sense {
    int value = 0;
    bool tame = true;

    Sense(const Geometry &g, const UprightView &view) {
        bool up = false, down = false;
        for (int64_t j = 0; j < g.cols; j++) {
            const Planes met(view, j, g.shape[1], g.shape[2]);
            if (met.begin >= met.end) continue;
            for (const int64_t plane : {met.begin, met.end - 1}) {  // everything is linear between them
                const Line line = view.line(j, double(plane));
                up |= line.step > 0;
                down |= line.step < 0;
                tame &= std::fabs(line.start) + std::fabs(line.step) * double(g.rows + W) < kMostPosition;
            }
        }
        value = up && down ? 0 : down ? -1 : 1;
    }
};

}  // namespace

bool forward3d_quads(const Geometry &g, int threads, const float *mu, float *p) {
    if (!by_fours(g)) return false;
    const auto leads = upright_views(g, threads, true);
    if (!leads) return false;
    std::vector<int> senses;
    bool half = g.halves;
    for (const UprightView &lead : *leads) {
        const Sense sense(g, lead);
        if (!sense.tame) return false;
        half = half && sense.value != 0;
        senses.push_back(sense.value);
    }
    if (half) forward_lanes<2 * kLanes>(g, threads, *leads, senses, mu, p);
    else forward_lanes<kLanes>(g, threads, *leads, senses, mu, p);
    return true;
}

}  // namespace taskct
