// The exact adjoint of Joseph's method for upright scanners, float, four views at a time (quads.h).
//
// Threads own planes of the main axis and add whole z columns to them, as in joseph3d.cpp.
#include "maps.h"
#include "paths3d.h"
#include "quads3d.h"

namespace taskct {
namespace {

constexpr int64_t kColumns = 16;  // detector columns that a band of planes takes from all quads in turn

// Where four lanes of a line are read: for each of n positions an index, its first sample, and weights (quads.h).
struct Reads {
    alignas(64) int32_t at[kBlocks * W];
    alignas(64) float weights[kBlocks * 8 * W];
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

// The same for rows closer than a quarter of a sample, or kCoarse apart: value by value.
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
    if (s >= kCoarse) return spread_singly(values, count, line, size, first, first_weight, second, second_weight);
    if (s >= 1) return go(spread<2>);
    if (s >= 0.5) return go(spread<4>);
    if (s >= 1 / 3.0) return go(spread<6>);
    if (s >= 0.25) return go(spread<8>);
    spread_singly(values, count, line, size, first, first_weight, second, second_weight);
}

}  // namespace

bool adjoint3d_quads(const Geometry &g, int threads, const float *p, float *mu) {
    constexpr int64_t together = 8;  // quads whose columns are transposed at a time
    if (!by_fours(g)) return false;
    const auto leads = upright_views(g, threads, true);
    if (!leads) return false;
    QuadColumns<> volume(g);
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
