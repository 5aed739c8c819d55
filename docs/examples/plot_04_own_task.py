"""
Your own task
=============

A reconstruction can be trained for a reader: a network that finds something in the image, whose weights stay as they
are. Any module becomes such a task.
"""

import tempfile
from pathlib import Path

import torch

import taskct
from taskct.task import DiceCE, FrozenTask, HuWindow, freeze
from taskct.testing import check_task

# %%
# Your network, here a stand-in with three classes. ``HuWindow`` leads from 1/mm to the numbers that it was trained on.
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 3, padding=1))
task = FrozenTask(freeze(net), HuWindow(60, 320), DiceCE(), "my task")
print(check_task(task))

# %%
# Two trainings on the same patients: for the image alone, then, from there, half for the task.
cohort = taskct.Cohort("abdomen", {"train": 5, "validation": 2}, shape=(64, 64), slices_per_patient=4)
images, checks = (cohort.images(part, progress=False) for part in ("train", "validation"))
beam = taskct.ParallelBeam(views=80, cols=68, pixel_mm=cohort.pixel_mm[0])
A, dose = taskct.Projector(taskct.Grid((64, 64), cohort.pixel_mm), beam), taskct.Dose(photons=32768)
runs = Path(tempfile.mkdtemp())
steps = lambda n: taskct.TrainSettings(steps=n, batch=8, log_every=5, validate_every=20)
plain = taskct.train(
    taskct.fbp_unet(widths=(8, 16)), images, objective={"image": (1.0, taskct.ImageError())}, A=A, dose=dose,
    run=runs / "plain", settings=steps(30), validation=checks, progress=False,
)  # fmt: skip
mine = taskct.train(
    taskct.fbp_unet(widths=(8, 16)), images,
    objective=taskct.convex(taskct.ImageError(), taskct.LabelPenalty(task), alpha=0.5), A=A, dose=dose, run=runs / "mine",
    settings=steps(30), validation=checks, warm_start=runs / "plain", progress=False,
)  # fmt: skip
taskct.show(taskct.load_run(runs / "mine"))

# %%
# What the reader says of both images, as probability of its second class. So short a training shows how it is done, not
# that it helps: see :doc:`evaluation of task gains </task-evaluation>` for that.
batch = checks.take([3])
p = taskct.simulate_scan(batch.mu, A, dose, seed=0)
with torch.no_grad():
    answers = {
        name: task.predict(one.model(p, A)).softmax(1)[:, 1:2]
        for name, one in {"image loss": plain, "task loss": mine}.items()
    }
taskct.show(answers, window=(0.45, 0.4))
