// The entry points. NVRTC makes each a kernel; the C++ compiler makes each a loop over the threads, for machines without a GPU.
// TASKCT_PART picks 2 (fast, two dimensions), 3 (fast, three) or 0 (general), so that a GPU compiles only what it runs.
#include "common.h"
#include "general.h"
#include "joseph.h"
#include "voxel.h"

#ifdef __CUDACC__
#define TASKCT_ENTRY(name, body)                                                                       \
    extern "C" __global__ void __launch_bounds__(TASKCT_BLOCK) name(const __grid_constant__ Job job) { \
        const i64 n = i64(blockIdx.x) * TASKCT_BLOCK + threadIdx.x;                                    \
        if (n < job.threads) body(job, unsigned(n));                                                   \
    }
#else
#define TASKCT_ENTRY(name, body)                                                                   \
    extern "C" __attribute__((visibility("default"))) void name(const Job *job) {                  \
        for (i64 n = 0; n < job->threads; n++) body(*job, unsigned(n));                            \
    }
#endif

#if !defined(TASKCT_PART) || TASKCT_PART == 2
TASKCT_ENTRY(forward_2d_1, (forward<2, 1>))
TASKCT_ENTRY(forward_2d_4, (forward<2, 4>))
TASKCT_ENTRY(adjoint_2d_1, (adjoint<2, 1>))
TASKCT_ENTRY(adjoint_2d_4, (adjoint<2, 4>))
TASKCT_ENTRY(backproject_2d_1, (backproject<2, 1>))
TASKCT_ENTRY(backproject_2d_4, (backproject<2, 4>))
TASKCT_ENTRY(backproject_adjoint_2d_1, (backproject_adjoint<2, 1>))
TASKCT_ENTRY(backproject_adjoint_2d_4, (backproject_adjoint<2, 4>))
#endif
#if !defined(TASKCT_PART) || TASKCT_PART == 3
TASKCT_ENTRY(forward_3d_1, (forward<3, 1>))
TASKCT_ENTRY(forward_3d_4, (forward<3, 4>))
TASKCT_ENTRY(adjoint_3d_1, (adjoint<3, 1>))
TASKCT_ENTRY(adjoint_3d_4, (adjoint<3, 4>))
TASKCT_ENTRY(backproject_3d_1, (backproject<3, 1>))
TASKCT_ENTRY(backproject_3d_4, (backproject<3, 4>))
TASKCT_ENTRY(backproject_adjoint_3d_1, (backproject_adjoint<3, 1>))
TASKCT_ENTRY(backproject_adjoint_3d_4, (backproject_adjoint<3, 4>))
#endif
#if !defined(TASKCT_PART) || TASKCT_PART != 0
TASKCT_ENTRY(weigh_rays, weigh)
#endif
#if !defined(TASKCT_PART) || TASKCT_PART == 0
TASKCT_ENTRY(forward_f32, forward_general<float>)
TASKCT_ENTRY(forward_f64, forward_general<double>)
TASKCT_ENTRY(adjoint_f32, adjoint_general<float>)
TASKCT_ENTRY(adjoint_f64, adjoint_general<double>)
TASKCT_ENTRY(backproject_f32, backproject_general<float>)
TASKCT_ENTRY(backproject_f64, backproject_general<double>)
TASKCT_ENTRY(backproject_adjoint_f32, backproject_adjoint_general<float>)
TASKCT_ENTRY(backproject_adjoint_f64, backproject_adjoint_general<double>)
#endif
