"""This machine in a few lines for people: versions, threads, and which projector kernels run and why."""

from __future__ import annotations

import os
import platform

import torch

from taskct.core.provenance import provenance
from taskct.physics.cuda.driver import describe
from taskct.physics.native.library import kernels
from taskct.report.file_description import aligned


def describe_machine() -> list[str]:
    """This machine: versions, threads and kernels."""
    made = provenance()
    compiled = kernels()
    projector = "reference (PyTorch)" if compiled.library is None else f"{compiled.level} kernels"
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    facts = {
        "versions": ", ".join(f"{k} {v}" for k, v in made["versions"].items()),
        "python": f"{made['python']} on {platform.platform(terse=True)}, {made['machine']}",
        "commit": made["git_commit"],
        "threads": f"{made['threads']} of {os.cpu_count()} processors" + (", OpenMP" if compiled.openmp else ""),
        "projector": f"{projector}: {compiled.reason}",
        "GPU": ", ".join(gpus) or "none that torch sees",
        "GPU projector": describe(),
    }
    return ["system", *aligned(facts)]
