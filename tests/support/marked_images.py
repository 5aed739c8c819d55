"""Small images with lesions and their marks: bright spots of two kinds on a grey ground."""

from __future__ import annotations

import torch

from taskct.data.images import ImageSet
from taskct.data.marks import Marks

SIZE = 24
CLASSES = {"spot": ("spot",), "patch": ("patch",)}


def marked_images(count: int, *, seed: int = 0, prefix: str = "p") -> ImageSet:
    """A third of the images shows a spot, a third a patch, a third nothing; two images of each patient."""
    draw = torch.Generator().manual_seed(seed)
    mu = 0.01 + 3e-4 * torch.randn(count, 1, SIZE, SIZE, generator=draw)
    marks = []
    for k in range(count):
        instances = torch.zeros(SIZE, SIZE, dtype=torch.int16)
        kind = ("spot", "patch", "")[k % 3]
        if kind:
            size = 3 if kind == "spot" else 8
            y, x = torch.randint(2, SIZE - size - 2, (2,), generator=draw).tolist()
            instances[y : y + size, x : x + size] = 1
            mu[k, 0][instances == 1] += 0.008 if kind == "spot" else 0.004
        marks.append(Marks(instances, {1: kind} if kind else {}, masked=frozenset(["spot", "patch"])))
    return ImageSet(mu, [f"{prefix}{k // 2}" for k in range(count)]).with_marks(marks)
