// The two halves of an inner step of total variation in a ramp metric (taskct/recon/ramp_prox.py), float, one slice.
//
// Beside its two cosine transforms a step is some 60 sums and products of whole slices; here every value is read once. Each
// thread has a band of rows of its own. The last value of a row or column is repeated beyond the edge: the gradient there is 0.
#include <algorithm>
#include <cmath>
#include <new>
#include <utility>
#include <vector>

#include "api.h"
#include "buffer.h"

extern "C" struct taskct_tv {
    int64_t rows, cols;
    float per_y, per_x;                // 1 / spacing, in 1/mm
    float rho, hold, limit, relax;     // hold is 0 where mu may be negative; relax: 1 takes the step as it is, 1.4 goes further
    const float *root, *pull, *u, *v;  // u: the answer of the transforms; v: before the step
    float *z_y, *z_x, *nu, *held;      // dual variables and c H (v - mu), changed in place
    float *push, *scaled, *moved;      // push, push / root, and v after the step
};

namespace taskct {
namespace {

// push = pull + D^T z - nu + held. z is 0 where the gradient is, in the last row and column.
void push(const taskct_tv &s, int threads) {
    const int64_t cols = s.cols;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t y = 0; y < s.rows; y++) {
        const int64_t at = y * cols;
        const float *z_y = s.z_y + at, *above = y > 0 ? z_y - cols : nullptr, *z_x = s.z_x + at;
        const float *pull = s.pull + at, *nu = s.nu + at, *held = s.held + at, *root = s.root + at;
        float *__restrict to = s.push + at, *__restrict scaled = s.scaled + at;
        for (int64_t x = 0; x < cols; x++) to[x] = pull[x] - nu[x] + held[x] - s.per_y * z_y[x] - s.per_x * z_x[x];
        if (above)
            for (int64_t x = 0; x < cols; x++) to[x] += s.per_y * above[x];
        for (int64_t x = 1; x < cols; x++) to[x] += s.per_x * z_x[x - 1];
        for (int64_t x = 0; x < cols; x++) scaled[x] = to[x] / root[x];
    }
}

// Row y of u with its first and last value once more at either side, and of v - 2 u / root with its last.
struct Lines {
    Buffer<float> u, ahead;

    explicit Lines(int64_t cols) : u(cols + 2), ahead(cols + 1) {}

    void read(const taskct_tv &s, int64_t y) {
        const int64_t cols = s.cols, at = y * cols;
        const float *from = s.u + at, *v = s.v + at, *root = s.root + at;
        float *__restrict own = u.data() + 1, *__restrict next = ahead.data();
        for (int64_t x = 0; x < cols; x++) own[x] = from[x];
        for (int64_t x = 0; x < cols; x++) next[x] = v[x] - 2 * (from[x] / root[x]);
        own[-1] = own[0];
        own[cols] = own[cols - 1];
        next[cols] = next[cols - 1];
    }
};

void move_row(const taskct_tv &s, int64_t y, const Lines &here, const Lines &below) {
    const int64_t cols = s.cols, at = y * cols;
    const float *u = here.u.data() + 1, *down = below.u.data() + 1, *up = y > 0 ? s.u + at - cols : u;
    const float *ahead = here.ahead.data(), *next = below.ahead.data();
    const float *root = s.root + at, *v = s.v + at, *push = s.push + at;
    float *__restrict z_y = s.z_y + at, *__restrict z_x = s.z_x + at;
    float *__restrict nu = s.nu + at, *__restrict held = s.held + at, *__restrict moved = s.moved + at;
    const float y2 = s.per_y * s.per_y, x2 = s.per_x * s.per_x, rho = s.rho, hold = s.hold, relax = s.relax;
    for (int64_t x = 0; x < cols; x++) {
        const float bend = y2 * (2 * u[x] - up[x] - down[x]) + x2 * (2 * u[x] - u[x - 1] - u[x + 1]);  // D^T D u
        held[x] += relax * (root[x] * (rho * bend + hold * u[x]) - push[x]);
        moved[x] = v[x] - relax * (u[x] / root[x]);
    }
    for (int64_t x = 0; x < cols; x++) {
        const float step = rho * root[x] * root[x];
        const float a = z_y[x] + step * s.per_y * (next[x] - ahead[x]), b = z_x[x] + step * s.per_x * (ahead[x + 1] - ahead[x]);
        const float over = std::sqrt(a * a + b * b) / s.limit, by = over > 1 ? over : 1;
        z_y[x] += relax * (a / by - z_y[x]);
        z_x[x] += relax * (b / by - z_x[x]);
    }
    if (hold > 0)
        for (int64_t x = 0; x < cols; x++) {
            const float left = nu[x] - hold * root[x] * root[x] * ahead[x];
            nu[x] += relax * ((left < 0 ? 0 : left) - nu[x]);  // NaN stays
        }
}

void move(const taskct_tv &s, int threads) {
    threads = int(std::clamp<int64_t>(threads, 1, std::max<int64_t>(s.rows / 16, 1)));
    std::vector<Lines> lines(2 * threads, Lines(s.cols));  // before the threads begin: one may not throw
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int band = 0; band < threads; band++) {
        const int64_t begin = s.rows * band / threads, end = s.rows * (band + 1) / threads;
        Lines &here = lines[2 * band], &below = lines[2 * band + 1];
        here.read(s, begin);
        for (int64_t y = begin; y < end; y++) {
            if (y + 1 < s.rows) below.read(s, y + 1);
            move_row(s, y, here, y + 1 < s.rows ? below : here);
            std::swap(here, below);
        }
    }
}

}  // namespace
}  // namespace taskct

// push and scaled from pull, z, nu and held.
TASKCT_API void taskct_tv_push_f32(const taskct_tv *s, int threads) { taskct::push(*s, threads); }

// moved, z, nu and held from u, v and push. Returns 0, or 1 when memory ran out.
TASKCT_API int taskct_tv_move_f32(const taskct_tv *s, int threads) {
    try {
        taskct::move(*s, threads);
    } catch (const std::bad_alloc &) {
        return 1;
    }
    return 0;
}
