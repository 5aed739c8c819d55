"""A dose search from its setting to a run folder: numbers, and a page that can be sent to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from taskct.core.errors import InputError
from taskct.core.files import atomic_folder
from taskct.core.runs import Run, refuse_run
from taskct.core.workers import Workers
from taskct.evaluation.dose import DoseAnswer, DoseSearch, optimise_dose, parse_keep
from taskct.evaluation.dose.answer import DOSE_FILES
from taskct.report.dose_answer import write_dose_answer
from taskct.systems.alara.dose_subject import Setting
from taskct.task.readers import load_reader


def run_dose_search(
    setting: Setting,
    out: Path,
    *,
    name: str,
    keep: Sequence[str],
    search: DoseSearch,
    readers: Sequence[str | Path] = (),
    certify: Sequence[str | Path] = (),
    workers: int | Workers = 1,
    others: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> DoseAnswer:
    """`optimise_dose` on a setting, saved as a run: dose.csv, dose.json, report.html.

    `name` stands for the reconstruction in the page; `readers` and `certify` are those of `load_reader`, each named by the
    last part of its path. `others` are further pages that the page links to, {address: what they show}. The slices and
    CTDIvol are those of the setting. OutputExistsError unless `overwrite`; nothing is left after an error.
    """
    targets = [str(t) for t in parse_keep(keep)]
    for paths, what in ((readers, "readers"), (certify, "readers that certify")):
        _refuse_twins(paths, what)
    refuse_run(out, overwrite=overwrite, ours=DOSE_FILES, sources=[name, *readers, *certify])
    answer = optimise_dose(
        setting.model,
        setting.cases,
        setting.projector,
        setting.dose,
        keep=targets,
        readers={Path(one).name: load_reader(one) for one in readers} or None,
        certify={Path(one).name: load_reader(one) for one in certify} or None,
        search=replace(search, slices=setting.slices),
        ctdi_vol_mgy=setting.ctdi_vol_mgy,
        workers=workers,
    )
    facts = {
        "what": name,
        "keep": targets,
        "held_by": search.held_by,
        "seed": search.seed,
        "photons": setting.dose.photons,
        "cases": [c.case_id for c in setting.cases],
    }
    with atomic_folder(out, overwrite=overwrite) as part:
        Run.create(part, {"dose_search": facts})
        answer.save(part)
        write_dose_answer(answer, part / "report.html", title=f"How little dose is enough: {name}", others=others)
    return answer


def _refuse_twins(paths: Sequence[str | Path], what: str) -> None:
    known: dict[str, Path] = {}
    for path in map(Path, paths):
        if path.name in known:
            raise InputError(
                f"{path}: the {what} are named by their folders, and {known[path.name]} has the same last name "
                f"{path.name!r}; rename one of them"
            )
        known[path.name] = path
