"""Write the tables and the figure of docs/dose.md: exact counts beside their differentiable twin.

    python docs/make_dose_table.py            writes docs/dose.md (between its markers) and docs/figures/dose_validity.png
    python docs/make_dose_table.py --check    changes nothing; exit code 1 when docs/dose.md is not what this would write

No sampling: means and standard deviations are sums over the Poisson distribution and integrals over the Gaussian.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch
from page_tables import filled
from torch import Tensor

from taskct.physics.dose import Dose
from taskct.simulate.differentiable import twin_counts

PAGE = Path(__file__).with_name("dose.md")
FIGURE = Path(__file__).parent / "figures" / "dose_validity.png"
PATHS = (0, 3, 5, 6, 7, 8, 9)
LOG2_PHOTONS = (8, 12, 16)


def exact(expected: float, dose: Dose) -> tuple[float, float]:
    """Mean of p minus the true p, and standard deviation of p, of a ray with so many expected counts."""
    n = torch.arange(0, int(expected + 12 * math.sqrt(expected) + 40), dtype=torch.float64)
    chance = torch.exp(n * math.log(expected) - expected - torch.lgamma(n + 1))
    if dose.electronic_std == 0:
        counts = n
    else:
        z, weight = _normal(2001)
        # a window of the Poisson distribution is enough: what lies outside has a chance below 1e-15
        seen = chance > 1e-15
        counts = (n[seen, None] + dose.electronic_std * z).flatten()
        chance = (chance[seen, None] * weight).flatten()
    return _moments(counts.clamp_min(dose.floor_photons), chance, expected)


def twin(expected: float, dose: Dose, *, skewed: bool = True) -> tuple[float, float]:
    """The same for `simulate_scan_differentiable`."""
    z, weight = _normal(4001)
    counts = twin_counts(
        torch.tensor(math.log(expected), dtype=torch.float64),
        z,
        electronic_std=dose.electronic_std,
        floor_photons=dose.floor_photons,
        skewed=skewed,
    )
    return _moments(counts, weight, expected)


def after_the_log(expected: float, dose: Dose) -> tuple[float, float]:
    """The same for Gaussian noise of the delta-method variance put on p itself."""
    return 0.0, math.sqrt(expected + dose.electronic_std**2) / expected


def table(electronic_std: float) -> str:
    """One line per photon number and path."""
    lines = [
        "| N0 | p | photons seen | bias: exact | twin | after the log | SD: exact | twin | after the log |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for power in LOG2_PHOTONS:
        for p in PATHS:
            dose = Dose(2.0**power, electronic_std=electronic_std)
            seen = dose.photons * math.exp(-p)
            (b1, s1), (b2, s2), (b3, s3) = (model(seen, dose) for model in (exact, twin, after_the_log))
            numbers = " | ".join(_round(v) for v in (b1, b2, b3, s1, s2, s3))
            lines.append(f"| {2**power} | {p} | {seen:.3g} | {numbers} |")
    return "\n".join(lines)


def agreement() -> str:
    """From how many photons on the twin agrees: worst disagreement over p in 0..9 and N0 in 2^8..2^16."""
    lines = [
        "| read-out noise | photons from | means differ, in SD | SDs, ratio | plain Gaussian: means differ | SDs, ratio |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for electronic_std in (0.0, 10.0):
        sweep = []
        for power in range(8, 17):
            for step in range(19):
                seen = 2.0**power * math.exp(-step / 2)
                dose = Dose(2.0**power, electronic_std=electronic_std)
                sweep.append((seen, exact(seen, dose), twin(seen, dose), twin(seen, dose, skewed=False)))
        for least in (0, 1, 2, 5, 10, 20, 30, 100):
            part = [row[1:] for row in sweep if row[0] >= least]
            cells = [f"{electronic_std:g}", f"{least}"]
            for model in (1, 2):
                shift = max(abs(row[0][0] - row[model][0]) / row[0][1] for row in part)
                ratio = max((row[model][1] / row[0][1] for row in part), key=lambda r: abs(math.log(r)))
                cells += [f"{shift:.3f}", f"{ratio:.3f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(path: Path) -> None:
    """Bias and standard deviation over the photons a ray sees, for the three models."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    seen = torch.logspace(-1.3, 4, 120, dtype=torch.float64).tolist()
    figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True)
    for column, electronic_std in enumerate((0.0, 10.0)):
        dose = Dose(2.0**16, electronic_std=electronic_std)
        for model, style, name in (
            (exact, "k-", "exact: Poisson, hard floor"),
            (twin, "C0--", "twin: smooth counts, smooth floor"),
            (after_the_log, "C3:", "Gaussian after the log"),
        ):
            bias, spread = zip(*(model(value, dose) for value in seen), strict=True)
            axes[0, column].plot(seen, bias, style, label=name)
            axes[1, column].plot(seen, spread, style, label=name)
        axes[0, column].set(title=f"read-out noise {electronic_std:g} photons", xscale="log", ylim=(-3, 1.2))
        axes[1, column].set(xlabel="photons a ray sees, N0 exp(-p)", ylim=(0, 2))
        axes[0, column].grid(alpha=0.3)
        axes[1, column].grid(alpha=0.3)
    axes[0, 0].set_ylabel("mean of p minus p")
    axes[1, 0].set_ylabel("standard deviation of p")
    axes[0, 0].legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)


def tables() -> dict[str, str]:
    """The tables of the page by the names of their markers."""
    return {
        "quantum": table(0.0),
        "readout": table(10.0),
        "agreement": agreement(),
    }


def _moments(counts: Tensor, chance: Tensor, expected: float) -> tuple[float, float]:
    error = math.log(expected) - torch.log(counts)
    mean = float((chance * error).sum())
    return mean, math.sqrt(max(0.0, float((chance * error**2).sum()) - mean**2))


def _normal(points: int) -> tuple[Tensor, Tensor]:
    z = torch.linspace(-8, 8, points, dtype=torch.float64)
    weight = torch.exp(-z * z / 2)
    return z, weight / weight.sum()


def _round(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    if "--check" in sys.argv:
        sys.exit(0 if filled(PAGE, tables()) == page else f"{PAGE}: differs from what {Path(__file__).name} writes; run it")
    PAGE.write_text(filled(PAGE, tables()), encoding="utf-8")
    draw(FIGURE)
