"""
Measured projections
====================

Raw counts of a detector with flat and dark frames, as synchrotrons write them (Data Exchange). The file is made here,
so that the example runs anywhere; the axis of rotation is off the middle, as it is in life.
"""

import tempfile
from pathlib import Path

import h5py
import numpy as np

import taskct
from taskct.data.sets.measured import read_counts, read_dxchange

# %%
# A file with 120 projections of 4,000 counts, ten flat and ten dark frames, detector pixels of unequal gain.
rng = np.random.default_rng(0)
case = taskct.phantom_case("ellipses", seed=4, shape=(1, 96, 96), spacing_mm=(1.0, 1.0, 1.0))
truth = taskct.ParallelBeam(views=120, cols=110, pixel_mm=1.0, col_offset_mm=3.4)
p = taskct.Projector(case.slice_grid, truth)(case.mu)[0, 0].numpy()[:, None]
gain = rng.uniform(0.7, 1.3, (1, 110))
path = Path(tempfile.mkdtemp()) / "tooth.h5"
with h5py.File(path, "w") as file:
    file["exchange/data"] = rng.poisson(4000 * gain * np.exp(-p)) + 100.0
    file["exchange/data_white"] = rng.poisson(4000 * gain[None].repeat(10, 0)) + 100.0
    file["exchange/data_dark"] = np.full((10, 1, 110), 100.0)
    file["exchange/theta"] = np.arange(120) * 1.5
raw = read_counts(path)
taskct.show({"counts": raw.counts[:, 0]}, kind="sinogram")

# %%
# Counts become line integrals, and the axis is found from one pair of opposite views. The file does not hold the size
# of a pixel.
scan = read_dxchange(path, pixel_mm=1.0)
A = taskct.Projector(scan.grid, scan.beam)
print(f"axis at column {(110 - 1) / 2 - scan.beam.col_offset_mm:.2f}, put at {(110 - 1) / 2 - 3.4:.2f}")
taskct.show(scan.p, kind="sinogram")

# %%
# Reconstructed with the axis that was found, and three columns off: edges split.
off = read_dxchange(path, pixel_mm=1.0, axis_col=(110 - 1) / 2)
images = {"axis found": taskct.fbp(scan.p, A), "axis in the middle": taskct.fbp(off.p, taskct.Projector(off.grid, off.beam))}
images["SIRT, axis found"] = taskct.sirt(scan.p, A, iterations=40, progress=False)
taskct.show(images, units="other", window=(0.01, 0.03))

# %%
# The same from the command line: ``taskct reconstruct tooth.h5 --pixel-mm 1.0 --out tooth.nii.gz``. Files of the
# Helsinki Tomography Challenge are read by ``read_htc2022``.
