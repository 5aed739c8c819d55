"""Cases by words: paths of CTs, and built-in patients as `phantom:NAME:SEED`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.data.open import open_cases
from taskct.phantoms.cases import phantom_case


def open_inputs(
    inputs: Sequence[str],
    *,
    labels: Sequence[str] = (),
    label_names: Mapping[int, str] | None = None,
    untilt: bool = False,
    heard: Callable[[Case], None] | None = None,
) -> list[Case]:
    """The cases of paths and of `phantom:NAME:SEED`; cases of one name are told apart by their folder.

    `labels` go with `inputs` one by one ('' for none). `untilt` is that of `open_cases`. `heard` is called with every case as
    it is opened, to show its notes.
    """
    cases: list[Case] = []
    for number, text in enumerate(inputs):
        own = (labels[number] or None) if labels else None
        found = (
            [_phantom(text)]
            if text.startswith("phantom:")
            else open_cases(text, labels=own, label_names=label_names, untilt=untilt)
        )
        for case in found:
            if heard is not None:
                heard(case)
            twin = case.case_id in [c.case_id for c in cases]
            folder = Path(text).resolve().parent.name
            cases.append(replace(case, case_id=f"{folder}/{case.case_id}") if twin else case)
    return cases


def _phantom(text: str) -> Case:
    _, name, *seed = text.split(":")
    if len(seed) > 1 or not all(s.isdigit() for s in seed):
        raise InputError(f"expected phantom:NAME or phantom:NAME:SEED, got {text!r}; for example phantom:abdomen:3")
    return phantom_case(name or "abdomen", seed=int(seed[0]) if seed else 0)
