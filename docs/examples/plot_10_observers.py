"""
Model observers
===============

A model observer asks whether a known signal can be told from its absence. It needs no training and reads any
reconstruction.
"""

from functools import partial

import torch

import taskct
from taskct.task.observers.channels import difference_of_gaussians
from taskct.task.observers.hotelling import detectability

# %%
# A disk of water, with and without a signal: 12 mm wide and 15 HU above its surroundings.
n, pixel_mm, side = 64, 2.0, 24
grid = taskct.Grid((n, n), pixel_mm)
y, x = (torch.from_numpy(axis).float() for axis in grid.axes_mm())
radius = (y[:, None] ** 2 + x[None] ** 2).sqrt()
water = torch.where(radius < 55, 0.01929, 0.0)[None, None]
signal = torch.where(radius < 6, 0.01929 * 0.015, 0.0)[None, None]
A = taskct.Projector(grid, taskct.ParallelBeam(views=90, cols=72, pixel_mm=pixel_mm))

# %%
# Forty scans of each at three doses, by two reconstructions. The observer sees the square in the middle through round
# channels.
channels = difference_of_gaussians(side, pixel_mm=pixel_mm, channels=4)
middle = slice(n // 2 - side // 2, n // 2 + side // 2)
methods = {"FBP": taskct.fbp, "FBP, Hann": partial(taskct.fbp, window="hann")}
doses = [1e3, 4e3, 1.6e4]
scans = {}
for photons in doses:
    for name, image in (("present", water + signal), ("absent", water)):
        many = image.expand(40, 1, n, n)
        scans[photons, name] = taskct.simulate_scan(many, A, taskct.Dose(photons), seed=0, case_id=name)
shown = taskct.fbp(scans[1.6e4, "present"][:1], A, window="hann")
taskct.show({"the signal": water + signal, "one scan of it": shown}, window=(0, 200))

# %%
# d' is the distance of the two answers in units of their spread; its interval is exact for independent scans.
curves = {}
for method, reconstruct in methods.items():
    curves[method] = []
    for photons in doses:
        regions = {k: reconstruct(scans[photons, k], A)[:, 0, middle, middle] for k in ("present", "absent")}
        found = detectability(regions["present"], regions["absent"], channels)
        curves[method].append(found.d_prime)
        interval = f"[{found.low:.2f}, {found.high:.2f}]"
        print(f"{method:10} {photons:8.0f} photons: d' {found.d_prime:.2f} {interval}, AUC {found.auc:.3f}")
taskct.show(curves, along=doses, axes=("photons per detector pixel", "d'"))
