"""
The networks that come with the package
=======================================

Trained reconstructions and readers of built-in abdomens, each with a card that says what it learnt from and where it
ends.
"""

import torch

import taskct

# %%
# A reconstruction, and what is known of it.
taskct.open_model("abdomen-lpd-label").card

# %%
# It was trained for one scan. ``trained_for`` gives grid, beam and dose back; other scans are refused.
from taskct.recon.learned import trained_for

net = taskct.load_reconstructor("abdomen-lpd-label")
plain = taskct.load_reconstructor("abdomen-unet")
known = trained_for(net)
print(known.words)

# %%
# A patient that no training saw, at the lowest dose of the training.
cohort = taskct.Cohort("abdomen", 100, seed=5, shape=known.grid.shape, spacing_mm=known.grid.spacing_mm, slices_per_patient=3)
case = taskct.liver_classes(cohort.patient(29).case)
beam = taskct.geometry.beam_config.beam_from_config(known.beam)
A = taskct.Projector(known.grid, beam)
p = taskct.simulate_scan(case.mu[1:2], A, taskct.Dose(photons=known.photons[0]), seed=0)
with torch.no_grad():
    images = {"truth": case.mu[1:2], "FBP": taskct.fbp(p, A), "FBP + U-Net": plain(p, A), "Primal-Dual, label loss": net(p, A)}
taskct.show(images, window="soft tissue")

# %%
# A reader that was not used to train any reconstruction reads each image. The outlines are its liver and tumour.
reader = taskct.load_reader("abdomen-reader-thin")
with torch.no_grad():
    marks = {name: reader.predict(mu).argmax(1)[0] for name, mu in images.items()}
taskct.show(images["Primal-Dual, label loss"], labels=marks["Primal-Dual, label loss"], window="soft tissue")

# %%
# One image proves nothing. ``taskct demo`` asks 40 patients and three readers, and prints intervals: two minutes.
for name, mark in marks.items():
    tumour, truth = mark == 2, case.labels[1] == 2
    dice = 2 * (tumour & truth).sum() / max(1, int(tumour.sum() + truth.sum()))
    print(f"{name:24} Dice of the tumour {float(dice):.2f}")
