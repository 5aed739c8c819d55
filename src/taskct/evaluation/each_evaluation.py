"""An evaluation of every CT of a folder: a run for each, which is made once, and one table of all that are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from taskct.core.config import to_dict
from taskct.core.each_input import FAILED, EachSummary, InputJob, do_each
from taskct.core.errors import InputError
from taskct.core.files import atomic_folder
from taskct.core.names import plural
from taskct.core.runs import Run
from taskct.core.workers import Workers
from taskct.data.case import Case
from taskct.data.open import open_place
from taskct.data.padding import refuse_label_map
from taskct.data.sets.case_place import CasePlace
from taskct.evaluation.evaluation_config import EvaluationPlan, run_plan
from taskct.evaluation.merged_tables import merge_tables
from taskct.evaluation.rows import NOT_EVALUATED
from taskct.evaluation.slices import slices_from_text
from taskct.evaluation.table import Table
from taskct.geometry.beam_config import beam_from_config
from taskct.geometry.view_number import sensible_views
from taskct.recon.reconstructor_config import methods_from_config

ALL_CASES = "all-cases"
_MOST_WITH_IMAGES = 3  # cases whose images the table of all keeps


def evaluate_each(
    plan: EvaluationPlan,
    places: Mapping[str, CasePlace],
    out: Path,
    *,
    model: nn.Module | None = None,
    heard: Callable[[Case], None] | None = None,
    workers: int | Workers = 1,
    overwrite: bool = False,
    progress: bool | None = None,
) -> tuple[EachSummary, Table | None]:
    """Evaluate each CT of `places` under one plan -> what became of each, and the table of all that are there (None: none).

    `out`/NAME is the run folder of a CT, `out`/all-cases that of all; a CT that fails does not stop the others, and the same
    call resumes. What can be told from the plan is refused before any CT is opened.
    """
    methods_from_config(plan.methods, model=model)
    sensible_views(beam_from_config(plan.beam))
    slices_from_text(plan.slices)
    plan.dose.doses()
    names = {int(number): name for number, name in plan.label_names.items()}
    seen: dict[str, str] = {} if overwrite else _evaluated_before(out, places)

    def job(name: str, place: CasePlace) -> InputJob:
        def work() -> str:
            case = replace(open_place(place, label_names=names or None, untilt=plan.untilt), case_id=name)
            refuse_label_map(place.name, case.hu.numpy())
            mark = _mark(case)
            if seen.get(mark, name) != name:
                raise InputError(
                    f"{place.name}: has the same values as the CT of {out / seen[mark]}: one CT would count as two "
                    f"patients in {ALL_CASES}; leave one of them out"
                )
            if heard is not None:
                heard(case)
            one = replace(plan, inputs=(str(place.name),), labels=())
            run_plan(one, out / name, cases=[case], model=model, workers=workers, overwrite=overwrite, progress=progress)
            if mark:
                seen[mark] = name
            return plural(len(case.hu), "slice")

        return InputJob(name, str(place.name), out / name, work)

    settings: dict[str, Any] = {
        "verb": "evaluate",
        **to_dict(plan),
        **{kind: [str(Path(one).resolve()) for one in getattr(plan, kind)] for kind in ("inputs", "labels")},
    }
    jobs = [job(name, place) for name, place in places.items()]
    found = do_each(jobs, out, settings=settings, overwrite=overwrite, progress=False)
    there = [one.out for one in jobs if one.out.is_dir()]
    if not there:
        return found, None
    table = merge_tables(_few_images(Table.read(folder), number) for number, folder in enumerate(there))
    failed = [name for name, _, state, *_ in found.rows if state == FAILED]
    if failed:
        table.notes[NOT_EVALUATED] = failed  # why stands in the summary: its words may hold paths and UIDs
    with atomic_folder(out / ALL_CASES, overwrite=True) as part:
        Run.create(part, to_dict(plan), provenance=table.provenance)
        table.save(part)
    return found, table


def _mark(case: Case) -> str:
    """What the values of a CT are known by, as they were read; "" for an image of one value, which may be anybody's."""
    return "" if float(case.hu.min()) == float(case.hu.max()) else str(case.provenance.get("fingerprint") or "")


def _evaluated_before(out: Path, places: Mapping[str, CasePlace]) -> dict[str, str]:
    """The marks of the CTs whose run is there already, and their names."""
    found = {}
    for name in places:
        if (out / name / "table.json").is_file():
            for case in Run(out / name).read_json("table.json").get("cases", []):
                found[str(case.get("provenance", {}).get("fingerprint") or "")] = name
    return {mark: name for mark, name in found.items() if mark}


def _few_images(table: Table, number: int) -> Table:
    """A table without its images, but for the first ones: those of a hundred CTs fill a memory."""
    if number < _MOST_WITH_IMAGES:
        return table
    return Table(table.rows, table.settings, table.cases, table.notes, table.provenance, [], table.readers)
