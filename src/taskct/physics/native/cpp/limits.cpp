// What this core can do at most, for the benchmark: vector operations without a memory access.
#include "api.h"
#include "simd.h"

// Does 32 * rounds independent fused multiply-adds on whole vectors and returns the lanes of a vector.
TASKCT_API int taskct_vector_operations(int64_t rounds, float *out) {
    using namespace taskct;
    constexpr int chains = 8;  // as many as a core needs to hide the latency of 4 on two ports
    F sums[chains] = {};
    const F a = splat(out[0]), b = splat(out[1]);
    for (int64_t n = 0; n < 4 * rounds; n++)
        for (F &sum : sums) sum = sum * a + b;
    F all = {};
    for (const F &sum : sums) all += sum;
    out[0] = largest(all);
    return W;
}
