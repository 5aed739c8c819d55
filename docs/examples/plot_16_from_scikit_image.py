"""
Coming from scikit-image
========================

``radon`` and ``iradon`` with a dose, units and more than one reconstruction.
"""

import numpy as np
import torch

import taskct

n, theta = 64, np.arange(0.0, 180.0, 2.0)
image = np.zeros((n, n))
image[12:20, 30:44], image[30:33, 12:20] = 0.02, 0.04  # attenuation in 1/mm: 0.02 is water

# %%
# Angles of ``radon`` run the other way, and its axis lies on pixel ``n // 2``, half a pixel off the middle where n is
# even.
grid = taskct.Grid((n, n), 1.0, origin_mm=(-(n // 2), -(n // 2)))
beam = taskct.ParallelBeam(views=len(theta), cols=n, pixel_mm=1.0, arc_deg=-180.0, col_offset_mm=-0.5)
A = taskct.Projector(grid, beam)
mu = torch.from_numpy(image).float()[None, None]
ours = A(mu)[0, 0].numpy()
try:
    from skimage.transform import radon
except ImportError:
    print("scikit-image is not installed here")
    theirs = ours
else:
    theirs = radon(image, theta, circle=True).T
    print("mean difference of the two sinograms:", float(np.abs(ours - theirs).mean()))
taskct.show({"taskct": ours, "radon(image, theta).T": theirs}, kind="sinogram")

# %%
# ``iradon(sinogram, theta)`` is ``fbp``; ``filter_name="hann"`` is ``window="hann"``.
p = torch.from_numpy(np.ascontiguousarray(theirs)).float()[None, None]
taskct.show(
    {"image": mu, "fbp": taskct.fbp(p, A), "fbp, hann": taskct.fbp(p, A, window="hann")}, units="other", window=(0.02, 0.06)
)

# %%
# What scikit-image does not have is a dose. Images in 1/mm give line integrals, and those give photons.
noisy = taskct.simulate_scan(mu, A, taskct.Dose(photons=2e4), seed=0)
images = {"fbp": taskct.fbp(noisy, A), "tv_min": taskct.tv_min(noisy, A, strength=1.0, progress=False)}
taskct.show(images, units="other", window=(0.02, 0.06), title="20,000 photons per detector pixel")
