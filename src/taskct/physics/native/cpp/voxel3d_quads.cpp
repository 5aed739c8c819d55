// Voxel-driven weighted back-projection of beams whose detector rows step along z, float, four views at a time (quads.h).
//
// A z column falls between two detector columns, which are mixed where they are read, as in voxel3d.cpp; where on them each
// voxel falls is worked out once for four views. A place of the turned images is a voxel of its own in each lane. The places
// that the turns take to each other share their voxels: they are done together, and their lanes summed before they are written.
// Some turns leave a place where it is (the centre, the axes): its voxels are written once.
#include "falls3d.h"
#include "maps.h"
#include "quads3d.h"

namespace taskct {
namespace {

constexpr int kTogether = 8;    // quads that are read together
constexpr int64_t kDeep = 128;  // voxels of z columns at a time
static_assert(kDeep <= kBlocks * W, "Places holds them");
constexpr int64_t kTileY = 16, kTileX = 16;  // z columns whose detector columns stay in the second-level cache
constexpr int64_t kDetectorBytes = 64 << 20;   // of quads that are turned at a time

// The turn that does `first`, then `then`.
int64_t after(int64_t first, int64_t then) {
    const int64_t signs = then & 1 ? (first >> 1 & 2) | (first << 1 & 4) : first & 6;
    return ((first ^ then) & 1) | (signs ^ (then & 6));
}

// Which lane of a place, turned by turn j, holds the voxel turned by turn m.
struct Lanes {
    int of[kLanes][kLanes];  // [j][m]
    bool closed = true;      // whether there is one for all

    explicit Lanes(const Geometry &g) {
        for (int j = 0; j < kLanes; j++)
            for (int m = 0; m < kLanes; m++) {
                const auto leads_there = [&](int64_t turn) { return after(g.turns[j], turn) == g.turns[m]; };
                const int64_t *found = std::find_if(g.turns, g.turns + kLanes, leads_there);
                closed = closed && found != g.turns + kLanes;
                of[j][m] = int(found - g.turns);
            }
    }
};

// A z column before a quad: two detector columns with their weights (the distance weight among them), and where on these W voxels
// fall each time.
struct Sides {
    const float *low, *high;
    float low_weight, high_weight, step;
    Places places;
};

// Where W places of both columns are read, and their weights (quads.h).
struct BlockReads {
    alignas(64) int32_t at[W];
    alignas(64) float weights[2 * W];

    void fill(const Sides &s, int64_t block, I most) {
        const F x = s.places.part[block] + s.step * lane_numbers();
        const F down = floor(x);
        const F f = x - down;
        store(at, min(max(truncate(down) + (s.places.whole[block] + int32_t(kPad)), I{}), most) * kLanes);
        store_weights(weights, 1.0f - f, f);
    }
};

// sum[n] += weight * (mixed sample) for W places; as `add` of quads.h.
inline void add_mixed(Pair *sum, const Sides &sides, const BlockReads &reads) {
    const float low = sides.low_weight, high = sides.high_weight;
    const int32_t *at = reads.at;
#pragma GCC unroll 4
    for (int n = 0; n < W; n += 4) {
        const Pair w = load_pair(reads.weights + 2 * n);
        const auto mixed = [&](int k) {
            return low * load_pair(sides.low + at[n + k]) + high * load_pair(sides.high + at[n + k]);
        };
        sum[n] += mixed(0) * TASKCT_SHUFFLE(w, w, 0, 0, 0, 0, 4, 4, 4, 4);
        sum[n + 1] += mixed(1) * TASKCT_SHUFFLE(w, w, 1, 1, 1, 1, 5, 5, 5, 5);
        sum[n + 2] += mixed(2) * TASKCT_SHUFFLE(w, w, 2, 2, 2, 2, 6, 6, 6, 6);
        sum[n + 3] += mixed(3) * TASKCT_SHUFFLE(w, w, 3, 3, 3, 3, 7, 7, 7, 7);
    }
}

// z columns around (y0, x0), and which of them do the work of all the places that turns take them to: the first of these.
struct Tile {
    int64_t y0, x0, rows, cols;
    bool mine[kTileY][kTileX] = {}, any = false;

