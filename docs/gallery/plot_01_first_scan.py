"""
First scan
==========

A patient, a scanner, a dose, and what two reconstructions make of it.
"""

from functools import partial

import taskct

# %%
# A built-in patient. :func:`taskct.open_case` reads your own CT into the same :class:`taskct.Case`.
case = taskct.phantom_case("abdomen", seed=3, shape=(3, 128, 128), spacing_mm=(5.0, 2.8, 2.8))
taskct.show(case, slices=1)

# %%
# A scanner is a few numbers in mm. The projector turns an image ``mu`` in 1/mm into line integrals ``p`` and back.
beam = taskct.FanBeam(views=240, cols=240, pixel_mm=3.6, source_iso_mm=595, source_detector_mm=1085.6)
A = taskct.Projector(case.slice_grid, beam)
taskct.show(A)

# %%
# Dose is counted in photons: a million reach each detector pixel through air, and a tenth of them is used.
dose = taskct.Dose(photons=1e6, fraction=0.1, electronic_std=10)
p = taskct.simulate_scan(case.mu[1:2], A, dose, seed=0)
taskct.show(p, kind="sinogram", title="the scan")

# %%
# Every reconstruction is a callable ``(p, A) -> mu``.
images = {"truth": case.mu[1:2], "FBP": taskct.fbp(p, A), "FBP, Hann window": taskct.fbp(p, A, window="hann")}
images["TV"] = taskct.tv_min(p, A, strength=1.0, progress=False)
taskct.show(images, window="soft tissue")

# %%
# Scores of every method at every dose, on the same noise. With several patients they come with intervals.
# ``taskct.write_report(table, "report.html")`` makes a page of it.
methods = {"FBP": taskct.fbp, "FBP, Hann window": partial(taskct.fbp, window="hann")}
doses = [dose.at(fraction) for fraction in (1, 0.25, 0.1)]
table = taskct.evaluate(methods, [case], A, doses, slices=[1], noise_free=False, progress=False)
taskct.show(table)
