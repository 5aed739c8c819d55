"""Two answers to how little dose is enough, with the networks of the package: a search, and a dose for each patient.

The search is that of `taskct dose`: the least dose at which a trained reconstruction keeps a reader's Dice, certified by
another reader, on built-in test patients. The learned dose is compared with a fixed one and with modulation at equal noise, on
patients of another seed than those of its training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskct.core.files import make_folder, write_text
from taskct.core.open_files import read_json, read_text
from taskct.core.runs import Run, is_run, load_run
from taskct.evaluation.dose import DoseSearch
from taskct.evaluation.dose.target import parse_target
from taskct.experiments.cohort_images import DrawnPatients, cohort_of, keep_images
from taskct.experiments.made import Made, call
from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step
from taskct.models import open_model
from taskct.simulate.scout import SCOUT_PHOTONS, scout_share
from taskct.systems.alara.dose_subject import chain_of, setting_of
from taskct.systems.alara.experiment.alara_presets import PRESETS
from taskct.systems.alara.experiment.alara_settings import DoseExperiment
from taskct.systems.alara.experiment.comparing import LEARNED, Compared, advice_of, read_comparisons, write_comparisons
from taskct.systems.alara.experiment.shared_subjects import measure_of, smooth_fbp, subjects_of
from taskct.systems.alara.learned import load_strategy
from taskct.systems.alara.pages.scout_counted import scout_counted
from taskct.systems.alara.pages.strategies_page import DoseSection, statements, write_dose_page
from taskct.systems.alara.rivals.compare_strategies import compare_strategies
from taskct.systems.alara.rivals.measuring import Measuring
from taskct.systems.alara.rivals.strategies import STRATEGIES
from taskct.systems.alara.search_run import run_dose_search

DOSE_OF_PACKAGE = "abdomen-dose"
SEARCHED, READER, CERTIFIES = "abdomen-lpd-label", "abdomen-reader", "abdomen-reader-thin"
KEEP = "tumour.dice>=0.9*full"
SEARCH_PATIENTS = 24
DEMO: Mapping[str, Any] = {**PRESETS["networks"], "seed": 1, "test_patients": 40}
_UP = "../report.html"  # from the folder of the search
_RIVALS = ("fixed", "modulation a=0.5", "modulation a=1")
_DATA = ("test_patients", "slices", "size", "width_mm", "radius_mm", "contrast_hu", "views", "seed")


def dose_demo_steps(settings: DoseExperiment) -> list[Step]:
    """Draw the patients, search, compare, and gather the pages."""
    plan = Plan(settings)
    searched = plan.step("search", call(search), Path, about=f"the least dose for {KEEP} through {SEARCHED}", cost=120)
    images = plan.step(
        "images", call(save_unseen, settings=settings), DrawnPatients, uses=_DATA, about="drawing unseen patients", cost=15
    )
    compared = plan.step(
        "compared",
        call(compare, settings=settings, images=images),
        read_comparisons,
        uses=("draws", "curve_photons"),
        about="the learned dose beside those that do not learn, at equal noise",
        cost=120,
    )
    work = call(gather_demo, searched=searched, compared=compared)
    plan.step("report", work, Path, about="pages", cost=5, always=True)
    return list(plan.steps.values())


def search(folder: Path) -> None:
    """`taskct dose` with networks of the package, on built-in test patients."""
    setting = setting_of(chain_of(SEARCHED), patients=SEARCH_PATIENTS, every=4)
    run_dose_search(
        setting, folder, name=SEARCHED, keep=[KEEP], search=DoseSearch(lowest=1 / 32, within=0.1), readers=[READER],
        certify=[CERTIFIES], others={_UP: "the learned dose beside fixed ones"}, overwrite=folder.exists(),
    )  # fmt: skip


def save_unseen(folder: Path, *, settings: DoseExperiment) -> None:
    """Draw the patients of the comparison."""
    run = load_run(folder) if is_run(folder) else Run.create(folder, {"patients": settings.patients})
    keep_images(run, "test", cohort_of(settings).images("test", progress=False))


def compare(folder: Path, *, settings: DoseExperiment, images: Made[DrawnPatients]) -> None:
    """The learned dose of the package beside a fixed dose and modulation, each scaled to the same mean noise in the liver."""
    strategy = load_strategy(DOSE_OF_PACKAGE)
    target = parse_target(open_model(DOSE_OF_PACKAGE).config["held"]["target"])
    subjects = subjects_of(images.folder, "test", settings)
    found = compare_strategies(
        {**{name: STRATEGIES[name] for name in _RIVALS}, LEARNED: strategy},
        smooth_fbp,
        settings.levels,
        Measuring(
            subjects,
            measure_of(target, None),
            target,
            draws=settings.draws,
            scout=scout_share(SCOUT_PHOTONS, settings.views),
        ),
        full_photons=settings.full_photons,
        seed=settings.seed + 1,
        oracles=False,
        as_deployed=(LEARNED,),
        progress=False,
    )
    write_comparisons(folder, {"comparisons": [found.plain()], "advice": advice_of(strategy, subjects)})


def gather_demo(folder: Path, *, searched: Made[Path], compared: Made[Compared]) -> None:
    """report.html of the learned dose, search.html of the search, and the first lines of both in summary.txt."""
    make_folder(folder)
    lines = []
    if searched.done:
        html = read_text(searched.folder / "report.html").replace(f"href='{_UP}'", "href='report.html'")
        write_text(folder / "search.html", html, overwrite=True)
        lines.append(f"Search through {SEARCHED}: " + _first_sentences(searched.folder))
    if compared.done:
        loaded = compared.load()
        notes = tuple(f"{patient}: {text}" for patient, text in loaded.values["advice"].items())
        part = DoseSection("Learned dose, FBP, noise in the liver", loaded.comparisons, LEARNED, notes)
        others = {"search.html": f"the least dose through {SEARCHED}"} if searched.done else {}
        write_dose_page([part], folder / "report.html", title="A dose for each patient", others=others, overwrite=True)
        lines += [("! " if against else "") + text for text, against in statements(part)]
        lines += filter(None, (scout_counted(c, LEARNED) for c in loaded.comparisons))
    write_text(folder / "summary.txt", "\n".join(lines) + "\n", overwrite=True)


def _first_sentences(folder: Path) -> str:
    return ". ".join(read_json(folder / "dose.json")["text"])
