"""Writes the tables of docs/biplanar.md and benchmarks/results/biplanar_*.csv from the folder of an experiment.

    python docs/make_biplanar.py runs/biplanar [--name 32] [--pack net-unrolled-s0]

of `taskct reproduce biplanar --preset first --out runs/biplanar`. Tables stand between `<!-- NAME -->` lines of the page;
those of other names stay as they are. `--pack` puts the network of a step into the package, in half precision, with its card.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
from pathlib import Path
from typing import Any

import torch

from taskct.core.files import write_text
from taskct.core.runs import load_run
from taskct.evaluation.volumes import psnr3d
from taskct.models import Card, Figure, TrainingData, pack_model
from taskct.models.package_models import SHIPPED
from taskct.recon.learned import load_reconstructor
from taskct.systems.biplanar.experiment import BiPlanar
from taskct.systems.biplanar.experiment.biplanar_presets import NETWORK_OF_PACKAGE
from taskct.systems.biplanar.experiment.conditions import SECOND, SHUFFLED, cases_of
from taskct.systems.biplanar.experiment.row_scores import RowScores

PAGE = Path(__file__).with_name("biplanar.md")
RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
MAIN = (
    ("psnr3d", "all", "PSNR3D dB", 2), ("bone_dice", "all", "bone Dice", 3), ("bone_surface_mm", "all", "surface mm", 2),
    ("mae_hu", "head", "MAE HU, head", 0), ("reprojection_rms", "all", "re-projection", 3),
    ("seen_share", "all", "error the views could show", 3),
)  # fmt: skip
CONDITIONS = ("radiographs of another skull", "last view lost", "prior only", "second family")


def main() -> None:
    """Copy the tables, and write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="32", help="of the tables: files and the marks in the page")
    parser.add_argument("--pack", default="", help="the step whose network comes with the package")
    options = parser.parse_args()
    if options.pack:
        pack(options.folder, options.pack)
        return
    report = options.folder / "report"
    for name in ("summary", "leads"):
        write_text(RESULTS / f"biplanar_{options.name}_{name}.csv", (report / f"{name}.csv").read_text(), overwrite=True)
    rows = list(csv.DictReader((report / "summary.csv").open()))
    leads = list(csv.DictReader((report / "leads.csv").open()))
    photons = f"{int(load_run(options.folder).config['experiment'].get('photons', 1e5)):,}".replace(",", " ")
    tables = {
        f"rows {options.name}": main_table(rows, photons),
        f"conditions {options.name}": condition_table(rows, photons),
        f"doses {options.name}": dose_table(rows),
        f"leads {options.name}": lead_table(leads),
    }
    text = PAGE.read_text()
    for mark, table in tables.items():
        text, found = re.subn(rf"(<!-- {mark} -->\n).*?(<!-- end -->)", lambda m, t=table: m[1] + t + m[2], text, flags=re.S)
        print(f"{mark}: {'written' if found else 'has no place in the page'}")
    write_text(PAGE, text, overwrite=True)


def pack(folder: Path, step: str) -> None:
    """Write the network of a step into the package, after measuring what half precision costs it on the test skulls."""
    run, table = load_run(folder / step), RowScores.read(folder / f"row-{step}").table
    settings = BiPlanar(**{k: v for k, v in run_settings(folder).items() if k in BiPlanar.__dataclass_fields__})
    label = table.methods[0]
    dose = table.doses[0]
    figures = []
    for metric, what in (("psnr3d", "PSNR3D in dB, range 2500 HU"), ("bone_dice", "Dice of bone")):
        for condition in ("", SECOND, SHUFFLED):
            i = table.mean(metric, f"{label}, {condition}" if condition else label, dose=dose)
            figures.append(
                Figure(
                    what=f"{what}, {condition or 'test skulls'}",
                    mean=round(i.mean, 4),
                    low=round(i.low, 4),
                    high=round(i.high, 4),
                    photons=settings.photons,
                    of=condition or "test skulls of its family",
                    patients=i.n_patients,
                    images=i.n_patients,
                )
            )
    voxel = settings.field_mm / settings.size
    card = Card(
        kind="reconstruction",
        title=f"a skull from two radiographs: {label}",
        purpose="volumes of built-in skulls of 0 to 24 months from a frontal and a lateral radiograph; what the views do not "
        "show is guessed from the skulls of its training",
        licence="Apache-2.0, like the code",
        geometry=f"frontal and lateral, source {settings.source_iso_mm:g} mm and detector {settings.source_detector_mm:g} mm "
        f"away, {settings.size} x {settings.size} pixels of {settings.detector_mm / settings.size:g} mm; {settings.size} "
        f"voxels of {voxel:g} mm along each axis",
        photons=(settings.photons,),
        steps=int(run.config["training"]["steps"]),
        training_data=(
            TrainingData(
                name=f"built-in skulls, seed {settings.seed}",
                licence="none needed: computed by taskct, no patient's data",
                patients=settings.train_skulls,
                images=settings.train_skulls,
                where='taskct.Cohort("skull", ...)',
            ),
        ),
        figures=tuple(figures),
        limits=(
            "learnt from built-in skulls of one procedural family only; nothing is claimed for children",
            "one geometry and one size of voxels: other scans are refused",
            "sutures are below its voxels",
            "one training: another seed moves its figures by some tenths of a dB",
            "a test instrument for methods, not a medical device",
        ),
        command=f"taskct reproduce biplanar --preset first --out {folder.name}; step {step}",
        commit=str(run.provenance["git_commit"]),
        created_utc=str(run.provenance["created_utc"]),
    )  # fmt: skip
    cases = cases_of(folder / "skulls", settings, "test", settings.views)
    with tempfile.TemporaryDirectory() as place, torch.no_grad():
        made = [
            pack_model(folder / step, Path(place) / name, card=card, half=half) for name, half in (("a", False), ("b", True))
        ]
        scores = [psnr3d(cases.hu(load_reconstructor(m)(cases.p, cases.A)), cases.truth_hu) for m in made]
    apart = float((scores[0] - scores[1]).abs().max())
    print(f"half precision changes PSNR3D by at most {apart:.4f} dB")
    pack_model(folder / step, SHIPPED / NETWORK_OF_PACKAGE, card=card, half=apart < 0.01, overwrite=True)


