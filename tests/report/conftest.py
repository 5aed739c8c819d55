"""Tables whose truth is known: methods with a set error, patients with a set spread."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from taskct.evaluation import METRICS, DoseLevel, Example, Protocol, Row, Table
from taskct.geometry import Grid, ParallelBeam
from taskct.geometry.beam_config import beam_to_config, grid_to_config

FULL, LOW = DoseLevel(1.0, 1e5), DoseLevel(0.1, 1e5)


def make_table(
    errors: dict[str, tuple[float, float]],
    *,
    patients: int = 8,
    images: int = 1,
    jitter: float = 0.5,
    size: int = 64,
    noise_free: dict[str, float] | None = None,
    **more: Any,
) -> Table:
    """Error of each method at (full, low) dose; `jitter` is its own spread, 5 HU the spread that patients have in common.

    `noise_free` is the error of methods without noise, in proportion to that at full dose in every image.
    """
    rng = np.random.default_rng(0)
    rows = []
    for n in range(patients):
        common = 5 * rng.normal()
        for z in range(2):
            for method, pair in errors.items():
                for dose, error in zip((FULL, LOW), pair, strict=True):
                    value = error + common + jitter * rng.normal()
                    for metric, found in (("rmse_hu", value), ("bias_hu", 0.1 * jitter), ("ssim", 1 - value / 100)):
                        rows.append(Row(method, f"case-{n}", f"patient-{n}", z, *dose, metric, "all", found))
            for row in [r for r in rows if r.metric == "rmse_hu" and r.dose == FULL and (r.case, r.item) == (f"case-{n}", z)]:
                if noise_free is not None:
                    share = noise_free[row.method] / errors[row.method][0]
                    rows.append(row._replace(photons=math.inf, value=share * row.value))
    protocol = Protocol()
    geometry = {
        "beam": beam_to_config(ParallelBeam(views=20, cols=100, pixel_mm=1.0)),
        "grid": grid_to_config(Grid((size, size), 1.0)),
        "views_used": 20,
        "cases": ["case-0"],
    }
    settings = {
        "metrics": {name: METRICS[name].describe(protocol) for name in ("rmse_hu", "bias_hu", "ssim")},
        "doses": [{"photons": 1e5, "fraction": d.fraction, "electronic_std": 0.0, "floor_photons": 0.1} for d in (FULL, LOW)],
        "methods": {name: f"{name}()" for name in errors},
        "geometry": [geometry],
        "simulation": "projected on a grid 2 times finer",
        "seed": 0,
        "slices": "all",
    }
    cases = [
        {"case_id": f"case-{n}", "patient_id": f"patient-{n}", "shape": [2, size, size], "slices": [0, 1]}
        for n in range(patients)
    ]
    kept = [make_example(n, list(errors), size) for n in range(images)]
    return Table(rows, settings, cases, images=kept, provenance={"versions": {"taskct": "0.1.0"}}, **more)


def make_example(number: int, methods: list[str], size: int) -> Example:
    """A body with an organ, and noise that grows as the dose falls."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    truth = torch.where((x / 0.9) ** 2 + (y / 0.7) ** 2 < 1, 40.0, -1000.0)
    truth = torch.where((x + 0.3) ** 2 + y**2 < 0.2**2, 100.0, truth)
    generator = torch.Generator().manual_seed(number)
    recon = {
        (method, dose): truth + sd * torch.randn(size, size, generator=generator)
        for method in methods
        for dose, sd in ((FULL, 10.0), (LOW, 30.0))
    }
    return Example(f"case-{number}", 0, (1.0, 1.0), truth, recon, (truth == 100).to(torch.uint8), None, {1: "lesion"})


@pytest.fixture(scope="session")
def table_of() -> Callable[..., Table]:
    """Function errors -> Table."""
    return make_table
