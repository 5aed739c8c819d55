// Joseph's method for upright scanners, float, four views at a time (quads.h): forward and exact adjoint.
//
// The same factorisation as in joseph3d.cpp: a path meets whole z columns, which are then read or written along z.
#include "maps.h"
#include "paths3d.h"
#include "quads3d.h"

namespace taskct {
namespace {

// A piece of work: some detector columns of a few quads. Their paths lie close together, so that a band of planes is in the
// second-level cache for all of them; as many as their sums leave room for.
constexpr int kMostPlanes = 8;
constexpr int64_t kPlaneBytes = 24 << 10;  // of z columns that are interpolated at a time
constexpr int64_t kColumns = 16, kMostTogether = 8, kSumBytes = 512 << 10;

// The paths of some detector columns of a few quads, whose sums are kept as [quad][column][row][lane].
class Piece {
public:
    Piece(const QuadColumns &volume, int64_t rows)
        : volume_(volume), rows_(rows), whole_rows_((rows + W - 1) / W * W), room_((volume.stride / kLanes + 2 * kPad) * kLanes),
          column_((whole_rows_ + 4) * kLanes),  // off the powers of two, whose cache lines meet
          buffers_(kMostPlanes * room_), zeros_(volume.stride), sums_(together(rows) * kColumns * column_), weights_(rows) {}

    static int64_t together(int64_t rows) {
        return std::clamp<int64_t>(kSumBytes / (kColumns * rows * kLanes * 4), 1, kMostTogether);
    }

    void add(const UprightView *leads, int64_t count, int64_t j0, int64_t j1) {
        std::fill(sums_.begin(), sums_.end(), 0.0f);
        const int planes = int(std::clamp<int64_t>(kPlaneBytes / (room_ * 4), 1, kMostPlanes));
        const int64_t most = std::max(volume_.size_y, volume_.size_x);
        // A band of planes meets all columns while it is in the second-level cache.
        for (int64_t r0 = 0; r0 < most; r0 += planes)
            for (int64_t q = 0; q < count; q++)
                for (int64_t j = j0; j < j1; j++) {
                    const UprightView &view = leads[q];
                    const bool along_y = view.axis[j] == 1;
                    int64_t begin = 0, end = along_y ? volume_.size_y : volume_.size_x;
                    clip(view.first[j], view.step[j], along_y ? volume_.size_x : volume_.size_y, begin, end);
                    begin = std::max(begin, r0);
                    end = std::min(end, r0 + planes);
                    if (begin < end) add_planes(view, j, begin, int(end - begin), sums(q, j - j0));
                }
    }
    // Weighs the sums of a quad and hands them to its views.
    void put(const Geometry &g, const UprightView &lead, int64_t place, int64_t quad, int64_t j0, int64_t j1, float *p) {
        const int64_t n = j1 - j0;
        for (int64_t j = 0; j < n; j++) {
            float *sum = sums(place, j);
            lead.weights(j0 + j, rows_, weights_.data());
            for (int64_t i = 0; i < rows_; i++) store_four(sum + i * kLanes, load_four(sum + i * kLanes) * weights_[i]);
        }
        for (int64_t i = 0; i < rows_; i++) {
            float lanes[kLanes][kColumns];
            for (int64_t j = 0; j < n; j++) {
                const Four four = load_four(sums(place, j) + i * kLanes);
                for (int l = 0; l < kLanes; l++) lanes[l][j] = four[l];
            }
            for (int l = 0; l < kLanes; l++) {
                const int64_t view = g.quad_views[quad * kLanes + l];
                if (view < 0) continue;
                float *to = p + (view * g.rows + i) * g.cols;
                if (g.quad_backwards[quad * kLanes + l]) std::reverse_copy(lanes[l], lanes[l] + n, to + g.cols - j1);
                else std::copy(lanes[l], lanes[l] + n, to + j0);
            }
        }
    }

private:
    float *sums(int64_t quad, int64_t column) { return &sums_[(quad * kColumns + column) * column_]; }
    void add_planes(const UprightView &view, int64_t j, int64_t r0, int n, float *sums) {
        const RowRange range(view, j, r0, r0 + n - 1, rows_, volume_.size_z);
        if (range.empty) return;
        const int64_t from = range.from, to = std::min(range.to, volume_.stride / kLanes);
        for (int m = 0; m < n; m++) {
            const Neighbours at(view.first[j], view.step[j], r0 + m);
            const float *a = column(view, j, r0 + m, at.low), *b = column(view, j, r0 + m, at.low + 1);
            float *table = &buffers_[m * room_ + kPad * kLanes];
            for (int64_t z = from * kLanes; z < to * kLanes; z += W) {
                const F low = load(a + z);
                store(table + z, low + at.part * (load(b + z) - low));
            }
        }
        for (int64_t k0 = range.begin; k0 < range.end; k0 += kBlocks * W) {
            const int64_t blocks = (std::min(range.end, k0 + kBlocks * W) - k0) / W;
            for (int m = 0; m < n; m++) {
                const Line line = view.line(j, double(r0 + m));
                interpolate(line.start + line.step * k0, line.step, blocks, volume_.size_z, reads_[m]);
            }
            for (int64_t b = 0; b < blocks; b++) {
                Pair sum[W] = {};
                for (int m = 0; m < n; m++)
                    taskct::add<1>(sum, &buffers_[m * room_], reads_[m].at + b * W, reads_[m].weights + b * 2 * W);
                float *to = sums + (k0 + b * W) * kLanes;
                for (int l = 0; l < W; l++) store_four(to + l * kLanes, load_four(to + l * kLanes) + both(sum[l]));
            }
        }
    }
    const float *column(const UprightView &view, int64_t j, int64_t plane, int64_t other) const {
        const bool along_y = view.axis[j] == 1;
        if (other < 0 || other >= (along_y ? volume_.size_x : volume_.size_y)) return zeros_.data();
        return along_y ? volume_.at(plane, other) : volume_.at(other, plane);
    }

