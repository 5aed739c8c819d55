"""The table of the dose experiment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from dose_subjects import subject

from taskct.data.images import ImageSet
from taskct.evaluation.dose import parse_target
from taskct.systems.alara.experiment.alara_summary import gather, summary_text
from taskct.systems.alara.experiment.comparing import advice_of
from taskct.systems.alara.pages.savings_family import SavingsFamily
from taskct.systems.alara.rivals.outcomes import Comparison, Outcome


def test_no_name_in_the_summary_is_a_formula() -> None:
    target = parse_target("rmse_hu<=10")
    found = Comparison(target, "mean", ("p", "q"), (Outcome("=fixed", 1.0, np.ones(2), np.array([9.0, 8.0])),))
    head, first = summary_text([("@arm", found)], SavingsFamily.of([(found, "learned")])).splitlines()
    assert head.startswith("comparison,target,held_by,strategy") and first.startswith("'@arm,rmse_hu<=10,mean,'=fixed,")


@dataclass(frozen=True)
class Step:
    """A comparison that is done."""

    name: str
    seed: int
    learned: float
    done: bool = True

    def load(self) -> SimpleNamespace:
        own, noise = 1 + 0.1 * np.cos(np.arange(8)), 9 + 0.1 * np.sin(np.arange(8))
        rows = (("fixed", 1000.0), ("learned", self.learned), ("learned, as deployed", self.learned))
        found = Comparison(
            parse_target("rmse_hu<=10"), "mean", tuple(f"p{k}" for k in range(8)),
            tuple(Outcome(name, 1.0, photons * own, noise) for name, photons in rows),
        )  # fmt: skip
        about = {"arm": "fbp-noise-views", "seed": self.seed, "about": "FBP, noise", "reader": ""}
        return SimpleNamespace(values={"about": about, "advice": {}, "is_held": True}, comparisons=[found])


def test_trainings_from_several_seeds_lead_together_and_none_of_them_alone(tmp_path: Path) -> None:
    steps = [Step(f"compared-fbp-noise-views-{k}", k, learned) for k, learned in enumerate((700.0, 950.0, 900.0))]
    gather(tmp_path, compared=steps)  # type: ignore[arg-type]
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.index("FBP, noise; 3 trainings") < html.index("needs 15.0 % fewer photons") < html.index("seed 0")
    assert "needs 30.0 %" not in html and "needs 5.0 %" not in html  # no seed alone is a finding
    assert "correction for 1 comparison with" in html and "8 patients and 3 trainings" in html
    table = (tmp_path / "summary.csv").read_text(encoding="utf-8")
    assert table.splitlines()[1].startswith('"compared-fbp-noise-views, 3 seeds",rmse_hu<=10,mean,fixed')
    assert "p_corrected" in table.splitlines()[0] and "compared-fbp-noise-views-2" in table


def test_each_image_keeps_its_advice_where_several_are_of_one_patient() -> None:
    one, other, alone = (subject(k, slices=1) for k in range(3))
    again = replace(other, images=ImageSet(other.mu, one.images.patient_ids, other.labels, ["p0-second"]))
    strategy = SimpleNamespace(advise=lambda s: SimpleNamespace(text=f"dose of {s.images.ids[0]}"))
    found = advice_of(strategy, [one, again, alone])  # type: ignore[arg-type]
    assert list(found) == [one.images.ids[0], "p0-second", "p2"]
    assert found["p0-second"] == "dose of p0-second" and found["p2"] == f"dose of {alone.images.ids[0]}"
