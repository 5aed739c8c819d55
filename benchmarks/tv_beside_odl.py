"""TV by `tv_min`, by its primal-dual method and by ODL: projections until the optimum of the same problem.

python benchmarks/tv_beside_odl.py [CT ...] --out benchmarks/results/tv_beside_odl

Of each CT (built-in patients when none is given) the middle slice is scanned: clinical fan, 1000 views, exact counts. All
methods minimise the same function, with nonnegative images, and call the same projector, so pairs of projection and
back-projection are what a method costs. ODL's `pdhg` (Chambolle & Pock 2011) is used as in ODL's own TV examples, with the
data in noise units; of several ratios of its two step sizes the one that is ahead after `--trial` pairs is taken. Needs ODL
beside taskct: run it with a Python that has both, as `make bench` does.

Writes OUT.csv (one row for each look) and OUT.md (pairs to the optimum), and OUT.png with the curves.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import taskct
from taskct.data.case import Case
from taskct.geometry.presets import clinical_fan
from taskct.phantoms.patient import make_patient
from taskct.physics.projector import Projector
from taskct.recon import TvProblem, tv_steps
from taskct.recon.gradient import gradient, gradient_adjoint, total_variation
from taskct.recon.noise_level import noise_level
from taskct.recon.primal_dual import noise_in_a_voxel, primal_dual_steps

RATIOS = (1e-4, 1e-3, 1e-2, 0.1, 1.0)  # tau / sigma over that at which both steps move their variables alike
NEAR = (1e-3, 1e-4)  # relative distances of the objective from its optimum


class Counted:
    """A projector that counts its calls."""

    def __init__(self, A: Projector) -> None:
        self.A, self.forward, self.back = A, 0, 0
        own_forward, own_back = Projector.__call__, Projector.adjoint

        def forward(projector: Projector, mu: Tensor) -> Tensor:
            self.forward += 1
            return own_forward(projector, mu)

        def back(projector: Projector, p: Tensor) -> Tensor:
            self.back += 1
            return own_back(projector, p)

        Projector.__call__, Projector.adjoint = forward, back  # type: ignore[method-assign]
        self.own = own_forward, own_back

    def restart(self) -> None:
        self.forward = self.back = 0

    @property
    def pairs(self) -> float:
        """Projections and back-projections, two to a pair."""
        return (self.forward + self.back) / 2

    def end(self) -> None:
        Projector.__call__, Projector.adjoint = self.own  # type: ignore[method-assign]


@dataclass(frozen=True)
class Look:
    """What a method has after some pairs."""

    method: str
    pairs: float
    objective: float
    seconds: float


@dataclass
class Problem:
    """1/2 |A mu - p|^2 / std^2 + lam TV(mu), mu >= 0, as `tv_min` poses it without weights."""

    A: Projector
    p: Tensor

    def __post_init__(self) -> None:
        self.std = float(noise_level(self.p))
        weights = torch.full_like(self.p[:1, :1, :1, :1], self.std**-2)
        self.lam = float(noise_in_a_voxel(self.p, self.A, weights))

    def objective(self, mu: Tensor) -> float:
        mu = mu.clamp(min=0).double()
        misfit = (self.A(mu) - self.p.double()) / self.std
        return float(0.5 * misfit.square().sum() + self.lam * total_variation(gradient(mu, self.A.grid.spacing_mm)).sum())


def ours(
    problem: Problem, counted: Counted, steps: Callable[..., Iterator], name: str, *, most: int, every: int
) -> list[Look]:
    """Looks at one of our methods every `every` of its steps."""
    counted.restart()
    looks, begun = [], time.process_time()
    for step in steps(problem.p, problem.A, TvProblem(noise_std=problem.std, iterations=most)):
        if step.iteration % every == 0 or step.iteration == most:
            pairs, spent = counted.pairs, time.process_time() - begun
            looks.append(Look(name, pairs, problem.objective(step.mu), spent))
            counted.restart()
            counted.forward = counted.back = round(pairs)
            begun = time.process_time() - spent
    return looks


def odl_pdhg(problem: Problem, counted: Counted, most: int, ratio: float, every: int) -> list[Look]:
    """Looks at ODL's primal-dual hybrid gradient method every `every` iterations."""
    import odl
    from odl.functionals.default_functionals import GroupL1Norm, IndicatorNonnegativity, L2NormSquared, SeparableSum

    A, spacing = problem.A, problem.A.grid.spacing_mm[-2:]
    images = odl.rn(tuple(A.mu_shape), dtype="float32")
    scans = odl.rn(tuple(A.p_shape), dtype="float32")
    slopes = images ** len(spacing)
    tensor = lambda x: torch.from_numpy(x.asarray().copy())[None, None]

    class Scan(odl.Operator):
        """A in noise units."""

        def __init__(self) -> None:
            super().__init__(images, scans, linear=True)

        def _call(self, x):
            return scans.element((A(tensor(x)) / problem.std)[0, 0].numpy())

        @property
        def adjoint(self):
            return Back()

    class Back(odl.Operator):
        def __init__(self) -> None:
            super().__init__(scans, images, linear=True)

        def _call(self, y):
            return images.element((A.adjoint(tensor(y)) / problem.std)[0, 0].numpy())

        @property
        def adjoint(self):
            return Scan()

    scale = A.norm / problem.std / (sum(4 / h**2 for h in spacing)) ** 0.5  # gives D the norm of A: the usual balance

    class Slopes(odl.Operator):
        """scale * D."""

        def __init__(self) -> None:
            super().__init__(images, slopes, linear=True)

        def _call(self, x):
            parts = scale * gradient(tensor(x), spacing)
            return slopes.element([part[0, 0].numpy() for part in parts])

        @property
        def adjoint(self):
            return SlopesBack()

    class SlopesBack(odl.Operator):
        def __init__(self) -> None:
            super().__init__(slopes, images, linear=True)

        def _call(self, z):
            parts = torch.stack([tensor(one) for one in z])
            return images.element((scale * gradient_adjoint(parts, spacing))[0, 0].numpy())

        @property
        def adjoint(self):
            return Slopes()

    both = odl.BroadcastOperator(Scan(), Slopes())
    measured = scans.element((problem.p / problem.std)[0, 0].numpy())
    g = SeparableSum(0.5 * L2NormSquared(scans).translated(measured), problem.lam / scale * GroupL1Norm(slopes, 2))
    f = IndicatorNonnegativity(images)
    start = taskct.fbp(problem.p, A).clamp(min=0)
    size = 1.02 * (2 * (A.norm / problem.std) ** 2) ** 0.5  # |A|^2 + |scale D|^2, both bounds
    level = float(start.mean())  # of mu; the dual of the data is of order 1 in noise units
    tau, sigma = (ratio * level) / size, 1 / (ratio * level * size)
    x = images.element(start[0, 0].numpy())
    looks: list[Look] = []
    counted.restart()
    state = {"iteration": 0, "begun": time.process_time()}

    def look(now) -> None:
        state["iteration"] += 1
        if state["iteration"] % every == 0 or state["iteration"] == most:
            pairs, spent = counted.pairs, time.process_time() - state["begun"]
            looks.append(Look(f"ODL pdhg, {ratio:g}", pairs, problem.objective(tensor(now)), spent))
            counted.restart()
            counted.forward = counted.back = round(pairs)
            state["begun"] = time.process_time() - spent

    odl.solvers.pdhg(x, f, g, both, most, tau=tau, sigma=sigma, callback=look)
    return looks


