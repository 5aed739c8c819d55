"""
Coming from ASTRA
=================

The same scan in both libraries: names, units and the two signs that differ.
"""

import numpy as np
import torch

import taskct

# %%
# ASTRA measures in pixels by default, and its y axis points up, so its angles run the other way.
n, views, cols = 64, 120, 96
image = np.zeros((n, n), dtype=np.float32)
image[12:20, 30:44], image[30:33, 12:20] = 0.02, 0.04  # attenuation in 1/mm: 0.02 is water
angles = np.linspace(0, np.pi, views, endpoint=False)
beam = taskct.ParallelBeam(
    views=views, cols=cols, pixel_mm=1.0, arc_deg=-180.0
)  # create_proj_geom("parallel", 1.0, cols, angles)
A = taskct.Projector(taskct.Grid((n, n), 1.0), beam)  # create_vol_geom(n, n)
mu = torch.from_numpy(image)[None, None]  # (1, 1, Y, X)
p = A(mu)  # create_sino(image, proj_id)
taskct.show(p, kind="sinogram")

# %%
# Both sinograms are compared where ASTRA is installed. Without ASTRA only that of taskct is computed.
try:
    import astra
except ImportError:
    print("ASTRA is not installed here")
else:
    projector = astra.create_projector(
        "linear", astra.create_proj_geom("parallel", 1.0, cols, angles), astra.create_vol_geom(n, n)
    )
    _, theirs = astra.create_sino(image, projector)
    print("largest difference of the two sinograms:", float(np.abs(theirs - p[0, 0].numpy()).max()))

# %%
# ``FBP_CUDA``, ``SIRT_CUDA`` and ``CGLS_CUDA`` are functions here, on the device of the tensor;
# ``create_backprojection`` is ``A.adjoint``, the exact transpose.
images = {"image": mu, "FBP": taskct.fbp(p, A), "SIRT": taskct.sirt(p, A, iterations=50, progress=False)}
images["CGLS"] = taskct.cgls(p, A, iterations=15, progress=False)
taskct.show(images, units="other", window=(0.02, 0.06))

# %%
# A fan starts behind and turns the other way, too: ``FanBeam(views, cols, pixel_mm=w, source_iso_mm=so,
# source_detector_mm=so + od, arc_deg=-360, start_deg=180)``. The whole table of names is in :doc:`/coming-from`.
y = torch.rand(1, 1, *A.p_shape)
print("<A x, y> and <x, A^T y>:", float((A(mu) * y).sum()), float((mu * A.adjoint(y)).sum()))
