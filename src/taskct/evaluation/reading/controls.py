"""Negative controls: readers and labels in which there is nothing to gain: whoever gains there gains by something else."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from taskct.core.errors import InputError
from taskct.core.seeds import derive_seed
from taskct.evaluation.reading.readings import MethodImages
from taskct.task.frozen import FrozenTask, freeze


def random_reader(task: FrozenTask, *, seed: int, name: str = "random network") -> FrozenTask:
    """The same architecture with weights drawn anew by `seed`: frozen, with the same preparation and penalty.

    As a reader of a panel it shows what a score is without knowledge; as the frozen network in a training loss it shows
    how much of a gain any network's gradient gives. The caller's random state is left alone.
    """
    net = copy.deepcopy(task.net)
    layers = [m for m in net.modules() if callable(getattr(m, "reset_parameters", None))]
    if not layers:
        raise InputError(f"task {task.name!r} has no layer with reset_parameters(); give a random network of your own")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "random reader") % 2**63)
        for layer in layers:
            layer.reset_parameters()  # type: ignore[operator]
    return FrozenTask(freeze(net), task.prepare, task.penalty, name)


def shuffled_labels(images: MethodImages, *, seed: int = 0) -> MethodImages:
    """The same images, each with the labels of an image of another patient: what a reader scores by position alone.

    Patients are put in a random order and each takes the labels of the next; images of a patient are counted off, again
    from the first when the next patient has fewer. Raises InputError for a single patient.
    """
    return images.with_labels(images.labels[images_of_others(images.patients, seed=seed)])


def images_of_others(patients: Sequence[str], *, seed: int = 0) -> list[int]:
    """For each image, whose patient is `patients[i]`, the number of an image of another patient; as in `shuffled_labels`."""
    owners: dict[str, list[int]] = {}
    for i, patient in enumerate(patients):
        owners.setdefault(patient, []).append(i)
    if len(owners) < 2:
        raise InputError("shuffled_labels expects images of two patients or more; one patient's labels cannot be swapped")
    generator = torch.Generator().manual_seed(derive_seed(seed, "shuffled labels"))
    names = list(owners)
    order = [names[int(i)] for i in torch.randperm(len(names), generator=generator)]
    source = [0] * len(patients)
    for name, following in zip(order, [*order[1:], order[0]], strict=True):
        for k, i in enumerate(owners[name]):
            source[i] = owners[following][k % len(owners[following])]
    return source
