"""Writes the tables of docs/biplanar.md and benchmarks/results/biplanar_*.csv from the folder of an experiment.

    python docs/make_biplanar.py runs/biplanar [--name 32]
    python docs/make_biplanar.py runs/biplanar --pack net-unrolled-s0 [--as skull-unrolled] [--preset first]

of `taskct reproduce biplanar --preset first --out runs/biplanar`. Tables stand between `<!-- NAME -->` lines of the page;
those of other names stay as they are. `--pack` puts the network of a step into the package, in half precision, with its card.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import tempfile
from pathlib import Path
from typing import Any

import torch

from taskct.core.files import write_text
from taskct.core.names import photon_count
from taskct.core.runs import load_run
from taskct.evaluation.volumes import FILM_READER, psnr3d
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
TABLES = {  # which columns say whose line it is
    "summary": ("method", "photons", "metric", "region"), "leads": ("network", "minus", "metric"),
    "blocks": ("with", "without", "metric"), "spread": ("method", "bin"), "poses": ("method", "sd"),
    "curves": ("training", "steps"),
}  # fmt: skip
VIEWS = re.compile(r"(.*), (\d+) views?$")
CONDITIONS = ("radiographs of another skull", "last view lost", "prior only", "second family")


def main() -> None:
    """Copy the tables, and write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="32", help="of the tables: files and the marks in the page")
    parser.add_argument("--keep", action="store_true", help="keep lines of the files in benchmarks/results that the run lacks")
    parser.add_argument("--pack", default="", help="the step whose network comes with the package")
    parser.add_argument("--as", dest="as_name", default=NETWORK_OF_PACKAGE, help="its name there")
    parser.add_argument("--preset", default="first", help="what the run was made with, for its card")
    options = parser.parse_args()
    if options.pack:
        pack(options.folder, options.pack, options.as_name, options.preset)
        return
    report = options.folder / "report"
    found = {}
    for name, methods in TABLES.items():
        found[name] = list(csv.DictReader((report / f"{name}.csv").open()))
        place = RESULTS / f"biplanar_{options.name}_{name}.csv"
        if options.keep and place.exists():
            there = {tuple(row[m] for m in methods) for row in found[name]}
            found[name] += [r for r in csv.DictReader(place.open()) if tuple(r[m] for m in methods) not in there]
        if found[name]:
            write_text(place, csv_text(found[name]), overwrite=True)
    rows = found["summary"]
    photons = float(run_settings(options.folder).get("photons", 1e5))
    tables = {
        f"rows {options.name}": main_table(rows, photons),
        f"conditions {options.name}": condition_table(rows, photons),
        f"doses {options.name}": dose_table(rows),
        f"leads {options.name}": lead_table(found["leads"]),
        f"blocks {options.name}": block_table(found["blocks"]),
        f"spread {options.name}": spread_table(found["spread"]),
        f"poses {options.name}": pose_table(rows, found["poses"], photons),
        f"tasks {options.name}": task_table(rows, photons),
        f"views {options.name}": view_table(rows, photons),
        f"curves {options.name}": curve_table(found["curves"]),
    }
    text = PAGE.read_text()
    for mark, table in tables.items():
        text, places = re.subn(rf"(<!-- {mark} -->\n).*?(<!-- end -->)", lambda m, t=table: m[1] + t + m[2], text, flags=re.S)
        print(f"{mark}: {'written' if places else 'has no place in the page'}")
    write_text(PAGE, text, overwrite=True)


def pack(folder: Path, step: str, name: str, preset: str) -> None:
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
    voxel, ages = settings.field_mm / settings.size, in_words(settings.age_months)
    card = Card(
        kind="reconstruction",
        title=f"a head of {ages} from two radiographs: {label}",
        purpose=f"volumes of heads of {ages} from a frontal and a lateral radiograph; what the views do not show is "
        "guessed from the built-in skulls of its training",
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
            "learnt from built-in skulls of one procedural family only; nothing is claimed for patients",
            "one geometry and one size of voxels: other scans are refused",
            "sutures are below its voxels",
            "one training: another seed moves its figures by some tenths of a dB",
            "a test instrument for methods, not a medical device",
        ),
        command=f"taskct reproduce biplanar --preset {preset} --out {folder.name}; step {step}",
        commit=str(run.provenance["git_commit"]),
        created_utc=str(run.provenance["created_utc"]),
    )  # fmt: skip
    cases = cases_of(folder / "skulls", settings, "test", settings.views)
    with tempfile.TemporaryDirectory() as place, torch.no_grad():
        made = [
            pack_model(folder / step, Path(place) / one, card=card, half=half) for one, half in (("a", False), ("b", True))
        ]
        scores = [psnr3d(cases.hu(load_reconstructor(m)(cases.p, cases.A)), cases.truth_hu) for m in made]
    apart = float((scores[0] - scores[1]).abs().max())
    print(f"half precision changes PSNR3D by at most {apart:.4f} dB")
    pack_model(folder / step, SHIPPED / name, card=card, half=apart < 0.01, overwrite=True)


