// Which kernel serves: the fast ones for common scanners in float, the general ones for everything else.
#include "maps.h"

namespace taskct {

void forward(const Geometry &g, int threads, const float *mu, float *p) {
    if (g.dim == 2) return forward2d(g, threads, mu, p);
    if (!forward3d(g, threads, mu, p)) forward_general(g, threads, mu, p);
}

void adjoint(const Geometry &g, int threads, const float *p, float *mu) {
    if (g.dim == 2) return adjoint2d(g, threads, p, mu);
    if (!adjoint3d(g, threads, p, mu)) adjoint_general(g, threads, p, mu);
}

void backproject(const Geometry &g, int threads, const float *q, float *mu) {
    if (g.dim == 2) return backproject2d(g, threads, q, mu);
    if (!backproject3d(g, threads, q, mu)) backproject_general(g, threads, q, mu);
}

void backproject_adjoint(const Geometry &g, int threads, const float *mu, float *q) {
    if (g.dim == 2) return backproject_adjoint2d(g, threads, mu, q);
    if (!backproject_adjoint3d(g, threads, mu, q)) backproject_adjoint_general(g, threads, mu, q);
}

void forward(const Geometry &g, int threads, const double *mu, double *p) { forward_general(g, threads, mu, p); }
void adjoint(const Geometry &g, int threads, const double *p, double *mu) { adjoint_general(g, threads, p, mu); }
void backproject(const Geometry &g, int threads, const double *q, double *mu) { backproject_general(g, threads, q, mu); }
void backproject_adjoint(const Geometry &g, int threads, const double *mu, double *q) {
    backproject_adjoint_general(g, threads, mu, q);
}

}  // namespace taskct