    Tile(const Geometry &g, const std::array<Turn, kLanes> &turns, int64_t top, int64_t left)
        : y0(top), x0(left), rows(std::min(kTileY, g.shape[1] - top)), cols(std::min(kTileX, g.shape[2] - left)) {
        for (int64_t y = 0; y < rows; y++)
            for (int64_t x = 0; x < cols; x++) {
                const int64_t own = (y0 + y) * g.shape[2] + x0 + x;
                const auto later = [&](const Turn &t) { return own <= t(y0 + y, x0 + x); };
                mine[y][x] = std::all_of(turns.begin(), turns.end(), later);
                any = any || mine[y][x];
            }
    }
};

// The sums of a tile in all its turns, [turn][column][z][lane].
class Orbit {
public:
    Orbit(const Geometry &g, const std::vector<View> &leads, const std::array<Turn, kLanes> &turns, const QuadDetector &detector)
        : g_(g), leads_(leads), turns_(turns), detector_(detector), lanes_(g) {
        sums_.resize(kLanes * kTileY * kTileX * kDeep * kLanes);
    }

    // Quads n0 .. n1, which the detector holds, in voxels z0 .. z0 + kDeep of the columns.
    void add(const Tile &tile, int64_t z0, int64_t n0, int64_t n1) {
        const int64_t blocks = (std::min(g_.shape[0] - z0, kDeep) + W - 1) / W;
        for (int j = 0; j < kLanes; j++)
            for (int64_t y = 0; y < tile.rows; y++)
                for (int64_t x = 0; x < tile.cols; x++)
                    if (tile.mine[y][x]) std::fill_n(sums(j, y * kTileX + x), blocks * W * kLanes, 0.0f);
        for (int j = 0; j < kLanes; j++)
            for (int64_t n = n0; n < n1; n += kTogether)
                for (int64_t y = 0; y < tile.rows; y++)
                    for (int64_t x = 0; x < tile.cols; x += kSide) {
                        const int64_t count = std::min(kSide, tile.cols - x);
                        const bool *mine = tile.mine[y] + x;
                        if (!std::any_of(mine, mine + count, [](bool m) { return m; })) continue;
                        const Turn &t = turns_[j];
                        const int64_t here = t(tile.y0 + y, tile.x0 + x), size = g_.shape[2];
                        const bool along_y = g_.turns[j] & 1;
                        falls_.clear();
                        const int64_t down = along_y ? t.right / size : 0, right = along_y ? 0 : t.right;
                        for (int64_t m = n; m < std::min(n1, n + kTogether); m++)
                            falls_.emplace_back(g_, leads_[m], here / size, here % size, down, right);
                        for (int64_t k = 0; k < count; k++)
                            if (mine[k]) add(k, n - n0, z0, blocks, sums(j, y * kTileX + x + k));
                    }
    }
    // Sums the lanes of each voxel into the volume.
    void put(const Tile &tile, int64_t z0, bool more, float *mu) {
        const int64_t plane = g_.shape[1] * g_.shape[2], deep = std::min(kDeep, g_.shape[0] - z0);
        for (int64_t y = 0; y < tile.rows; y++)
            for (int64_t x = 0; x < tile.cols; x++) {
                if (!tile.mine[y][x]) continue;
                float *sum[kLanes];
                for (int j = 0; j < kLanes; j++) sum[j] = sums(j, y * kTileX + x);
                for (int64_t z = 0; z < deep * kLanes; z += kLanes) {
                    float all[kLanes] = {};
                    for (int j = 0; j < kLanes; j++)
                        for (int m = 0; m < kLanes; m++) all[m] += sum[j][z + lanes_.of[j][m]];
                    std::copy(all, all + kLanes, sum[0] + z);
                }
            }
        for (int m = 0; m < kLanes; m++) {
            const Turn &t = turns_[m];
            for (int64_t y = 0; y < tile.rows; y++) {
                bool writes[kTileX];  // no turn before this one has led here
                for (int64_t x = 0; x < tile.cols; x++) {
                    const int64_t here = t(tile.y0 + y, tile.x0 + x);
                    const auto same = [&](const Turn &other) { return other(tile.y0 + y, tile.x0 + x) == here; };
                    writes[x] = tile.mine[y][x] && std::none_of(turns_.begin(), turns_.begin() + m, same);
                }
                for (int64_t z = 0; z < deep; z++) {
                    float *to = mu + (z0 + z) * plane + t(tile.y0 + y, tile.x0);
                    const float *from = sums(0, y * kTileX) + z * kLanes + m;
                    for (int64_t x = 0; x < tile.cols; x++)
                        if (writes[x]) to[x * t.right] = (more ? to[x * t.right] : 0) + from[x * kDeep * kLanes];
                }
            }
        }
    }

private:
    float *sums(int j, int64_t column) { return &sums_[(j * kTileY * kTileX + column) * kDeep * kLanes]; }