def pairs_to(looks: list[Look], best: float, near: float) -> str:
    """Pairs at the first look within `near` of the optimum."""
    there = [look.pairs for look in looks if look.objective <= best * (1 + near)]
    return f"{there[0]:.0f}" if there else f"> {looks[-1].pairs:.0f}"


def cases(paths: list[Path]) -> Iterator[tuple[str, Case]]:
    """Each CT with the name of its folder; built-in patients without any."""
    for path in paths:
        yield path.resolve().parent.name, taskct.open_case(path)
    if not paths:
        for site in ("abdomen", "chest", "skull"):
            yield f"built-in {site}", make_patient(0, 8, site=site, shape=(256, 256), slices=1).case


def main() -> None:
    """Run all cases, write the table, the rows and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", nargs="*", type=Path)
    parser.add_argument("--photons", type=float, default=1e5, help="per column and view")
    parser.add_argument("--views", type=int, default=1000)
    parser.add_argument("--most", type=int, default=300, help="pairs of ODL and of the primal-dual method")
    parser.add_argument("--trial", type=int, default=60)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tv_beside_odl"))
    chosen = parser.parse_args()
    rows: list[dict[str, object]] = []
    table = ["| slice | method | pairs to 1e-3 | pairs to 1e-4 | CPU s per pair |", "|---|---|--:|--:|--:|"]
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for source, case in cases(chosen.ct):
        middle = case.hu.shape[0] // 2
        A = Projector(case.slice_grid, clinical_fan(views=chosen.views))
        p = taskct.simulate_scan(case.mu[middle : middle + 1], A, taskct.Dose(chosen.photons), seed=0)
        problem, counted = Problem(A, p), Counted(A)
        name = f"{source}, slice {middle}, {' x '.join(map(str, A.mu_shape))}"
        try:
            found = {"tv_min": ours(problem, counted, tv_steps, "tv_min", most=120, every=1)}
            found["primal-dual"] = ours(
                problem, counted, primal_dual_steps, "primal-dual", most=chosen.most, every=chosen.every
            )
            trials = {r: odl_pdhg(problem, counted, chosen.trial, r, chosen.trial)[-1].objective for r in RATIOS}
            ratio = min(trials, key=lambda r: trials[r])
            found["ODL pdhg"] = odl_pdhg(problem, counted, chosen.most, ratio, chosen.every)
        finally:
            counted.end()
        best = min(look.objective for looks in found.values() for look in looks)
        for method, looks in found.items():
            cells = " | ".join(pairs_to(looks, best, near) for near in NEAR)
            table.append(f"| {name} | {method} | {cells} | {looks[-1].seconds / looks[-1].pairs:.2f} |")
            print(table[-1], flush=True)
            curves.setdefault(name, {})[method] = [(look.pairs, look.objective / best - 1) for look in looks]
            rows += [
                {"slice": name, "method": look.method, "pairs": look.pairs, "cpu_s": round(look.seconds, 3),
                 "above_the_optimum": f"{look.objective / best - 1:.3e}"}
                for look in looks
            ]  # fmt: skip
        print(f"{name}: of the ratios {RATIOS} ODL's best is {ratio:g}", flush=True)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    with open(chosen.out.with_suffix(".csv"), "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    chosen.out.with_suffix(".md").write_text("\n".join(table) + "\n", encoding="utf-8")
    draw(curves, chosen.out.with_suffix(".png"))


def draw(curves: dict[str, dict[str, list[tuple[float, float]]]], path: Path) -> None:
    """One panel for each slice: distance of the objective from its optimum over the pairs."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(curves), figsize=(4.2 * len(curves), 3.4), sharey=True, squeeze=False)
    for panel, (name, methods) in zip(panels[0], curves.items(), strict=True):
        for method, points in methods.items():
            panel.plot(*zip(*[(x, max(y, 1e-7)) for x, y in points], strict=True), label=method)
        panel.set(title=name, xlabel="pairs of projection and back-projection", xscale="log", yscale="log", ylim=(1e-6, 10))
        panel.title.set_fontsize(8)
    panels[0][0].set_ylabel("objective above its optimum, relative")
    panels[0][-1].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
