"""No patient is learnt from and judged on: by patient, and by the pixels where one patient goes by two names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from taskct.core.errors import InputError
from taskct.data.images import ImageSet
from taskct.data.splits import check_split

NAMES = ("train", "validation", "test")


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
