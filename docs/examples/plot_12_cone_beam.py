"""
Cone beam
=========

A volume, a flat detector with rows, and FDK. A helix, a curved detector or a pose for each view are other numbers of
the same kind.
"""

import numpy as np

import taskct

# %%
# A head in 48 slices, and a scanner with 48 detector rows.
case = taskct.phantom_case("head", shape=(48, 64, 64), spacing_mm=(3.5, 3.5, 3.5))
beam = taskct.ConeBeam(views=90, cols=96, rows=80, pixel_mm=5.0, source_iso_mm=500, source_detector_mm=800)
A = taskct.Projector(case.grid, beam)
taskct.show(A)

# %%
# The scan: a sinogram of one detector row, and three of the radiographs.
p = taskct.simulate_scan(case.mu_volume, A, taskct.Dose(photons=1e5), seed=0)
taskct.show(p, kind="sinogram")

# %%
# FDK, in three planes.
mu = taskct.fdk(p, A, window="hann")
taskct.show(mu, spacing_mm=case.spacing_mm, title="FDK", window=(0, 400))

# %%
# FDK loses attenuation away from the plane of the source; iterations that use the exact geometry do not.
sirt = taskct.sirt(p, A, iterations=15, progress=False)
inside = case.hu[:, 32, 32] > -500
along = np.arange(48) * 3.5
lines = {"truth": case.mu_volume, "FDK": mu, "SIRT, 15 iterations": sirt}
taskct.show({k: v[0, 0, :, 28:36, 28:36].mean((1, 2)) for k, v in lines.items()}, along=along, axes=("z / mm", "mu in 1/mm"))