def run_settings(folder: Path) -> dict[str, Any]:
    """The settings that the experiment was begun with."""
    found: dict[str, Any] = load_run(folder).config["experiment"]
    return {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}


def cells(rows: list[dict[str, str]], photons: str) -> dict[tuple[str, str, str], dict[str, str]]:
    """(method, metric, region) -> its line, at one dose."""
    return {(r["method"], r["metric"], r["region"]): r for r in rows if _plain(r["photons"]) == _plain(photons)}


def methods_of(rows: list[dict[str, str]]) -> list[str]:
    """Methods of the main table, in order."""
    names = dict.fromkeys(r["method"] for r in rows if r["metric"] == "psnr3d")
    ends = [f", {c}" for c in CONDITIONS]
    return [n for n in names if not any(n.endswith(e) for e in ends) and "poses off" not in n]


def shown(line: dict[str, str] | None, digits: int) -> str:
    """Mean and interval of a line."""
    if line is None:
        return "–"
    ends = f" [{float(line['low']):.{digits}f}, {float(line['high']):.{digits}f}]" if line["low"] else ""
    return f"{float(line['mean']):.{digits}f}{ends}"


def main_table(rows: list[dict[str, str]], photons: str) -> str:
    """All methods, the usual metrics."""
    found = cells(rows, photons)
    floor = found.get(("truth", "reprojection_rms", "all"))
    body = [f"| the truth itself | | | | | {shown(floor, 3)} | |"] if floor else []
    for method in methods_of(rows):
        body.append("| " + " | ".join([method, *(shown(found.get((method, m, r)), d) for m, r, _, d in MAIN)]) + " |")
    return table(["row", *(label for _, _, label, _ in MAIN)], body)


def condition_table(rows: list[dict[str, str]], photons: str) -> str:
    """PSNR3D under the controls and on the second family."""
    found = cells(rows, photons)
    poses = list(dict.fromkeys(n.split(", ")[-1] for n, _, _ in found if "poses off" in n))
    body = []
    for method in methods_of(rows):
        line = [
            shown(found.get((f"{method}, {c}" if c else method, "psnr3d", "all")), 2).split(" [")[0]
            for c in ("", *CONDITIONS, *poses)
        ]
        body.append("| " + " | ".join([method, *line]) + " |")
    return table(["PSNR3D dB", "own radiographs", *CONDITIONS, *poses], body)


def dose_table(rows: list[dict[str, str]]) -> str:
    """PSNR3D by photons."""
    doses = list(dict.fromkeys(r["photons"] for r in rows if r["metric"] == "psnr3d"))
    body = []
    for method in methods_of(rows):
        line = [shown(cells(rows, d).get((method, "psnr3d", "all")), 2).split(" [")[0] for d in doses]
        body.append("| " + " | ".join([method, *line]) + " |")
    return table(["PSNR3D dB at photons per pixel", *doses], body)


def lead_table(leads: list[dict[str, str]]) -> str:
    """Paired differences from the best row without a network."""
    digits = {"psnr3d": 2, "bone_dice": 3, "mae_hu": 1, "bone_surface_mm": 2}
    by = {(r["network"], r["metric"]): r for r in leads}
    names = list(dict.fromkeys(r["network"] for r in leads))
    of = leads[0]["minus"] if leads else ""
    line = lambda r, d: (
        "–" if r is None else f"{float(r['difference']):+.{d}f} [{float(r['low']):+.{d}f}, {float(r['high']):+.{d}f}]"
    )
    body = ["| " + " | ".join([n, *(line(by.get((n, m)), d) for m, d in digits.items())]) + " |" for n in names]
    return table([f"minus {of}", "PSNR3D dB", "bone Dice", "MAE HU", "surface mm"], body)


def table(heads: list[str], body: list[str]) -> str:
    """A Markdown table."""
    return "\n".join([f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *body]) + "\n"


def _plain(photons: str) -> str:
    return "".join(c for c in photons if c.isdigit() or c == ".")


if __name__ == "__main__":
    main()