    const QuadColumns &volume_;
    const int64_t rows_, whole_rows_, room_, column_;
    Buffer<float> buffers_, zeros_, sums_, weights_;
    Buffer<Reads> reads_{kMostPlanes};
};

// Gives the detector columns of a quad the weights of their rays.
void weigh(const UprightView &lead, int64_t place, QuadDetector &detector) {
    Buffer<float> weights(detector.rows);
    for (int64_t j = 0; j < detector.cols; j++) {
        float *to = detector.at(place, j) + kPad * kLanes;
        lead.weights(j, detector.rows, weights.data());
        for (int64_t i = 0; i < detector.rows; i++) store_four(to + i * kLanes, load_four(to + i * kLanes) * weights[i]);
    }
}

// Adds the transpose of one line's interpolation to two columns with a weight each (resample.h), z in begin..end.
template <int taps>
void spread(const float *values, int64_t count, Line line, int64_t begin, int64_t end, float *first, float first_weight,
            float *second, float second_weight, Reads &reads) {
    constexpr int before = taps / 2 - 1, pairs = taps / 2;
    const double per = 1 / line.step, down = std::min(0.0, per * (W - 1));
    const F offset = lane_numbers() * float(per) - splat(float(down));
    const float s = float(std::fabs(line.step));
    const I least = I{} + int32_t(kPad - taps / 2 - 1 - before), most = I{} + int32_t(kPad + count);
    Places places;
    for (int64_t z0 = begin; z0 < end; z0 += kBlocks * W) {
        const int64_t blocks = (std::min(end, z0 + kBlocks * W) - z0) / W;
        places.fill((z0 - line.start) * per + down, per * W, blocks, -1e6, 1e6);
        for (int64_t b = 0; b < blocks; b++) {
            const F x = offset + splat(places.part[b]);
            const I i = truncate(x);
            const F dist = s * (x - to_float(i));
            store(reads.at + b * W, min(max(i + (places.whole[b] + int32_t(kPad - before)), least), most) * kLanes);
            F weight[taps];
            for (int k = 0; k < taps; k++)
                weight[k] = max(F{}, k <= before ? (1 - s * (before - k)) - dist : (1 - s * (k - before)) + dist);
            for (int pair = 0; pair < pairs; pair++)
                store_weights(reads.weights + (b * pairs + pair) * 2 * W, weight[2 * pair], weight[2 * pair + 1]);
        }
        for (int64_t b = 0; b < blocks; b++) {
            Pair sum[W] = {};
            add<pairs>(sum, values, reads.at + b * W, reads.weights + b * pairs * 2 * W);
            const int64_t z = (z0 + b * W) * kLanes;
            for (int l = 0; l < W; l += 2) {  // two places are one vector
                const Pair two = sums_of(sum[l], sum[l + 1]);
                float *a = first + z + l * kLanes, *c = second + z + l * kLanes;
                store_pair(a, load_pair(a) + first_weight * two);
                store_pair(c, load_pair(c) + second_weight * two);
            }
        }
    }
}

// The same for rows closer than a quarter of a sample: value by value.
void spread_singly(const float *values, int64_t count, Line line, int64_t size, float *first, float first_weight, float *second,
                float second_weight) {
    for (int64_t k = 0; k < count; k++) {
        const double x = line.start + line.step * k, low = std::floor(x);
        if (!(low >= -1 && low < size)) continue;
        const int64_t i = int64_t(low);
        const float f = float(x - low);
        const Four value = load_four(values + (kPad + k) * kLanes);
        const auto put = [&](int64_t z, float part) {
            store_four(first + z * kLanes, load_four(first + z * kLanes) + first_weight * part * value);
            store_four(second + z * kLanes, load_four(second + z * kLanes) + second_weight * part * value);
        };
        if (i >= 0) put(i, 1 - f);
        if (i + 1 < size) put(i + 1, f);
    }
}

void spread(const float *values, int64_t count, Line line, int64_t size, float *first, float first_weight, float *second,
            float second_weight, Reads &reads) {
    const double last = line.start + line.step * (count - 1);
    const double low = std::min(line.start, last) - 1, high = std::max(line.start, last) + 1, s = std::fabs(line.step);
    if (!(low < size && high > -1)) return;
    const int64_t begin = int64_t(std::max(0.0, low)) / W * W;
    const int64_t end = (int64_t(std::min(double(size), high + 1)) + W - 1) / W * W;
    const auto go = [&](auto with) { with(values, count, line, begin, end, first, first_weight, second, second_weight, reads); };
    if (s >= 1) return go(spread<2>);
    if (s >= 0.5) return go(spread<4>);
    if (s >= 1 / 3.0) return go(spread<6>);
    if (s >= 0.25) return go(spread<8>);
    spread_singly(values, count, line, size, first, first_weight, second, second_weight);
}

}  // namespace

bool forward3d_quads(const Geometry &g, int threads, const float *mu, float *p) {
    if (!by_fours(g)) return false;
    const auto leads = upright_views(g, threads, true);
    if (!leads) return false;
    QuadColumns volume(g);
    volume.read(g, mu, threads);
    const int64_t together = Piece::together(g.rows);
    const int64_t pieces = (g.cols + kColumns - 1) / kColumns, groups = (g.quads + together - 1) / together;
#pragma omp parallel num_threads(threads)
    {
        Piece piece(volume, g.rows);
#pragma omp for schedule(dynamic, 1)
        for (int64_t n = 0; n < groups * pieces; n++) {
            const int64_t q0 = n / pieces * together, quads = std::min(together, g.quads - q0);
            const int64_t j0 = n % pieces * kColumns, j1 = std::min(g.cols, j0 + kColumns);
            piece.add(&(*leads)[q0], quads, j0, j1);
            for (int64_t q = 0; q < quads; q++) piece.put(g, (*leads)[q0 + q], q, q0 + q, j0, j1, p);
        }
    }
    return true;
}

bool adjoint3d_quads(const Geometry &g, int threads, const float *p, float *mu) {
    constexpr int64_t together = 8;  // quads whose columns are transposed at a time
    if (!by_fours(g)) return false;
    const auto leads = upright_views(g, threads, true);
    if (!leads) return false;
    QuadColumns volume(g);
    volume.clear(threads);
    QuadDetector detector(g, std::min(together, g.quads));
    for (int64_t q0 = 0; q0 < g.quads; q0 += together) {
        const int64_t q1 = std::min(g.quads, q0 + together);
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t q = q0; q < q1; q++) {
            detector.read(g, q - q0, q, p);
            weigh((*leads)[q], q - q0, detector);
        }
        for (int axis = 1; axis < 3; axis++) {
            const int64_t planes = g.shape[axis], others = g.shape[3 - axis];
            // Planes that take some detector columns of all quads while they are in the second-level cache.
            const int64_t band = std::clamp<int64_t>(planes / (4 * threads), 1, 8);
#pragma omp parallel num_threads(threads)
            {
                Buffer<float> beyond(volume.stride);  // takes what falls beside the grid
                Reads reads;
#pragma omp for schedule(dynamic, 1)
                for (int64_t r0 = 0; r0 < planes; r0 += band)
                    for (int64_t j0 = 0; j0 < g.cols; j0 += kColumns)
                        for (int64_t q = q0; q < q1; q++) {
                            const UprightView &lead = (*leads)[q];
                            if (lead.members[axis] == 0) continue;
                            for (int64_t j = j0; j < std::min(g.cols, j0 + kColumns); j++) {
                                if (lead.axis[j] != axis) continue;
                                for (int64_t r = r0; r < std::min(planes, r0 + band); r++) {
                                    const Neighbours at(lead.first[j], lead.step[j], r);
                                    if (at.low < -1 || at.low >= others) continue;
                                    const auto column = [&](int64_t i) {
                                        if (i < 0 || i >= others) return beyond.data();
                                        return axis == 1 ? volume.at(r, i) : volume.at(i, r);
                                    };
                                    spread(detector.at(q - q0, j), g.rows, lead.line(j, double(r)), g.shape[0], column(at.low),
                                           1 - at.part, column(at.low + 1), at.part, reads);
                                }
                            }
                        }
            }
        }
    }
    volume.write(g, mu, threads);
    return true;
}

}  // namespace taskct