def in_words(age_months: tuple[float, float]) -> str:
    """Ages in months, or in years from 5 years on."""
    low, high = age_months
    return f"{low:g} to {high:g} months" if low < 60 else f"{low / 12:g} to {high / 12:g} years"


def run_settings(folder: Path) -> dict[str, Any]:
    """The settings that the experiment was begun with."""
    found: dict[str, Any] = load_run(folder).config["experiment"]
    return {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}


def cells(rows: list[dict[str, str]], photons: float) -> dict[tuple[str, str, str], dict[str, str]]:
    """(method, metric, region) -> its line, at one dose."""
    return {(r["method"], r["metric"], r["region"]): r for r in rows if float(r["photons"]) == photons}


def methods_of(rows: list[dict[str, str]]) -> list[str]:
    """Methods of the main table, in order."""
    names = dict.fromkeys(r["method"] for r in rows if r["metric"] == "psnr3d")
    ends = [f", {c}" for c in CONDITIONS]
    return [n for n in names if not any(n.endswith(e) for e in ends) and "poses off" not in n and not VIEWS.match(n)]


def shown(line: dict[str, str] | None, digits: int) -> str:
    """Mean and interval of a line."""
    if line is None:
        return "–"
    ends = f" [{float(line['low']):.{digits}f}, {float(line['high']):.{digits}f}]" if line["low"] else ""
    return f"{float(line['mean']):.{digits}f}{ends}"


def main_table(rows: list[dict[str, str]], photons: float) -> str:
    """All methods, the usual metrics."""
    found = cells(rows, photons)
    floor = found.get(("truth", "reprojection_rms", "all"))
    body = [f"| the truth itself | | | | | {shown(floor, 3)} | |"] if floor else []
    for method in methods_of(rows):
        body.append("| " + " | ".join([method, *(shown(found.get((method, m, r)), d) for m, r, _, d in MAIN)]) + " |")
    return table(["row", *(label for _, _, label, _ in MAIN)], body)


def condition_table(rows: list[dict[str, str]], photons: float) -> str:
    """PSNR3D under the controls and on the second family."""
    found = cells(rows, photons)
    poses = list(dict.fromkeys(n.split(", ")[-1] for n, _, _ in found if "poses off" in n and not n.endswith(", refined")))
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
    doses = list(dict.fromkeys(float(r["photons"]) for r in rows if r["metric"] == "psnr3d"))
    body = []
    for method in methods_of(rows):
        line = [shown(cells(rows, d).get((method, "psnr3d", "all")), 2).split(" [")[0] for d in doses]
        body.append("| " + " | ".join([method, *line]) + " |")
    return table(["PSNR3D dB at photons per pixel", *map(photon_count, doses)], body)


def lead_table(leads: list[dict[str, str]]) -> str:
    """Paired differences from the best row without a network."""
    digits = {"psnr3d": 2, "bone_dice": 3, "mae_hu": 1, "bone_surface_mm": 2}
    by = {(r["network"], r["metric"]): r for r in leads}
    names = list(dict.fromkeys(r["network"] for r in leads))
    of = leads[0]["minus"] if leads else ""
    body = ["| " + " | ".join([n, *(difference(by.get((n, m)), d) for m, d in digits.items())]) + " |" for n in names]
    return table([f"minus {of}", "PSNR3D dB", "bone Dice", "MAE HU", "surface mm"], body)


def block_table(blocks: list[dict[str, str]]) -> str:
    """Pairs of rows that differ in one block."""
    by = {(r["block"], r["with"], r["without"], r["metric"]): r for r in blocks}
    body = []
    for block, with_it, without in dict.fromkeys(key[:3] for key in by):
        line = [difference(by.get((block, with_it, without, m)), d) for m, d in (("psnr3d", 2), ("bone_dice", 3))]
        seeds = by[block, with_it, without, "psnr3d"]["seeds"]
        body.append("| " + " | ".join([block, f"{with_it} − {without}", seeds, *line]) + " |")
    return table(["block", "rows", "trainings", "PSNR3D dB", "bone Dice"], body)


