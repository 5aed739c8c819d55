"""Names of classes: what readers and label maps call one thing, and whether they number it alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taskct.core.errors import InputError

LIVER_CLASSES: dict[str, Sequence[str | int]] = {
    "liver": ("liver",),
    "tumour": ("liver tumour", "liver tumor", "tumour", "tumor", "cancer", "lesion"),
}


def plain_class(name: str) -> str:
    """The name that a class goes by: what readers of livers call tumour has several names in label maps.

    >>> plain_class("Liver_Tumor"), plain_class("liver lesion"), plain_class("Spleen")
    ('tumour', 'tumour', 'spleen')
    """
    words = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    return next((own for own, names in LIVER_CLASSES.items() if words.removeprefix("liver ") in names), words or name)


def refuse_other_order(classes: Mapping[int, str], labels: Mapping[int, str], *, who: str) -> None:
    """InputError where a class has one number in `classes` and another one in `labels`: one would be taken for another.

    What only one of them names says nothing.

    >>> refuse_other_order({1: "liver", 2: "tumour"}, {1: "liver", 2: "cancer"}, who="reader")
    >>> refuse_other_order({1: "tumour"}, {1: "liver", 2: "Tumor"}, who="reader")
    Traceback (most recent call last):
    ...
    taskct.core.errors.InputError: reader: 'tumour' is class 1, but label 2 ('Tumor') of the images; number both alike
    """
    for number, name in labels.items():
        own = [k for k, one in classes.items() if k and plain_class(one) == plain_class(name)]
        if number and own and number not in own:
            raise InputError(
                f"{who}: {classes[own[0]]!r} is class {own[0]}, but label {number} ({name!r}) of the images; number both alike"
            )
