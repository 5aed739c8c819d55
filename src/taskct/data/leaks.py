"""No patient is learnt from and judged on: by patient, and by the pixels where one patient goes by two names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.data.images import ImageSet
from taskct.data.splits import check_split

NAMES = ("train", "validation", "test")
_MOST_HU = 2**15


def refuse_leaks(
    training: ImageSet, validation: ImageSet | None = None, held_out: Sequence[str] | ImageSet = (), *, pixels: bool = True
) -> None:
    """InputError when a patient of the training images is also in validation or among those held out for the test.

    `held_out` names patients, or is a set of test images. Unless `pixels` is False, slices that are equal to the bit under two
    patients' names in two parts are refused too, wherever their hashes are known without reading a streamed set.
    """
    test = held_out if isinstance(held_out, ImageSet) else None
    parts = (training, validation, test)
    named = tuple(() if part is None else part.patient_ids for part in parts[:2])
    check_split(*named, test.patient_ids if test is not None else tuple(held_out), names=NAMES)  # type: ignore[arg-type]
    if not pixels:
        return
    seen: dict[str, tuple[str, str]] = {}
    for part, name in zip(parts, NAMES, strict=True):
        for digest, image in _hashes(part):
            first = seen.setdefault(digest, (name, image))
            if first[0] != name:
                raise InputError(
                    f"{image!r} in {name} has the same pixels as {first[1]!r} in {first[0]}: one patient goes by two names; "
                    "leave one of them out"
                )


def _hashes(part: ImageSet | None) -> Iterator[tuple[str, str]]:
    """Hash and image of each slice that is not of one value."""
    if part is None or not (part.in_memory or part.storage.known_hashes() is not None):
        return
    hashes = part.slice_hashes()
    each = len(hashes) // len(part)
    for number, digest in enumerate(hashes):
        if digest:
            yield digest, part.ids[number // each]


def content_key(hu: Tensor) -> str:
    """Names the values of a CT, whatever its header, its name and the order and direction of its axes; "" for one value alone.

    A hash of how often each whole HU occurs: two patients never share it, and a copy with another pixel size, mirrored or
    stored along other axes does, though its resampled slices have other pixels.

    >>> hu = torch.arange(24.0).reshape(2, 3, 4)
    >>> content_key(hu) == content_key(hu.flip(1).permute(2, 0, 1)) != content_key(hu + 1)
    True
    """
    counts = torch.zeros(2 * _MOST_HU, dtype=torch.int64)
    for one in hu:  # a slice at a time: a whole volume of indices takes gigabytes
        whole = torch.nan_to_num(one.detach().cpu().float()).round().clamp(-_MOST_HU, _MOST_HU - 1).long() + _MOST_HU
        counts += torch.bincount(whole.flatten(), minlength=2 * _MOST_HU)
    return hashlib.sha256(counts.numpy().tobytes()).hexdigest()[:16] if int((counts > 0).sum()) > 1 else ""
