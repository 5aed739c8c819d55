"""The graph of the experiment with real CT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskct.experiments.made import Made, call
from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step
from taskct.systems.real_ct.judge_ct import judge_classical, judge_network, judge_weighted, observe
from taskct.systems.real_ct.judged_summary import write_summary
from taskct.systems.real_ct.real_ct_settings import RealCTExperiment
from taskct.systems.real_ct.real_ct_trainings import ARMS, train_arm, train_base
from taskct.systems.real_ct.training_slices import TrainingSlices, prepare_slices

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "full": {},
    "small": {
        "abdomen_slices": 6, "chest_slices": 6, "skull_slices": 4, "validation": 2, "variants": 1, "base_steps": 40,
        "fork_steps": 20, "widths": (16, 32, 48), "batch": 12, "pairs": 4,
    },
}  # fmt: skip
_DATA = ("data", "abdomen_slices", "chest_slices", "skull_slices", "validation", "variants", "seed")
_JUDGED = ("data", "judged_photons", "fractions", "strengths")
_NET = ("photons", "widths", "patch", "batch", "pairs", "lr")


def real_ct_steps(settings: RealCTExperiment) -> list[Step]:
    """Scan the slices, train the start of both networks, then each of them."""
    plan = Plan(settings)
    slices = plan.step(
        "slices", call(prepare_slices, settings=settings), TrainingSlices, uses=_DATA, about="scanning slices to learn from",
        cost=900,
    )  # fmt: skip
    base = plan.step(
        "base", call(train_base, settings=settings, slices=slices), Path, uses=(*_NET, "base_steps"),
        about="image error, the start of both networks", cost=0.5 * settings.base_steps,
    )  # fmt: skip
    judged: list[Made[Path]] = []
    classical: dict[str, Made[Path]] = {}
    networks: dict[str, Made[Path]] = {}
    for ct in settings.judged:
        made = plan.step(
            f"judge-classical-{ct}", call(judge_classical, settings=settings, ct=ct), Path, uses=_JUDGED,
            about=f"{ct} by FBP and TV", cost=60,
        )  # fmt: skip
        classical[ct] = made
        weighted = plan.step(
            f"judge-weighted-{ct}", call(judge_weighted, settings=settings, ct=ct), Path, uses=_JUDGED,
            about=f"{ct} by TV with count weights", cost=150,
        )  # fmt: skip
        judged += [made, weighted]
    for arm in ARMS:
        trained = networks[arm] = plan.step(
            arm,
            call(train_arm, settings=settings, slices=slices, base=base, arm=arm),
            Path,
            uses=("fork_steps", *(("contrast",) if arm == "task" else ())),
            about=f"the network trained for {'image error and lesions' if arm == 'task' else 'image error alone'}",
            cost=0.5 * settings.fork_steps,
        )
        for ct in settings.judged:
            work = call(judge_network, settings=settings, ct=ct, arm=arm, trained=trained)
            about = f"{ct} by the network of {arm}"
            judged.append(plan.step(f"judge-{arm}-{ct}", work, Path, uses=_JUDGED, about=about, cost=60))
    observed = [
        plan.step(
            f"observe-{ct}", call(observe, settings=settings, ct=ct, classical=classical[ct], trained=networks), Path,
            uses=(*_JUDGED, "draws"), about=f"observers of lesions in {ct}", cost=120,
        )
        for ct in settings.judged
    ]  # fmt: skip
    gathered = call(write_summary, settings=settings, judged=judged, observed=observed)
    plan.step("report", gathered, Path, about="tables and page", cost=10, always=True)
    return list(plan.steps.values())