def spread_table(spread: list[dict[str, str]]) -> str:
    """Error over scaled spread, coverage, and the ends of the reliability curve."""
    body = []
    for name in dict.fromkeys(r["method"] for r in spread):
        bins = [r for r in spread if r["method"] == name]
        first, last = bins[0], bins[-1]
        ends = [f"{float(r['spread_hu']):.0f} / {float(r['error_hu']):.0f}" for r in (first, bins[len(bins) // 2], last)]
        shares = [f"{100 * float(first[k]):.0f} %" for k in ("within_one", "within_two")]
        body.append("| " + " | ".join([name, f"{float(first['error_over_spread']):.3f}", *shares, *ends]) + " |")
    tenths = [f"{t} tenth, spread / error HU" for t in ("first", "sixth", "last")]
    return table(["row", "error over spread", "within one", "within two", *tenths], body)


def pose_table(rows: list[dict[str, str]], poses: list[dict[str, str]], photons: float) -> str:
    """PSNR3D with wrong and with refined poses, and what is left of the errors."""
    found = cells(rows, photons)
    body = []
    for r in poses:
        name = f"{r['method']}, poses off by {r['sd']} deg and mm"
        scores = [shown(found.get((n, "psnr3d", "all")), 2).split(" [")[0] for n in (r["method"], name, f"{name}, refined")]
        left = [f"{float(r[k]):.1f}" for k in ("turn_deg", "turn_left_deg", "shift_mm", "shift_left_mm")]
        body.append(
            "| " + " | ".join([r["method"], r["sd"], *scores, f"{left[0]} → {left[1]}", f"{left[2]} → {left[3]}"]) + " |"
        )
    heads = ["row", "off by, deg and mm", "right poses", "wrong poses", "refined", "turn, deg rms", "shift, mm rms"]
    return table(heads, body)


def task_table(rows: list[dict[str, str]], photons: float) -> str:
    """What readers make of radiographs and volumes: AUC of classes, errors of numbers."""
    found = cells(rows, photons)
    metrics = list(dict.fromkeys(m for _, m, _ in found if m.startswith(("auc: ", "read: "))))
    ends = [FILM_READER, "truth"]
    names = ends + [n for n in dict.fromkeys(n for n, m, _ in found if m in metrics) if n not in ends]
    body = []
    for metric in metrics:
        digits = 2 if metric.startswith("auc: ") else 1
        body.append("| " + " | ".join([metric, *(shown(found.get((n, metric, "all")), digits) for n in names)]) + " |")
    return table(["", *names], body)


def view_table(rows: list[dict[str, str]], photons: float) -> str:
    """PSNR3D by number of views."""
    found = {n: line for (n, m, r), line in cells(rows, photons).items() if (m, r) == ("psnr3d", "all")}
    by: dict[str, dict[int, str]] = {}
    for name, line in found.items():
        if match := VIEWS.match(name):
            by.setdefault(match[1], {2: shown(found.get(match[1]), 2)})[int(match[2])] = shown(line, 2)
    counts = sorted({n for one in by.values() for n in one})
    body = ["| " + " | ".join([name, *(one.get(n, "–") for n in counts)]) + " |" for name, one in by.items()]
    return table(["PSNR3D dB at views", *map(str, counts)], body)


def curve_table(curves: list[dict[str, str]]) -> str:
    """Validation PSNR3D of every training at some steps."""
    by: dict[str, dict[int, float]] = {}
    for r in curves:
        by.setdefault(r["training"], {})[int(r["steps"])] = float(r["psnr3d"])
    if not by:
        return table(["training"], [])
    every = sorted({s for one in by.values() for s in one})
    picked = [s for s in every if s % (every[-1] // 6) == 0] if every[-1] >= 6 else every
    body = [
        "| " + " | ".join([name, *(f"{one[s]:.2f}" if s in one else "–" for s in picked)]) + " |" for name, one in by.items()
    ]
    return table(["validation PSNR3D dB after steps", *map(str, picked)], body)


def difference(line: dict[str, str] | None, digits: int) -> str:
    """A paired difference with its interval."""
    if line is None:
        return "–"
    mean, low, high = (float(line[k]) for k in ("difference", "low", "high"))
    return f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def csv_text(rows: list[dict[str, str]]) -> str:
    """Lines with their heads."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table(heads: list[str], body: list[str]) -> str:
    """A Markdown table."""
    return "\n".join([f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *body]) + "\n"


if __name__ == "__main__":
    main()
