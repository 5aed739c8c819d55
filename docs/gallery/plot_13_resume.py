"""
Resume what was stopped
=======================

A training that was killed or stopped ends with the same bytes as one that was not: call it again with the same folder.
"""

import tempfile
from pathlib import Path

import torch

import taskct

cohort = taskct.Cohort("abdomen", {"train": 4, "validation": 2}, shape=(32, 32), slices_per_patient=4)
images, checks = (cohort.images(part, progress=False) for part in ("train", "validation"))
A = taskct.Projector(
    taskct.Grid((32, 32), cohort.pixel_mm), taskct.ParallelBeam(views=40, cols=36, pixel_mm=cohort.pixel_mm[0])
)
runs = Path(tempfile.mkdtemp())


class PowerCut(Exception):
    """What ends a training in the middle."""


def learn(folder, cut_at=None):
    """Twenty-four steps; `cut_at` ends the process in that step, as a power cut would."""
    error = taskct.ImageError()

    def term(batch):
        if batch.step == cut_at:
            raise PowerCut
        return error(batch)

    torch.manual_seed(0)
    model = taskct.fbp_unet(widths=(8, 16))
    settings = taskct.TrainSettings(steps=24, batch=4, checkpoint_every=4, validate_every=8, log_every=4)
    how = {"A": A, "dose": taskct.Dose(1e5), "run": folder, "settings": settings, "validation": checks, "progress": False}
    return taskct.train(model, images, objective={"image": (1.0, term)}, **how)


# %%
# Once without a break.
whole = learn(runs / "whole")

# %%
# Once with a power cut in step 14. The run folder holds a checkpoint of the weights, the optimiser and the position in
# the data; the same call resumes there.
try:
    learn(runs / "cut", cut_at=14)
except PowerCut:
    print("stopped; in the folder:", sorted(p.name for p in (runs / "cut").iterdir()))
resumed = learn(runs / "cut")

# %%
# Same weights to the bit.
pairs = zip(whole.model.state_dict().items(), resumed.model.state_dict().items(), strict=True)
assert all(torch.equal(a, b) for (_, a), (_, b) in pairs)
print("the weights are equal to the bit")
taskct.show(taskct.load_run(runs / "cut"))

# %%
# On the command line Ctrl-C finishes the step and saves, and the same command resumes: ``taskct train``, ``taskct
# reproduce``, ``taskct evaluate --each`` and ``taskct dose CONFIG`` alike; a search for the least dose begins again.
