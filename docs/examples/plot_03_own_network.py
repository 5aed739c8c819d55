"""
Your own network
================

A reconstruction of your own is any module whose ``forward(p, A)`` returns ``mu`` in 1/mm. It is checked, trained, and
compared like every other.
"""

import tempfile
from pathlib import Path

import torch

import taskct
from taskct.recon.learned import MuScale

# %%
# Attenuation is about 0.02 per mm; a network that is fed such numbers hardly learns. ``MuScale`` makes numbers of order
# 1 of them.


class Denoised(torch.nn.Module):
    """FBP, then a small network that takes the noise away."""

    def __init__(self):
        super().__init__()
        self.scale = MuScale()
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(1, 12, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(12, 12, 3, padding=1), torch.nn.ReLU(),
            torch.nn.Conv2d(12, 1, 3, padding=1),
        )  # fmt: skip

    def forward(self, p, A):
        x = self.scale.normalise(taskct.fbp(p, A))
        return self.scale.restore(x + self.net(x))


# %%
# Does it keep the contract? The check asks for units, place, batches, repeatability and the gradient. An untrained
# network is not exact, so the tolerance is wide.
torch.manual_seed(0)
model = Denoised()
print(taskct.testing.check_reconstructor(model.eval(), mu_tolerance=0.2))

# %%
# Train it on built-in patients. ``train`` simulates the low-dose scans as it goes; the folder can be resumed and loaded
# again.
cohort = taskct.Cohort("abdomen", {"train": 6, "validation": 2, "test": 2}, shape=(64, 64), slices_per_patient=4)
train_set, checks, test = (cohort.images(part, progress=False) for part in ("train", "validation", "test"))
beam = taskct.ParallelBeam(views=80, cols=68, pixel_mm=cohort.pixel_mm[0])
A, dose = taskct.Projector(taskct.Grid((64, 64), cohort.pixel_mm), beam), taskct.Dose(photons=32768)
run = Path(tempfile.mkdtemp()) / "mine"
trained = taskct.train(
    model, train_set, objective={"image": (1.0, taskct.ImageError())}, A=A, dose=dose, run=run, validation=checks,
    settings=taskct.TrainSettings(steps=60, batch=8, lr=5e-3, validate_every=20, log_every=5), progress=False,
)  # fmt: skip
taskct.show(taskct.load_run(run))

# %%
# Beside FBP on a patient that it never saw.
mu = test.take([0]).mu
p = taskct.simulate_scan(mu, A, dose, seed=0)
with torch.no_grad():
    images = {"truth": mu, "FBP": taskct.fbp(p, A), "FBP and the network": trained.model(p, A)}
taskct.show(images, window="soft tissue")

# %%
# It is a method like any other: ``taskct.evaluate({"fbp": taskct.fbp, "mine": trained.model}, cases, A, dose)``, and on
# the command line ``taskct evaluate ct/ --methods fbp,net=runs/mine --model my_file.py:Denoised``.