    // Adds some quads to the z column number k of their falls.
    void add(int64_t k, int64_t place, int64_t z0, int64_t blocks, float *column) {
        Sides sides[kTogether];
        int count = 0;
        for (const Falls &f : falls_) {
            const float *low = detector_.at(place++, f.low[k]);
            if (!f.seen[k]) continue;
            Sides &next = sides[count++];
            next.low = low;
            next.high = low + detector_.stride;
            next.low_weight = f.weight0[k];
            next.high_weight = f.weight1[k];
            next.step = float(f.step[k]);
            next.places.fill(f.start[k] + f.step[k] * z0, f.step[k] * W, blocks, -1e6, 1e6);
        }
        const I most = I{} + int32_t(kPad + detector_.rows);
        BlockReads reads[kTogether];
        for (int64_t b = 0; b < blocks; b++) {
            for (int m = 0; m < count; m++) reads[m].fill(sides[m], b, most);
            Pair sum[W] = {};
            for (int m = 0; m < count; m++) add_mixed(sum, sides[m], reads[m]);
            add_sums(column + b * W * kLanes, sum);
        }
    }

    const Geometry &g_;
    const std::vector<View> &leads_;
    const std::array<Turn, kLanes> &turns_;
    const QuadDetector &detector_;
    const Lanes lanes_;
    std::vector<Falls> falls_;
    Buffer<float> sums_;
};

}  // namespace

bool backproject3d_quads(const Geometry &g, int threads, const float *q, float *mu) {
    if (!g.quads || !rows_along_z(g) || !Lanes(g).closed) return false;
    FanTable table;
    std::vector<View> leads;
    leads.reserve(g.quads);
    for (int64_t n = 0; n < g.quads; n++) leads.emplace_back(g, g.quad_views[n * kLanes], table);
    const auto turns = turns_of(g);
    std::vector<Tile> tiles;
    for (int64_t y = 0; y < g.shape[1]; y += kTileY)
        for (int64_t x = 0; x < g.shape[2]; x += kTileX) {
            const Tile tile(g, turns, y, x);
            if (tile.any) tiles.push_back(tile);
        }
    const int64_t parts = 1 + QuadDetector::bytes(g) * g.quads / kDetectorBytes;
    const int64_t most = (g.quads + parts - 1) / parts, count = tiles.size(), layers = (g.shape[0] + kDeep - 1) / kDeep;
    QuadDetector detector(g, most);
    for (int64_t n0 = 0; n0 < g.quads; n0 += most) {
        const int64_t n1 = std::min(g.quads, n0 + most);
#pragma omp parallel num_threads(threads)
        {
            Orbit orbit(g, leads, turns, detector);
#pragma omp for schedule(static)
            for (int64_t n = n0; n < n1; n++) detector.read(g, n - n0, n, q);
#pragma omp for schedule(dynamic, 1)
            for (int64_t t = 0; t < layers * count; t++) {
                const int64_t z0 = t / count * kDeep;
                orbit.add(tiles[t % count], z0, n0, n1);
                orbit.put(tiles[t % count], z0, n0 > 0, mu);
            }
        }
    }
    return true;
}

}  // namespace taskct
