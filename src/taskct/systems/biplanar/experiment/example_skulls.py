"""The volumes that the page shows: truth, mean atlas, the best row without a network, networks beside their prior alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from taskct.core.runs import load_run
from taskct.core.units import to_hu, to_mu
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.conditions import PRIOR, cases_of, geometry_of_cases
from taskct.systems.biplanar.experiment.row_scores import AGREED
from taskct.systems.biplanar.experiment.spread_rows import SPREAD
from taskct.systems.biplanar.pages.biplanar_pictures import ExampleSkull, Shown
from taskct.systems.biplanar.pages.biplanar_story import ATLAS

_MOST_NETWORKS = 3


def example_skulls(
    skulls: Path,
    settings: BiPlanar,
    kept: Mapping[str, Path],
    spreads: Mapping[str, Path],
    *,
    best_plain: str | None,
    networks: Sequence[str],
) -> list[ExampleSkull]:
    """The first `settings.examples` test skulls; `kept` has the folders with each row's volumes, `spreads` with its spread."""
    cases = cases_of(skulls, settings, "test", settings.views)
    columns: dict[str, Tensor] = {}
    wanted = [ATLAS, *([best_plain] if best_plain else []), *[n for n in networks if n in kept][:_MOST_NETWORKS]]
    for name in dict.fromkeys(wanted):
        row = next((r for r in kept if name == r or name.startswith(r + " +")), None)
        if row is None:
            continue
        tensors, _ = load_run(kept[row]).load_tensors("examples.safetensors")
        columns[name] = tensors[name].float()
        if name != ATLAS and f"{PRIOR}@{row}" in tensors:
            columns[f"{row}: {PRIOR}"] = tensors[f"{PRIOR}@{row}"].float()
    wide = {
        name: load_run(spreads[row]).load_tensors("examples.safetensors")[0][SPREAD].float()
        for name in columns
        for row in spreads
        if name in (row, row + AGREED)  # steps of agreement leave it as it is, about
    }
    found = []
    for k in range(min(settings.examples, len(cases.truth))):
        A = geometry_of_cases(cases, [k])
        with torch.no_grad():
            made = [
                Shown(name, hu[k, 0], A(to_mu(hu[k : k + 1]))[0, 0], wide[name][k, 0] if name in wide else None)
                for name, hu in columns.items()
            ]
        truth = Shown("truth", to_hu(cases.truth[k, 0]), cases.p[k, 0])
        found.append(ExampleSkull(cases.case_ids[k], [truth, *made]))
    return found
