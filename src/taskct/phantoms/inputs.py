"""Cases by words: paths of CTs, and built-in patients as `phantom:NAME:SEED`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.data.naming import case_name, is_generic
from taskct.data.open import open_cases
from taskct.data.padding import refuse_label_map
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

    So are their patients where nothing but a generic name (`ct`) says whose they are. `labels` go with `inputs` one by one
    ('' for none). `untilt` is that of `open_cases`. `heard` is called with every case as it is opened, to show its notes.
    UnsupportedDataError for a label map in the place of a CT.
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
            if not text.startswith("phantom:"):
                refuse_label_map(case.source_path or text, case.hu.numpy())
            if heard is not None:
                heard(case)
            cases.append(_told_apart(case, cases, Path(text)))
    return cases


def _told_apart(case: Case, before: Sequence[Case], path: Path) -> Case:
    """The case, by as many of its folders as make its name new; so too a patient who has only a generic name."""
    taken = {c.case_id for c in before}
    if case.case_id not in taken:
        return case
    place = (case.source_path or path).resolve()
    mark = str(case.provenance.get("fingerprint") or place)
    called = case.case_id
    for folder in place.parents:
        called = f"{case_name(folder.name, mark)}/{called}"
        if called not in taken:
            break
    if not is_generic(case.case_id) or case.patient_id != case.case_id:
        return replace(case, case_id=called)
    beside = (c for c in before if c.source_path is not None and c.source_path.resolve().parent == place.parent)
    same = next((c.patient_id for c in beside if c.case_id.rpartition("/")[2] == case.case_id), called)
    return replace(case, case_id=called, patient_id=same)


def _phantom(text: str) -> Case:
    _, name, *seed = text.split(":")
    if len(seed) > 1 or not all(s.isdigit() for s in seed):
        raise InputError(f"expected phantom:NAME or phantom:NAME:SEED, got {text!r}; for example phantom:abdomen:3")
    return phantom_case(name or "abdomen", seed=int(seed[0]) if seed else 0)
