"""
A lesion in your own CT
=======================

An inserted lesion, whose place, size and contrast are known, shows what is lost at low dose.
"""

from functools import partial

import taskct

# %%
# A case with an organ label. ``liver_classes`` turns the labels of the known data sets into 1 liver and 2 tumour.
cohort = taskct.Cohort("abdomen", 10, seed=2, shape=(96, 96), slices_per_patient=1)
case = taskct.liver_classes(cohort.patient(0).case)
liver = (case.labels[0] == 1).nonzero().float()
y, x = (float(v) for v in liver.median(0).values)
place = case.affine_mm @ [0.0, y, x, 1.0]
taskct.show(case, window="liver")

# %%
# The lesion is added before the scan, so that dose, noise and reconstruction treat it like everything else.
marked = taskct.insert_lesion(case, centre_mm=tuple(place[:3]), radius_mm=12, contrast_hu=-40, seed=0)
print(taskct.case_lesions(marked)[-1])
A = taskct.Projector(case.slice_grid, taskct.ParallelBeam(views=120, cols=104, pixel_mm=case.spacing_mm[1]))

# %%
# The same noise with and without it: the difference is what the reconstruction makes of the lesion.
methods = {
    "FBP": taskct.fbp,
    "FBP, Hann": partial(taskct.fbp, window="hann"),
    "TV": partial(taskct.tv_min, strength=2.0, progress=False),
}
dose = taskct.Dose(photons=1e5)
pairs = {name: [f(taskct.simulate_scan(c.mu, A, dose, seed=0), A) for c in (marked, case)] for name, f in methods.items()}
taskct.show({name: with_it for name, (with_it, _) in pairs.items()}, window="liver")

# %%
# The contrast that remains of -40 HU.
inside = (marked.labels[0] == 2) & (case.labels[0] != 2)
for name, (with_it, without) in pairs.items():
    lost = (with_it - without)[0, 0][inside].mean() / case.mu_water_per_mm * 1000
    print(f"{name:10} {float(lost):6.1f} HU")
