"""
How little dose is enough?
==========================

A search for the least dose at which a reconstruction still keeps what you name, with its interval over patients.
"""

from functools import partial

import taskct

# %%
# Six patients of 64 pixels, scanned by a parallel beam. Full dose is a million photons per detector pixel.
cohort = taskct.Cohort("abdomen", {"test": 6}, shape=(64, 64), slices_per_patient=1)
cases = [taskct.liver_classes(cohort.patient(n).case) for n in cohort.numbers("test")]
A = taskct.Projector(cases[0].slice_grid, taskct.ParallelBeam(views=90, cols=72, pixel_mm=cohort.pixel_mm[0]))
full = taskct.Dose(photons=1e6)

# %%
# The target: noise in the liver of at most 60 HU, on average over patients. Other targets are PSNR in a named
# convention, RMSE, or a reader's Dice relative to full dose.
search = taskct.DoseSearch(lowest=1 / 64, refine=1)
methods = {"FBP": taskct.fbp, "FBP, Hann": partial(taskct.fbp, window="hann")}
answers = {
    name: taskct.optimise_dose(f, cases, A, full, keep="noise_sd_hu[liver]<=60", search=search, progress=False)
    for name, f in methods.items()
}
for name, answer in answers.items():
    print(f"{name}: {answer.text}")

# %%
# The curves behind the answer: mean noise over dose. The smoother reconstruction needs fewer photons for the same
# noise; whether it still shows the lesion is another question, which a target such as ``tumour.dice>=0.95*full`` asks.
curves = {name: answer.targets[0].values.mean(0) for name, answer in answers.items()}
share = {name: answer.targets[0].levels / full.photons for name, answer in answers.items()}
taskct.show(curves, along=share, axes=("share of full dose", "noise in the liver / HU"))

# %%
# The slice that the answer keeps, at full dose and at the dose that was found. The same search from the command line::
#
#     taskct dose fbp --set window=hann --ct CT --labels LABELS --label-name 1=liver \
#         --keep "noise_sd_hu[liver]<=60" --photons 1e6 --out runs/dose
shown = answers["FBP, Hann"].shown
taskct.show({"full dose": shown.full_hu, "the dose that was found": shown.found_hu}, window="soft tissue", units="hu")
